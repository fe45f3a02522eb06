//! What all requests share: the store, the limits, the nodes' routers, the discovery documents.
//!
//! Immutable but for the nodes, the permits and the counters. Never holds an object: those are the store's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, RwLock};

use axum::Router;
use jiff::Timestamp;
use kelson_machinery::status::Status;
use kelson_process::Shutdown;
use kelson_registry::allocate::Ranges;
use kelson_registry::{Kind, OlderVersion};
use kelson_store::Store;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::authn::{Bearers, User};
use crate::authz::Rights;
use crate::config::Config;
use crate::discovery::Discovery;
use crate::metrics::Metrics;
use crate::negotiate::Accept;
use crate::quotas::Turns;
use crate::request::{Query, ResourcePath};

/// The server behind the router.
pub(crate) struct Core {
    pub config: Config,
    pub store: Arc<dyn Store>,
    /// Who may do what.
    pub rights: Rights,
    /// Who shows which token.
    pub bearers: Arc<Bearers>,
    /// The authority's certificate (PEM), for whoever must trust this server.
    pub root_ca: String,
    pub ranges: Ranges,
    /// The first address of the Service range: that of the Service `kubernetes`.
    pub first_service_ip: std::net::IpAddr,
    pub discovery: Discovery,
    pub metrics: Arc<Metrics>,
    /// Ends watches and streams.
    pub shutdown: Shutdown,
    pub nodes: RwLock<BTreeMap<String, Router>>,
    pub reads: Arc<Semaphore>,
    pub writes: Arc<Semaphore>,
    pub watches: Arc<Semaphore>,
    /// Who writes to which namespace, where quotas count.
    pub turns: Turns,
}

impl Core {
    /// A permit of one of the limits, or upstream's 429.
    pub fn permit(limit: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Status> {
        let busy = |_| Status::too_many_requests("Too many requests, please try again later.", 1);
        limit.clone().try_acquire_owned().map_err(busy)
    }

    /// The router of a node's kubelet API, if the node is connected.
    pub fn node(&self, name: &str) -> Option<Router> {
        self.nodes.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(name).cloned()
    }
}

/// One request on a resource, understood and authorized.
pub(crate) struct Call {
    pub core: Arc<Core>,
    pub user: User,
    pub kind: &'static Kind,
    /// Set when the client speaks an older version of the kind.
    pub older: Option<&'static OlderVersion>,
    pub path: ResourcePath,
    pub query: Query,
    pub accept: Accept,
    pub now: Timestamp,
    /// The field manager; empty when nobody says.
    pub writer: String,
    warnings: Mutex<Vec<String>>,
}

impl Call {
    /// A call at this moment, without warnings yet.
    pub fn new(
        core: Arc<Core>,
        user: User,
        resolved: (&'static Kind, Option<&'static OlderVersion>),
        path: ResourcePath,
        query: Query,
        accept: Accept,
    ) -> Self {
        let (kind, older) = resolved;
        let (now, warnings) = (kelson_process::now(), Mutex::default());
        let writer = crate::ownership::writer(&query, &Default::default(), &user);
        Self { core, user, kind, older, path, query, accept, now, writer, warnings }
    }

    /// The name in the path; empty on collections.
    pub fn name(&self) -> &str {
        self.path.name.as_deref().unwrap_or_default()
    }

    /// The namespace in the path; empty for all, or for cluster-scoped kinds.
    pub fn namespace(&self) -> &str {
        self.path.namespace.as_deref().unwrap_or_default()
    }

    /// Tells the client something that does not fail the request.
    pub fn warn(&self, warning: impl Into<String>) {
        self.warnings.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(warning.into());
    }

    /// The warnings so far, taken out.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
