//! A pod with one container, and the streaming API in front of it at the paths of an API server.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use kelson_agent::streams::{Answer, Duplex, Log, StreamBackend, StreamError, Target, router};
use kelson_runtime::{AttachConfig, ContainerConfig, ExecConfig, Phase, Pod, PodConfig, Runtime, Session};
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use tokio::sync::watch;
use tower::ServiceExt;

pub struct Stage {
    runtime: Runtime,
    root: PathBuf,
    pub pod: Pod,
    pub address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

struct Backend {
    pod: Pod,
    root: PathBuf,
}

fn failed(error: kelson_runtime::Error) -> StreamError {
    match error.is_gone() {
        true => StreamError::bad_request(error.to_string()),
        false => StreamError::internal(error.to_string()),
    }
}

impl StreamBackend for Backend {
    fn log<'a>(&'a self, target: &'a Target, previous: bool) -> Answer<'a, Log> {
        Box::pin(async move {
            if previous {
                let words = format!(
                    "previous terminated container {:?} in pod {:?} not found",
                    target.container, target.pod
                );
                return Err(StreamError::bad_request(words));
            }
            let mut states = self.pod.watch();
            let id = target.container.clone();
            let (tell, running) = watch::channel(true);
            tokio::spawn(async move {
                let over = |states: &Arc<Vec<kelson_runtime::ContainerState>>| {
                    states.iter().any(|state| state.id == id && state.phase == Phase::Exited)
                };
                let _ = states.wait_for(over).await;
                tell.send_replace(false);
            });
            Ok(Log { path: self.root.join(format!("{}.log", target.container)), running })
        })
    }

    fn exec<'a>(&'a self, target: &'a Target, exec: &'a ExecConfig) -> Answer<'a, Session> {
        Box::pin(async move { self.pod.exec(&target.container, exec).await.map_err(failed) })
    }

    fn attach<'a>(&'a self, target: &'a Target, attach: &'a AttachConfig) -> Answer<'a, Session> {
        Box::pin(async move { self.pod.attach(&target.container, attach).await.map_err(failed) })
    }

    fn dial<'a>(&'a self, _: &'a Target, port: u16) -> Answer<'a, Box<dyn Duplex>> {
        Box::pin(async move {
            let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
            let stream = stream.map_err(|error| StreamError::internal(error.to_string()))?;
            Ok(Box::new(stream) as Box<dyn Duplex>)
        })
    }
}

impl Stage {
    pub async fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("kelson-streams-{name}-{}", std::process::id()));
        std::fs::create_dir_all(root.join("rootfs/bin")).unwrap();
        for sub in ["etc", "tmp", "proc", "sys", "dev"] {
            std::fs::create_dir_all(root.join("rootfs").join(sub)).unwrap();
        }
        std::fs::copy("/bin/busybox", root.join("rootfs/bin/busybox")).expect("busybox-static is installed");
        for applet in ["sh", "cat", "echo", "sleep", "stty", "tty", "tar", "wc", "ls", "cmp", "mkdir", "head"]
        {
            std::os::unix::fs::symlink("busybox", root.join("rootfs/bin").join(applet)).unwrap();
        }
        let runtime = Runtime::new(&root, std::env::current_exe().unwrap());
        let config = PodConfig {
            uid: name.into(),
            cgroup_parent: format!("/kelson-streams-{name}-{}", std::process::id()),
            ..PodConfig::default()
        };
        let pod = runtime.start_pod(&config).await.unwrap();
        let backend = Backend { pod: pod.clone(), root: root.clone() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let api = Router::new().fallback(api).with_state(router(Arc::new(backend)));
        let server = tokio::spawn(async move { axum::serve(listener, api).await.unwrap() });
        Self { runtime, root, pod, address, server }
    }

    /// Starts the container `c` with a script.
    pub async fn start(&self, script: &str, change: impl FnOnce(&mut ContainerConfig)) {
        let mut config = ContainerConfig {
            id: "c".into(),
            name: "c".into(),
            rootfs: self.root.join("rootfs"),
            args: ["/bin/sh", "-c", script].map(String::from).to_vec(),
            log_path: self.root.join("c.log"),
            ..ContainerConfig::default()
        };
        change(&mut config);
        self.pod.create(&config).await.unwrap();
        self.pod.start("c").await.unwrap();
    }

    /// Real kubectl against this stage.
    pub fn kubectl(&self, args: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("kubectl");
        command.arg(format!("--server=http://{}", self.address)).args(args);
        command.env("KUBECONFIG", "/dev/null").env("HOME", &self.root);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub async fn clear(self) {
        self.server.abort();
        let parent = self.pod.config().cgroup_parent.clone();
        self.runtime.destroy_all().await.unwrap();
        for hierarchy in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let _ = std::fs::remove_dir(hierarchy.path().join(parent.trim_start_matches('/')));
        }
        std::fs::remove_dir_all(&self.root).unwrap();
    }
}

/// Just enough of an API server for kubectl: the pod, and its subresources handed to the streaming routes.
async fn api(State(streams): State<Router>, mut request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let container =
        query.split('&').find_map(|pair| pair.strip_prefix("container=")).unwrap_or("c").to_owned();
    let route = match path.strip_prefix("/api/v1/namespaces/default/pods/p") {
        Some("") => return json_response(pod()),
        Some("/log") => "containerLogs",
        Some("/exec") => "exec",
        Some("/attach") => "attach",
        Some("/portforward") => return forward(streams, request, "portForward/default/p").await,
        _ => return discovery(&path),
    };
    *request.uri_mut() = format!("/{route}/default/p/{container}?{query}").parse().unwrap();
    streams.oneshot(request).await.unwrap()
}

async fn forward(streams: Router, mut request: Request, path: &str) -> Response {
    let query = request.uri().query().unwrap_or_default();
    *request.uri_mut() = format!("/{path}?{query}").parse().unwrap();
    streams.oneshot(request).await.unwrap()
}

fn discovery(path: &str) -> Response {
    let pods = json!({
        "name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": ["get"], "shortNames": ["po"],
    });
    match path {
        "/api" => json_response(json!({ "kind": "APIVersions", "versions": ["v1"] })),
        "/apis" => json_response(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [] })),
        "/api/v1" => {
            let list = json!({ "kind": "APIResourceList", "groupVersion": "v1", "resources": [pods] });
            json_response(list)
        }
        _ => axum::http::StatusCode::NOT_FOUND.into_response(),
    }
}

fn pod() -> serde_json::Value {
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": { "name": "p", "namespace": "default", "uid": "u" },
        "spec": { "containers": [{ "name": "c", "image": "x", "stdin": true }] },
        "status": { "phase": "Running" },
    })
}

fn json_response(value: serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}
