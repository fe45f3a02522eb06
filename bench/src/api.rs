//! Requests as they go over the wire: nothing of an answer is decoded, so that what is measured is the server.

use anyhow::ensure;
use http_body_util::BodyExt;
use hyper::Request;
use kube::Client;
use kube::client::Body;
use serde_json::Value;

/// Creates an object in the namespace default.
pub async fn create(client: &Client, plural: &str, object: &Value) -> anyhow::Result<()> {
    let request = Request::post(format!("/api/v1/namespaces/default/{plural}"))
        .header("content-type", "application/json")
        .body(Body::from(object.to_string().into_bytes()))?;
    answered(client, request, 201).await
}

/// Merges a patch into an object of the namespace default.
pub async fn merge(client: &Client, plural: &str, name: &str, patch: &Value) -> anyhow::Result<()> {
    let request = Request::patch(format!("/api/v1/namespaces/default/{plural}/{name}"))
        .header("content-type", "application/merge-patch+json")
        .body(Body::from(patch.to_string().into_bytes()))?;
    answered(client, request, 200).await
}

async fn answered(client: &Client, request: Request<Body>, expected: u16) -> anyhow::Result<()> {
    let answer = client.send(request).await?;
    let code = answer.status();
    answer.into_body().collect().await?;
    ensure!(code == expected, "the API answered {code}");
    Ok(())
}

/// The body of an answer that is 200, as it comes in.
pub async fn get(client: &Client, path: &str, accept: &str) -> anyhow::Result<Body> {
    let request = Request::get(path).header("accept", accept).body(Body::empty())?;
    let answer = client.send(request).await?;
    ensure!(answer.status() == 200, "GET {path} is answered {}", answer.status());
    Ok(answer.into_body())
}
