//! Ingress: HTTP and HTTPS from outside the cluster to the pods behind Ingress objects.
//!
//! ```text
//! Ingress, IngressClass, Secret ─ follow ─┐
//! Snapshot ───────────────────────────────┴► Publisher ► Routing (swapped in whole)
//!                                                           │ decide, certificate
//! client ─ server (threads) ─ connection (limits, TLS) ─┬─ short (wire) ────────────┤
//!                                                       └─ service ─ head ─ forward ─┴► balance ► upstream ► lease ─ pod
//! ```
//!
//! Requests of the common kind, HTTP/1.1 for a pod that speaks it, go by `short` without anything on the way but buffers;
//! all others, malformed ones among them, are given to hyper as they came.
//!
//! Each worker is a thread with a runtime of its own: its listeners, its clients' connections and those to backends never
//! leave it, and a request is served, from its first byte to its response's last, without another thread or a lock that
//! anybody waits for.
//!
//! Which backend a request is for is decided by `kelson-routes`; here are sockets, TLS, connections kept to backends, and
//! what is done when one of them fails. Requests go straight to pods, never through a ClusterIP.
//!
//! **Untrusted bytes.** Everything a client sends: the TLS handshake (read by rustls), request heads and framing (`wire`,
//! which takes only what has one reading; hyper), then in our hands host, path, `Connection`, `Upgrade` and
//! `X-Forwarded-*` (`head`, `kelson_routes`). Everything a backend sends: response heads (httparse, by `wire` or hyper)
//! and framing (`wire`, hyper). What name servers answer (hickory-proto), and Secrets' PEM
//! (rustls-pki-types). None can cause a panic, and each has its bound in [`Limits`] or beside the code that reads it.
//! Bodies are passed on piece by piece and never held.

mod activity;
mod balance;
mod body;
mod certificates;
mod config;
mod connect;
mod connection;
mod error;
mod follow;
mod forward;
mod head;
mod lease;
mod link;
mod metrics;
mod names;
mod patience;
mod places;
mod routing;
mod seldom;
mod server;
mod service;
mod shared;
mod short;
mod status;
mod tunnel;
mod upstream;
pub mod wire;

pub use config::{Config, Limits, NameServers};
pub use error::IngressError;
pub use follow::follow;
pub use metrics::Metrics;
pub use routing::{Publisher, Routing};
pub use server::{Listeners, Server};
