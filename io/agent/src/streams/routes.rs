//! The kubelet API's paths: from a request to a [`Target`], its options and the answer's form.
//!
//! Options come in the API's spelling (`stdin=true`) or the kubelet's own (`input=1`). What is wrong is said before
//! the connection is upgraded, as a `Status`; what fails in the container engine, after.

use super::channels::{self, Protocol};
use super::log_options;
use super::remote_spdy::Wanted;
use super::{StreamBackend, StreamError, Target, forward, log_reader, remote, remote_spdy, tunnel};
use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use kelson_machinery::status::Status;
use kelson_runtime::{AttachConfig, ExecConfig, Session};
use std::sync::Arc;

type Backend = Arc<dyn StreamBackend>;
type Pairs = Query<Vec<(String, String)>>;
type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// port-forward's protocol over SPDY, and the name of SPDY inside a WebSocket.
const FORWARD: &str = "portforward.k8s.io";
const FORWARD_OVER_WEBSOCKET: &str = "SPDY/3.1+portforward.k8s.io";
/// Arguments of a command; the kernel's own bound on one is 128 KiB.
const ARGUMENTS_MAX: usize = 4096;

/// The routes, to be merged into the agent's own.
pub fn router(backend: Backend) -> Router {
    Router::new()
        .route("/containerLogs/{namespace}/{pod}/{container}", get(logs))
        .route("/exec/{namespace}/{pod}/{container}", any(exec))
        .route("/attach/{namespace}/{pod}/{container}", any(attach))
        .route("/portForward/{namespace}/{pod}", any(port_forward))
        .with_state(backend)
}

fn target((namespace, pod, container): (String, String, String)) -> Target {
    Target { namespace, pod, container }
}

async fn logs(
    State(backend): State<Backend>,
    Path(path): Path<(String, String, String)>,
    Query(pairs): Pairs,
) -> Response {
    let target = target(path);
    let options = match log_options::parse(&pairs, &target.pod, kelson_process::now()) {
        Ok(options) => options,
        Err(status) => return refuse(&status),
    };
    let log = match backend.log(&target, options.previous).await {
        Ok(log) => log,
        Err(error) => return refuse(&error.status()),
    };
    match log_reader::body(log, options) {
        Ok(body) => ([(header::CONTENT_TYPE, "text/plain")], body).into_response(),
        Err(error) => refuse(&Status::internal(&format!("reading the log: {error}"))),
    }
}

async fn exec(
    State(backend): State<Backend>,
    Path(path): Path<(String, String, String)>,
    Query(pairs): Pairs,
    upgrade: Upgrade,
    request: Request,
) -> Response {
    let (remote, exec) =
        match Remote::negotiate(upgrade, request).and_then(|remote| Ok((remote, exec_options(&pairs)?))) {
            Ok(result) => result,
            Err(status) => return refuse(&status),
        };
    let session = backend.exec(&target(path), &exec).await;
    let wanted = Wanted { stdin: exec.stdin, stdout: exec.stdout, stderr: exec.stderr, tty: exec.tty };
    remote.connect(session, wanted, exec.args, "error executing command in container")
}

async fn attach(
    State(backend): State<Backend>,
    Path(path): Path<(String, String, String)>,
    Query(pairs): Pairs,
    upgrade: Upgrade,
    request: Request,
) -> Response {
    let (remote, wanted) =
        match Remote::negotiate(upgrade, request).and_then(|remote| Ok((remote, streams(&pairs)?))) {
            Ok(result) => result,
            Err(status) => return refuse(&status),
        };
    let attach = AttachConfig { stdin: wanted.stdin, stdout: wanted.stdout, stderr: wanted.stderr };
    let session = backend.attach(&target(path), &attach).await;
    remote.connect(session, wanted, Vec::new(), "error attaching to container")
}

/// port-forward: SPDY itself, or SPDY inside a WebSocket.
async fn port_forward(
    State(backend): State<Backend>,
    Path((namespace, pod)): Path<(String, String)>,
    upgrade: Upgrade,
    mut request: Request,
) -> Response {
    let target = Target { namespace, pod, container: String::new() };
    match upgrade {
        Ok(upgrade) => upgrade
            .max_message_size(remote::MESSAGE_MAX)
            .protocols([FORWARD_OVER_WEBSOCKET])
            .on_upgrade(move |socket| forward::serve(tunnel::bytes_of(socket), backend, target)),
        Err(_) if tunnel::is_spdy(request.headers()) => {
            match tunnel::negotiate(request.headers(), &[FORWARD]) {
                Ok(protocol) => {
                    tunnel::upgrade(&mut request, protocol, move |io| forward::serve(io, backend, target))
                }
                Err(status) => refuse(&status),
            }
        }
        Err(_) => refuse(&Status::bad_request("Upgrade request required")),
    }
}

