//! Routes: Ingresses become a table, a request's head becomes a decision. The HTTP side of `compile`.
//!
//! ```text
//! Ingress, IngressClass ─ Compiler::ingresses ─┐
//! Snapshot ────────────── Compiler::compile ───┴► RouteTable ─ decide(host, path) ► backend | not found
//!                                                            └ certificate(SNI) ► Secret
//! ```
//!
//! The table is a function of the objects, never of the order they came in: where two Ingresses claim the same host and
//! path the older has it (spec G2). A bad Ingress is left out with a warning and blinds nothing else. A decision costs a
//! look-up for each path element that any rule is deep, whatever the client sends. Nothing here panics on any host or
//! path, and nothing knows a socket, a name server or a clock.

mod backend;
mod class;
mod host;
mod path;
mod rules;
mod status;
mod table;
#[cfg(test)]
mod test_world;

pub use backend::{AppProtocol, Backend, BackendRef, PortRef, Target, Unavailable};
pub use class::ClassConfig;
pub use host::normalize as normalize_host;
pub use path::normalize as normalize_path;
pub use status::{IngressName, StatusWrite, plan_status};
pub use table::{BackendId, Compiler, Decision, Route, RouteConfig, RouteTable, SecretName};
