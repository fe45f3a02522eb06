//! `kelson apply -f FILE`: creates the objects of a manifest, or merges them into those that exist.

use std::path::PathBuf;

use anyhow::Context;
use http::{Method, Request};
use kelson_machinery::Object;
use serde::Deserialize;

use super::{Connection, path};

#[derive(clap::Args)]
pub struct Flags {
    /// Manifest, YAML or JSON, of one or more documents
    #[arg(long, short)]
    filename: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let path = flags.filename.display();
    let text = std::fs::read_to_string(&flags.filename).with_context(|| format!("reading {path}"))?;
    let client = flags.connection.client().await?;
    for object in documents(&text).with_context(|| format!("reading {path}"))? {
        apply(&client, &flags.connection.namespace, &object).await?;
    }
    Ok(())
}

/// The documents of a manifest; empty ones, as a trailing `---` leaves, are skipped.
fn documents(text: &str) -> anyhow::Result<Vec<Object>> {
    let parsed: Result<Vec<Object>, _> =
        serde_yaml_ng::Deserializer::from_str(text).map(Object::deserialize).collect();
    Ok(parsed?.into_iter().filter(|object| !object.is_null()).collect())
}

async fn apply(client: &kube::Client, namespace: &str, object: &Object) -> anyhow::Result<()> {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or(namespace);
    let name = object["metadata"]["name"].as_str().context("metadata.name: Required value")?;
    let (collection, kind) = path::collection_of(object, namespace)?;
    let outcome = match send(client, Method::POST, &collection, "application/json", object).await {
        Ok(()) => "created",
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let merge = "application/merge-patch+json";
            send(client, Method::PATCH, &format!("{collection}/{name}"), merge, object).await?;
            "configured"
        }
        Err(error) => return Err(error.into()),
    };
    println!("{kind}/{name} {outcome}");
    Ok(())
}

async fn send(
    client: &kube::Client,
    method: Method,
    url: &str,
    kind: &str,
    body: &Object,
) -> Result<(), kube::Error> {
    let request = Request::builder().method(method).uri(url).header("content-type", kind);
    let body = serde_json::to_vec(body).expect("JSON always serializes");
    let request = request.body(body).expect("a URL of names is valid");
    client.request::<Object>(request).await.map(drop)
}