/// A request that can be upgraded, in either of the two ways.
enum Remote {
    WebSocket(WebSocketUpgrade, Protocol),
    Spdy(Request, &'static str),
}

impl Remote {
    fn negotiate(upgrade: Upgrade, request: Request) -> Result<Self, Status> {
        if tunnel::is_spdy(request.headers()) {
            let protocol = tunnel::negotiate(request.headers(), &remote_spdy::PROTOCOLS)?;
            return Ok(Remote::Spdy(request, protocol));
        }
        let (upgrade, protocol) = negotiate(upgrade)?;
        Ok(Remote::WebSocket(upgrade, protocol))
    }

    /// Upgrades and serves; refuses plainly what the request is to blame for.
    fn connect(
        self,
        session: Result<Session, StreamError>,
        wanted: Wanted,
        command: Vec<String>,
        words: &str,
    ) -> Response {
        let session = match session {
            Err(error) if error.code < 500 => return refuse(&error.status()),
            session => session.map_err(|error| format!("{words}: {error}")),
        };
        match self {
            Remote::WebSocket(upgrade, protocol) => upgrade.on_upgrade(move |socket| async move {
                match session {
                    Ok(session) => remote::serve(socket, protocol, session, command).await,
                    Err(why) => remote::refuse(socket, protocol, why).await,
                }
            }),
            Remote::Spdy(mut request, protocol) => tunnel::upgrade(&mut request, protocol, move |io| {
                remote_spdy::serve(io, protocol, wanted, session, command)
            }),
        }
    }
}

fn negotiate(upgrade: Upgrade) -> Result<(WebSocketUpgrade, Protocol), Status> {
    let upgrade = upgrade.map_err(|_| Status::bad_request("Upgrade request required"))?;
    let requested: Vec<String> = upgrade
        .requested_protocols()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(String::from)
        .collect();
    let protocol = channels::choose(requested.iter().map(String::as_str)).ok_or_else(|| {
        let ours = channels::PROTOCOLS.map(|protocol| protocol.name).join(", ");
        Status::bad_request(format!(
            "unable to negotiate protocol: client supports {requested:?}, server supports [{ours}]"
        ))
    })?;
    let mut upgrade = upgrade.max_message_size(remote::MESSAGE_MAX).max_frame_size(remote::MESSAGE_MAX);
    if !requested.is_empty() {
        upgrade = upgrade.protocols([protocol.name]);
    }
    Ok((upgrade, protocol))
}

fn streams(pairs: &[(String, String)]) -> Result<Wanted, Status> {
    let flag = |names: [&str; 2]| {
        pairs.iter().any(|(key, value)| names.contains(&key.as_str()) && log_options::is_true(value))
    };
    let tty = flag(["tty", "tty"]);
    let streams = Wanted {
        stdin: flag(["stdin", "input"]),
        stdout: flag(["stdout", "output"]),
        // A terminal has one output.
        stderr: flag(["stderr", "error"]) && !tty,
        tty,
    };
    match streams.stdin || streams.stdout || streams.stderr {
        true => Ok(streams),
        false => Err(Status::bad_request("you must specify at least 1 of stdin, stdout, stderr")),
    }
}

pub fn exec_options(pairs: &[(String, String)]) -> Result<ExecConfig, Status> {
    let Wanted { stdin, stdout, stderr, tty } = streams(pairs)?;
    let args: Vec<String> =
        pairs.iter().filter(|(key, _)| key == "command").map(|(_, value)| value.clone()).collect();
    if args.is_empty() || args.len() > ARGUMENTS_MAX {
        return Err(Status::bad_request(format!(
            "you must specify a command of 1 to {ARGUMENTS_MAX} arguments"
        )));
    }
    Ok(ExecConfig { args, tty, stdin, stdout, stderr, ..ExecConfig::default() })
}

/// A `Status` as the response.
fn refuse(status: &Status) -> Response {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (code, [(header::CONTENT_TYPE, "application/json")], status.to_json().to_string()).into_response()
}
