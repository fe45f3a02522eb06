//! A pod that serves gRPC's health protocol, and says now this and now that: what its readiness makes of it.
//!
//! The server is this very test binary, run in a container; the address it has is told by whoever sets it, over HTTP/1 on
//! the same port.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Empty, Full, combinators::BoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;

use crate::harness::Cluster;

/// Tells the program below that it is in a pod; its value is the port.
const PORT: &str = "GRPC_HEALTH_PORT";

const MANIFEST: &str = "
apiVersion: v1
kind: Service
metadata: {name: health}
spec: {selector: {app: health}, ports: [{port: 80, targetPort: 50051}]}
---
apiVersion: v1
kind: Pod
metadata: {name: whole, labels: {app: health}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: kelson.local/health:latest
    imagePullPolicy: Never
    args: ['grpc::health_server', --exact, --ignored, --nocapture]
    env: [{name: GRPC_HEALTH_PORT, value: '50051'}]
    readinessProbe: {grpc: {port: 50051}, periodSeconds: 1, failureThreshold: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: part, labels: {app: health}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: kelson.local/health:latest
    imagePullPolicy: Never
    args: ['grpc::health_server', --exact, --ignored, --nocapture]
    env: [{name: GRPC_HEALTH_PORT, value: '50051'}]
    readinessProbe: {grpc: {port: 50051, service: shop}, periodSeconds: 1, failureThreshold: 1}
";

/// The addresses that the Service leads to come to be those of `pods`.
fn leads_to(cluster: &Cluster, pods: &[&str]) {
    let mut wanted: Vec<String> = pods.iter().map(|pod| address(cluster, pod)).collect();
    wanted.sort();
    cluster.until("get endpoints health -o jsonpath='{.subsets[*].addresses[*].ip}'", |text| {
        let mut there: Vec<&str> = text.split_whitespace().collect();
        there.sort_unstable();
        there == wanted
    });
}

fn address(cluster: &Cluster, pod: &str) -> String {
    cluster.kubectl(&format!("get pod {pod} -o jsonpath='{{.status.podIP}}'")).text
}

/// Makes the pod's server answer `status` when it is asked for `service`.
fn set(cluster: &Cluster, pod: &str, service: &str, status: u8) {
    let url = format!("http://{}:50051/{service}?{status}", address(cluster, pod));
    assert_eq!(cluster.curl(&url).as_deref(), Ok("done\n"));
}

#[test]
fn f8_readiness_is_what_the_health_protocol_says() {
    let mut cluster = Cluster::prepare("grpc", &[]);
    let program = std::env::current_exe().expect("a test has a file");
    cluster.kelson(&format!("image from-binary {} --name kelson.local/health:latest", program.display()));
    cluster.up();
    let manifest = cluster.scratch().join("manifest.yaml");
    std::fs::write(&manifest, MANIFEST).expect("the manifest is written");
    cluster.kubectl(&format!("apply -f {}", manifest.display()));

    cluster.kubectl("wait --for=condition=Ready pod/whole --timeout=30s");
    leads_to(&cluster, &["whole"]);
    let told = |pod: &str, words: &str| {
        cluster.until(&format!("describe pod {pod}"), |text| text.contains(words));
    };
    told(
        "part",
        "Readiness probe failed: error: health rpc probe failed: rpc error: code = NotFound desc = unknown service",
    );

    set(&cluster, "part", "shop", 1);
    leads_to(&cluster, &["part", "whole"]);

    set(&cluster, "whole", "", 2);
    leads_to(&cluster, &["part"]);
    told("whole", "Readiness probe failed: service unhealthy (responded with \"NOT_SERVING\")");
    // What is said of one service is not said of another.
    set(&cluster, "part", "", 2);
    set(&cluster, "whole", "shop", 2);
    set(&cluster, "whole", "", 1);
    leads_to(&cluster, &["part", "whole"]);

    set(&cluster, "part", "shop", 2);
    leads_to(&cluster, &["whole"]);
    let restarts =
        "get pods -l app=health -o jsonpath='{.items[*].status.containerStatuses[0].restartCount}'";
    cluster.kubectl(restarts).prints("0 0");
}

/// What the server says of each service; of itself as a whole it says SERVING at first.
type Statuses = Arc<Mutex<BTreeMap<String, u8>>>;

#[test]
#[ignore = "the program of the pods above"]
fn health_server() {
    let port: u16 = std::env::var(PORT).ok().and_then(|text| text.parse().ok()).expect("this runs in a pod");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("0.0.0.0", port)).await.expect("the port is free");
        let statuses: Statuses = Arc::new(Mutex::new(BTreeMap::from([(String::new(), 1)])));
        while let Ok((stream, _)) = listener.accept().await {
            let statuses = statuses.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(request, statuses.clone()));
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

type Answer = Result<Response<BoxBody<Bytes, Infallible>>, Infallible>;

async fn answer(request: Request<Incoming>, statuses: Statuses) -> Answer {
    if request.method() == Method::GET {
        let (service, status) = (request.uri().path().trim_start_matches('/'), request.uri().query());
        let status = status.and_then(|text| text.parse().ok()).expect("a status is set");
        statuses.lock().expect("nobody panics").insert(service.to_owned(), status);
        return Ok(Response::new(Full::from("done\n").boxed()));
    }
    let is_check = request.uri().path() == "/grpc.health.v1.Health/Check";
    assert_eq!((is_check, &request.headers()["content-type"]), (true, &"application/grpc".parse().unwrap()));
    let message = request.into_body().collect().await.expect("the request arrives").to_bytes();
    // Five bytes of frame, then field 1: the service's name, if it has one.
    let service = String::from_utf8_lossy(message.get(7..).unwrap_or_default()).into_owned();
    let status = statuses.lock().expect("nobody panics").get(&service).copied();
    Ok(health(status))
}

/// The answer, its verdict in trailers as gRPC has it; without a body for a service that is not known.
fn health(status: Option<u8>) -> Response<BoxBody<Bytes, Infallible>> {
    let response = Response::builder().header("content-type", "application/grpc");
    match status {
        Some(status) => {
            let message = Full::from(vec![0, 0, 0, 0, 2, 8, status]);
            let verdict = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
            response.body(message.with_trailers(async move { Some(Ok(verdict)) }).boxed())
        }
        None => response
            .header("grpc-status", "5")
            .header("grpc-message", "unknown service")
            .body(Empty::new().boxed()),
    }
    .expect("constant headers are valid")
}
