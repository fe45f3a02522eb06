//! The ingress of `kelson up`: on the node's ports, for the class `kelson` and for Ingresses that name none.
//!
//! A port that somebody else has is named in a warning, and the cluster goes on without it: unlike the API's port it is
//! nothing that a cluster needs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use k8s_openapi::api::networking::v1::IngressClass;
use kelson_ingress::{Config as Settings, IngressError, Limits, Listeners, NameServers, Publisher, Server};
use kelson_model::Snapshot;
use kelson_process::Shutdown;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::config::Config;
use super::{figures, listeners};
use crate::files;
use crate::ingress::pages;

/// Marks the class of Ingresses that name none (spec G1.13).
const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";

/// Starts the ingress on the ports that are free; a line that says which, unless there is none.
pub async fn start(
    config: &Config,
    client: kube::Client,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    shutdown: &Shutdown,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<Option<String>> {
    let settings = settings(config);
    let (listeners, errors) = Listeners::bind(&settings).await;
    errors.iter().for_each(|(name, error)| warn(name, error));
    let ports = [("HTTP", listeners.http()), ("HTTPS", listeners.https())];
    let served = ports.into_iter().filter_map(|(name, address)| Some((name, address?.port())));
    let served: Vec<String> = served.map(|(name, port)| format!("{name} on port {port}")).collect();
    if served.is_empty() {
        return Ok(None);
    }
    publish_class(&client, &settings).await.context("publishing the IngressClass kelson")?;
    let (publisher, routing) = Publisher::new(&settings);
    let pages = pages::pages(publisher.metrics(), routing.clone());
    figures::serve(config, "ingress", pages::PORT, pages, shutdown, tasks).await;
    let server = Server::start(settings.clone(), listeners, &publisher, routing, shutdown.clone());
    let server = server.context("starting the ingress")?;
    tasks.spawn(kelson_ingress::follow(client, snapshots, settings, publisher, shutdown.clone()));
    tasks.spawn(server.finished());
    Ok(Some(served.join(", ")))
}

fn settings(config: &Config) -> Settings {
    let on = |port: u16| (port != 0).then(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port));
    Settings {
        http: on(config.ingress_ports.0),
        https: on(config.ingress_ports.1),
        status_addresses: vec![config.node_ip],
        name_servers: NameServers::ResolvConf(config.resolv_conf.clone()),
        limits: Limits::default().within_files(files::raise_limit()),
        ..Settings::new(&config.cluster_domain)
    }
}

fn warn(name: &str, error: &IngressError) {
    let flag = format!("--ingress-{name}-port");
    match error {
        IngressError::Listen { address, source } if source.kind() == std::io::ErrorKind::AddrInUse => {
            let port = address.port();
            let holder =
                listeners::holder_of(port).map_or_else(String::new, |holder| format!(" by {holder}"));
            tracing::warn!(
                "port {port} is in use{holder}, so no Ingress is served on it; pass another {flag}, or 0 for none"
            );
        }
        error => {
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, "no Ingress is served there; pass another {flag}, or 0 for none");
        }
    }
}

/// Makes the class, once: what an administrator makes of it later is left alone.
async fn publish_class(client: &kube::Client, settings: &Settings) -> anyhow::Result<()> {
    let class = &settings.routes.class;
    let object = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": { "name": class.name, "annotations": { DEFAULT_CLASS: "true" } },
        "spec": { "controller": class.controller },
    });
    let classes: Api<IngressClass> = Api::all(client.clone());
    match classes.create(&PostParams::default(), &serde_json::from_str(&object.to_string())?).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        created => created.map(drop).map_err(Into::into),
    }
}
