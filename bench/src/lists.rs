//! What a LIST of many pods costs the server: whole, in pages, and as the table kubectl asks for.
//!
//! The CPU time is the server's own; the client's, on the same machine, is not in it.

use std::path::Path;
use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};
use http_body_util::BodyExt;
use kube::Client;
use serde_json::{Value, json};

use crate::api;
use crate::node::Node;
use crate::report;

/// Pods listed.
const PODS: usize = 10_000;
/// Writes under way at once while they are made.
const WRITES: usize = 32;
/// LISTs of each form.
const LISTS: usize = 10;
/// Where they are.
const ALL: &str = "/api/v1/namespaces/default/pods";
/// The same in pages as long as kubectl's.
const PAGED: &str = "/api/v1/namespaces/default/pods?limit=500";
const PLAIN: &str = "application/json";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
/// Name of a form, what is asked for.
const FORMS: [(&str, &str, &str); 3] =
    [("whole", ALL, PLAIN), ("in pages of 500", PAGED, PLAIN), ("in pages of 500, as a table", PAGED, TABLE)];

/// Makes the pods, and lists them in each form.
pub async fn measure(kelson: &Path, data_dir: &Path) -> anyhow::Result<()> {
    let (node, _) = Node::start(kelson, data_dir)?;
    let client = node.client().await?;
    let pods: Vec<Value> = (0..PODS).map(pod).collect();
    stream::iter(&pods)
        .map(|pod| api::create(&client, "pods", pod))
        .buffer_unordered(WRITES)
        .try_for_each(|()| async { Ok(()) })
        .await?;
    tokio::time::sleep(crate::SETTLE).await;
    report(&format!("memory (PSS) with {PODS} pods, MB"), node.memory_mb()?);
    for (form, path, accept) in FORMS {
        let (begin, before, mut bytes) = (Instant::now(), node.cpu()?, 0);
        for _ in 0..LISTS {
            bytes += list(&client, path, accept).await?;
        }
        let (took, cpu) = (begin.elapsed().as_secs_f64(), (node.cpu()? - before).as_secs_f64());
        let name = format!("LIST of {PODS} pods, {form}");
        report(&format!("{name}: MB"), bytes as f64 / LISTS as f64 / 1e6);
        report(&format!("{name}: ms of the server's CPU time"), cpu * 1e3 / LISTS as f64);
        report(&format!("{name}: ms until all of it is here"), took * 1e3 / LISTS as f64);
        report(&format!("{name}: MB/s"), bytes as f64 / took / 1e6);
    }
    report(&format!("memory (PSS) after {} LISTs, MB", LISTS * FORMS.len()), node.memory_mb()?);
    node.remove()
}

/// As a Deployment's pods are, of moderate size; nobody schedules it.
fn pod(number: usize) -> Value {
    let container = |name: &str| {
        json!({ "name": name, "image": "registry.example/team/program:1.2.3", "args": ["--port", "8080"],
            "env": [{ "name": "LOG", "value": "info" },
                { "name": "NODE", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } }],
            "ports": [{ "name": "http", "containerPort": 8080 }],
            "resources": { "requests": { "cpu": "100m", "memory": "64Mi" }, "limits": { "memory": "128Mi" } },
            "readinessProbe": { "httpGet": { "path": "/ready", "port": "http" } } })
    };
    let labels = json!({ "app": "program", "pod-template-hash": "5d59d67564" });
    json!({ "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": format!("program-5d59d67564-{number:05}"), "labels": labels },
        "spec": { "schedulerName": "nobody", "containers": [container("program"), container("beside")] } })
}

/// All of a LIST, page after page; how many bytes it was.
async fn list(client: &Client, path: &str, accept: &str) -> anyhow::Result<usize> {
    let (mut bytes, mut page) = (0, path.to_owned());
    loop {
        let body = api::get(client, &page, accept).await?.collect().await?.to_bytes();
        bytes += body.len();
        match next(&body) {
            Some(token) => page = format!("{path}&continue={token}"),
            None => return Ok(bytes),
        }
    }
}

/// The token of the page after this one. It stands in the list's own metadata, wherever that is; no pod of ours says it.
fn next(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let token = text.split_once("\"continue\":\"")?.1.split('"').next()?;
    (!token.is_empty()).then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn the_next_page() {
        let check =
            |body: &str, expected: Option<&str>| assert_eq!(next(body.as_bytes()).as_deref(), expected);
        check(
            r#"{"kind":"List","metadata":{"resourceVersion":"7","continue":"abc"},"items":[]}"#,
            Some("abc"),
        );
        check(r#"{"metadata":{"continue":"","resourceVersion":"7"},"items":[]}"#, None);
        check(r#"{"metadata":{"resourceVersion":"7"},"items":[]}"#, None);
        check("", None);
    }
}
