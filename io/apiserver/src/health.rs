//! Whether the server is well: `/healthz`, `/livez`, `/readyz`, and which version it is: `/version`.
//!
//! Looks at the server alone, never at nodes or controllers.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::json;

use crate::negotiate::Encoding;
use crate::request::Query;
use crate::response;
use crate::state::Core;

/// The Kubernetes version whose API is served.
const MINOR: &str = "37";

/// One check: its name, and whether it passed.
type Check = (&'static str, bool);

fn checks(core: &Core, root: &str) -> Vec<Check> {
    let mut checks = vec![("ping", true), ("log", true), ("etcd", true)];
    if root == "readyz" {
        checks.push(("informer-sync", true));
        checks.push(("shutdown", !core.shutdown.is_cancelled()));
    }
    checks
}

/// Answers a health path; `None` when it is none.
pub(crate) fn answer(core: &Core, path: &str, query: &Query) -> Option<Response<Body>> {
    let mut segments = path.trim_matches('/').split('/');
    let root = segments.next().filter(|root| matches!(*root, "healthz" | "livez" | "readyz"))?;
    let checks = checks(core, root);
    Some(match segments.next() {
        None => report(root, &checks, query),
        Some(one) => match checks.iter().find(|(name, _)| *name == one) {
            Some((_, true)) => response::text(StatusCode::OK, "ok"),
            Some((_, false)) => {
                response::text(StatusCode::INTERNAL_SERVER_ERROR, "internal server error: not ok\n")
            }
            None => response::no_such_path(),
        },
    })
}

fn report(root: &str, checks: &[Check], query: &Query) -> Response<Body> {
    let well = checks.iter().all(|(_, passed)| *passed);
    if well && query.find("verbose").is_none() {
        return response::text(StatusCode::OK, "ok");
    }
    let line = |(name, passed): &Check| match passed {
        true => format!("[+]{name} ok\n"),
        false => format!("[-]{name} failed: reason withheld\n"),
    };
    let lines: String = checks.iter().map(line).collect();
    match well {
        true => response::text(StatusCode::OK, format!("{lines}{root} check passed\n")),
        false => response::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{lines}{root} check failed\n")),
    }
}

/// The answer of `/version`.
pub(crate) fn version() -> Response<Body> {
    let version = format!("v1.{MINOR}.0+kelson{}", env!("CARGO_PKG_VERSION"));
    let object = json!({"major": "1", "minor": MINOR, "gitVersion": version, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc", "platform": "linux/amd64"});
    response::object(StatusCode::OK, Encoding::Json, &object)
}
