//! The kubelet API's paths: from a request to a [`Target`], its options and the answer's form.
//!
//! Options come in the API's spelling (`stdin=true`) or the kubelet's own (`input=1`). What is wrong is said before
//! the connection is upgraded, as a `Status`; what fails in the container engine, after.

use super::channels::{self, Protocol};
use super::log_options;
use super::{StreamBackend, StreamError, Target, log_reader, remote};
use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use kelson_machinery::status::Status;
use kelson_runtime::{AttachConfig, ExecConfig, Session};
use std::sync::Arc;

type Backend = Arc<dyn StreamBackend>;
type Pairs = Query<Vec<(String, String)>>;
type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// Arguments of a command; the kernel's own bound on one is 128 KiB.
const ARGUMENTS_MAX: usize = 4096;

/// The routes, to be merged into the agent's own.
pub fn router(backend: Backend) -> Router {
    Router::new()
        .route("/containerLogs/{namespace}/{pod}/{container}", get(logs))
        .route("/exec/{namespace}/{pod}/{container}", any(exec))
        .route("/attach/{namespace}/{pod}/{container}", any(attach))
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
) -> Response {
    let (upgrade, protocol) = match negotiate(upgrade) {
        Ok(negotiated) => negotiated,
        Err(status) => return refuse(&status),
    };
    let exec = match exec_options(&pairs) {
        Ok(exec) => exec,
        Err(status) => return refuse(&status),
    };
    let session = backend.exec(&target(path), &exec).await;
    let words = |error| format!("error executing command in container: {error}");
    connect(upgrade, protocol, session, exec.args, words)
}

async fn attach(
    State(backend): State<Backend>,
    Path(path): Path<(String, String, String)>,
    Query(pairs): Pairs,
    upgrade: Upgrade,
) -> Response {
    let (upgrade, protocol) = match negotiate(upgrade) {
        Ok(negotiated) => negotiated,
        Err(status) => return refuse(&status),
    };
    let streams = match streams(&pairs) {
        Ok(streams) => streams,
        Err(status) => return refuse(&status),
    };
    let attach = AttachConfig { stdin: streams.stdin, stdout: streams.stdout, stderr: streams.stderr };
    let session = backend.attach(&target(path), &attach).await;
    connect(upgrade, protocol, session, Vec::new(), |error| format!("error attaching to container: {error}"))
}

/// Upgrades and serves; refuses plainly what the request is to blame for.
fn connect(
    upgrade: WebSocketUpgrade,
    protocol: Protocol,
    session: Result<Session, StreamError>,
    command: Vec<String>,
    words: impl FnOnce(String) -> String,
) -> Response {
    match session {
        Ok(session) => upgrade.on_upgrade(move |socket| remote::serve(socket, protocol, session, command)),
        Err(error) if error.code < 500 => refuse(&error.status()),
        Err(error) => {
            let why = words(error.message);
            upgrade.on_upgrade(move |socket| remote::refuse(socket, protocol, why))
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

struct Streams {
    stdin: bool,
    stdout: bool,
    stderr: bool,
    tty: bool,
}

fn streams(pairs: &[(String, String)]) -> Result<Streams, Status> {
    let flag = |names: [&str; 2]| {
        pairs.iter().any(|(key, value)| names.contains(&key.as_str()) && log_options::is_true(value))
    };
    let tty = flag(["tty", "tty"]);
    let streams = Streams {
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

fn exec_options(pairs: &[(String, String)]) -> Result<ExecConfig, Status> {
    let Streams { stdin, stdout, stderr, tty } = streams(pairs)?;
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
