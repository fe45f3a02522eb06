//! Whole requests to the API server, over a store of its own: no panic, and an answer in time.
//!
//! An input is up to [`REQUESTS_MAX`] requests between [`BETWEEN`] bytes, each a line `METHOD TARGET`, lines of headers, an
//! empty line, the body. What they store stays for the inputs after, until the server is made anew.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use kelson_apiserver::{ApiServer, Config, User};
use kelson_store::Embedded;
use percent_encoding::percent_decode;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

/// Most requests of one input.
const REQUESTS_MAX: usize = 4;
/// What lies between two.
pub const BETWEEN: u8 = 0x1e;
/// Inputs a server takes.
const INPUTS_MAX: usize = 500;
/// How long an answer may take, on a slow and crowded machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a watch is listened to.
const WATCHED_FOR: Duration = Duration::from_millis(3);
/// Parts of paths that lead on to nodes, pods and Services: nothing is sent anywhere from here.
const LEADS_AWAY: &[&str] = &["proxy", "log", "exec", "attach", "portforward"];

/// A server and where its store is.
struct Server {
    api: ApiServer,
    runtime: Runtime,
    place: PathBuf,
    inputs: usize,
}

thread_local! {
    static SERVER: RefCell<Option<Server>> = const { RefCell::new(None) };
}

impl Server {
    fn new() -> Self {
        let place = std::env::temp_dir().join(format!("kelson-fuzz-api-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir_all(&place).expect("the temporary directory can be written to");
        let store =
            Embedded::open(place.join("store"), kelson_store::Config::default()).expect("a new store");
        let config = Config::new(&place, ([127, 0, 0, 1], 6443).into(), [192, 0, 2, 1].into());
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let api =
            runtime.block_on(ApiServer::open(config, Arc::new(store))).expect("a server on a new store");
        Self { api, runtime, place, inputs: 0 }
    }

    fn answer(&mut self, request: Request<Body>) {
        let watches = request.uri().query().is_some_and(|query| query.contains("watch"));
        let router = self.api.router();
        self.runtime.block_on(async {
            let answer = async {
                let answer = router.oneshot(request).await.expect("a router is infallible");
                assert_ne!(answer.status().as_u16(), 500, "an internal error");
                let rest = answer.into_body().collect();
                match watches {
                    true => drop(tokio::time::timeout(WATCHED_FOR, rest).await),
                    false => drop(rest.await.expect("an answer is whole")),
                }
            };
            tokio::time::timeout(PATIENCE, answer).await.expect("an answer comes in time");
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.place);
    }
}

/// See the module's head.
pub fn request(bytes: &[u8]) {
    SERVER.with_borrow_mut(|server| {
        if server.as_ref().is_some_and(|server| server.inputs >= INPUTS_MAX) {
            *server = None;
        }
        let server = server.get_or_insert_with(Server::new);
        server.inputs += 1;
        let requests = bytes.split(|byte| *byte == BETWEEN).take(REQUESTS_MAX);
        requests.filter_map(parse).for_each(|request| server.answer(request));
    });
}

/// A request of the administrator's; `None` when HTTP has none of that form, or it would lead away from here.
fn parse(bytes: &[u8]) -> Option<Request<Body>> {
    let mut rest = bytes;
    let mut line = || {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after.strip_prefix(b"\n").unwrap_or(after);
        line
    };
    let first = std::str::from_utf8(line()).ok()?;
    let (method, target) = first.split_once(' ')?;
    let path = percent_decode(target.as_bytes()).decode_utf8_lossy().to_lowercase();
    if LEADS_AWAY.iter().any(|part| path.contains(part)) {
        return None;
    }
    let mut request = Request::builder().method(method).uri(target);
    loop {
        match line() {
            [] => break,
            header => {
                let colon = header.iter().position(|byte| *byte == b':')?;
                request = request.header(&header[..colon], header[colon + 1..].trim_ascii());
            }
        }
    }
    let mut request = request.body(Body::from(rest.to_vec())).ok()?;
    request.extensions_mut().insert(User::new("admin", &["system:masters"]));
    Some(request)
}
