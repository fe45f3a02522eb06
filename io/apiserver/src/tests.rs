//! The server as clients see it: requests through the router, over an embedded store in a directory of its own.

mod access;
mod apply;
mod claims_and_priorities;
mod client;
mod deletion;
mod ephemeral;
mod evictions;
mod formats;
mod kubectl;
mod lists;
mod node_rights;
mod nodes;
mod patches;
mod proxy;
mod quotas;
mod roles;
mod services;
mod transport;
mod watches;
mod writes;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use kelson_store::Embedded;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{ApiServer, Config, User};

/// A directory that goes when the test does.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let dir =
            std::env::temp_dir().join(format!("kelson-apiserver-{:016x}", kelson_process::random_u64()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One server and its store.
struct Harness {
    server: Arc<ApiServer>,
    dir: Scratch,
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    code: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    /// The Status' code, reason and message.
    fn status(&self) -> (u16, &str, &str) {
        let text = |key: &str| self.body[key].as_str().unwrap_or_default();
        (self.code, text("reason"), text("message"))
    }

    fn warnings(&self) -> Vec<&str> {
        self.headers.get_all("warning").iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// Asserts the code and passes the body on.
    #[track_caller]
    fn expect(self, code: u16) -> Value {
        assert_eq!(self.code, code, "{:#}", self.body);
        self.body
    }
}

impl Harness {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        Self::open(Scratch::new(), adjust).await
    }

    async fn open(dir: Scratch, adjust: impl FnOnce(&mut Config)) -> Self {
        let store = Embedded::open(dir.path().join("store"), kelson_store::Config::default()).unwrap();
        let mut config =
            Config::new(dir.path(), "127.0.0.1:6443".parse().unwrap(), "192.0.2.1".parse().unwrap());
        adjust(&mut config);
        let server = Arc::new(ApiServer::open(config, Arc::new(store)).await.unwrap());
        Self { server, dir }
    }

    async fn raw(&self, user: User, mut request: Request<Body>) -> Response<Body> {
        request.extensions_mut().insert(user);
        self.server.router().oneshot(request).await.unwrap()
    }

    async fn send(
        &self,
        user: User,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.raw(user, request.body(body.into()).unwrap()).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into()));
        Answer { code: parts.status.as_u16(), headers: parts.headers, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(admin(), "GET", path, &[], Body::empty()).await
    }

    async fn post(&self, path: &str, object: Value) -> Answer {
        self.send(admin(), "POST", path, &[], object.to_string()).await
    }

    async fn put(&self, path: &str, object: &Value) -> Answer {
        self.send(admin(), "PUT", path, &[], object.to_string()).await
    }

    async fn patch(&self, path: &str, form: &str, patch: Value) -> Answer {
        let media = format!("application/{form}+json");
        self.send(admin(), "PATCH", path, &[("content-type", &media)], patch.to_string()).await
    }

    async fn delete(&self, path: &str, options: Value) -> Answer {
        let body = if options.is_null() { String::new() } else { options.to_string() };
        self.send(admin(), "DELETE", path, &[], body).await
    }
}

fn admin() -> User {
    User::new("admin", &["system:masters"])
}

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";
const SERVICES: &str = "/api/v1/namespaces/default/services";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}})
}

fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "nginx"}]}})
}

fn deployment(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}}})
}

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}})
}
