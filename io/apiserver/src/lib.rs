//! The Kubernetes API over HTTP: a router any client speaks to, in process or over TLS, storing through `kelson-store`.
//!
//! Where it stands: requests come in through [`server`] (TLS, who) or [`ApiServer::local`], go through `dispatch` (what,
//! may they) to a verb or subresource, which asks the registry what the kind's rules are and the store for the rest.
//! Generic over the registry's kinds: a new kind needs nothing here. Never panics on a request.

mod accounts;
mod admission;
mod allocation;
pub mod authn;
mod authz;
mod body;
mod bootstrap;
mod compression;
pub mod config;
mod discovery;
mod dispatch;
mod escalation;
mod expiry;
mod forward;
pub mod fuzz;
mod health;
mod history;
mod impersonation;
mod incoming;
mod metrics;
mod negotiate;
mod objects;
mod openapi;
mod ownership;
pub mod pki;
mod protobuf;
mod quotas;
mod render;
mod request;
mod response;
mod reviews;
mod selection;
mod server;
mod state;
mod subresources;
mod tls;
mod verbs;

use std::net::IpAddr;
use std::sync::{Arc, RwLock};

use axum::extract::Request;
use axum::{Extension, Router};
use kelson_machinery::status::Status;
use kelson_process::Shutdown;
use kelson_store::Store;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub use authn::User;
pub use config::{Config, Limits};
use pki::Pki;
use state::Core;

/// Why the API server could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificates could not be had.
    #[error("could not prepare the API server's certificates")]
    Pki(#[source] pki::Error),
    /// TLS could not be set up.
    #[error("could not set up the API server's TLS")]
    Tls(#[source] tls::Error),
    /// The token file was not taken.
    #[error("could not use --token-auth-file")]
    Tokens(#[source] authn::Error),
    /// ServiceAccounts cannot be given tokens.
    #[error("could not use pki/sa.key; remove it to have a new one made, which ends all tokens")]
    AccountKey(#[source] AccountKeyError),
    /// The roles could not be read.
    #[error("could not read the stored roles")]
    Roles(#[source] kelson_store::StoreError),
    /// The Service range is none.
    #[error("--service-cidr {given} is not usable: {detail}")]
    ServiceCidr {
        /// What was given.
        given: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The NodePort range is none.
    #[error(
        "--service-node-port-range {0}-{1} is not usable: both ends must be within 1-65535, the first not above the last"
    )]
    NodePorts(u16, u16),
    /// What must always exist could not be made.
    #[error("could not create the objects every cluster has (namespaces, the Service kubernetes)")]
    Bootstrap(#[source] Status),
}

pub use accounts::Error as AccountKeyError;
pub use tls::Error as TlsError;

/// The API server.
pub struct ApiServer {
    core: Arc<Core>,
    pki: Pki,
    front: Arc<server::Front>,
}

impl ApiServer {
    /// Prepares certificates, tokens and the objects every cluster has. Nothing listens yet.
    pub async fn open(config: Config, store: Arc<dyn Store>) -> Result<Self, Error> {
        let (ranges, first_service_ip) = allocation::ranges(&config)?;
        let tokens =
            config.token_auth_file.as_deref().map(authn::Tokens::open).transpose().map_err(Error::Tokens)?;
        let pki = open_pki(&config, first_service_ip)?;
        let tls = tls::Tls::new(&pki).map_err(Error::Tls)?;
        let address = std::net::SocketAddr::new(config.advertise, config.listen.port()).to_string();
        let limits = config.limits.clone();
        let bearers = Arc::new(authn::Bearers {
            tokens: tokens.unwrap_or_default(),
            accounts: accounts::Accounts::new(
                &pki.service_account_key,
                &config.cluster_domain,
                store.clone(),
            )
            .map_err(Error::AccountKey)?,
        });
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits));
        let core = Arc::new(Core {
            rights: authz::Rights::open(store.clone()).await.map_err(Error::Roles)?,
            bearers: bearers.clone(),
            root_ca: pki.authority.certificate.clone(),
            store,
            ranges,
            first_service_ip,
            discovery: discovery::Discovery::new(kelson_registry::kinds(), &address),
            metrics: Arc::new(metrics::Metrics::new(kelson_process::now())),
            shutdown: Shutdown::new(),
            turns: quotas::Turns::new(),
            nodes: RwLock::default(),
            reads: semaphore(limits.reads_in_flight),
            writes: semaphore(limits.writes_in_flight),
            watches: semaphore(limits.watches),
            config,
        });
        bootstrap::ensure(&core).await.map_err(Error::Bootstrap)?;
        bootstrap::roles::ensure(&core).await.map_err(Error::Bootstrap)?;
        if !bootstrap::is_reachable(&core) {
            tracing::warn!(address = %core.config.advertise, "pods cannot reach the API at this address; the Service kubernetes gets no endpoints");
        }
        let router = router(&core);
        let front = Arc::new(server::Front { router, tls, bearers, limits });
        Ok(Self { core, pki, front })
    }

    /// The API as a router. Every request needs a [`User`] extension; without one it answers 401.
    pub fn router(&self) -> Router {
        self.front.router.clone()
    }

    /// The router for a component of this process, which acts as `user` and is not counted against the limits.
    pub fn local(&self, user: User) -> Router {
        self.router().layer(Extension(user)).layer(Extension(dispatch::Local))
    }

    /// Serves TLS on a listener until `shutdown`, then finishes what is under way within the grace.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, shutdown: Shutdown) {
        let core = self.core.clone();
        let care = async {
            loop {
                tokio::time::sleep(bootstrap::INTERVAL).await;
                if let Err(status) = bootstrap::ensure(&core).await {
                    tracing::warn!(error = %status, "could not look after the objects every cluster has");
                }
            }
        };
        let sweeping = async {
            loop {
                tokio::time::sleep(expiry::INTERVAL).await;
                if let Err(error) = expiry::sweep(&core, kelson_process::now()).await {
                    tracing::warn!(%error, "could not remove expired Events");
                }
            }
        };
        let ending = async {
            shutdown.cancelled().await;
            core.shutdown.cancel();
            std::future::pending::<()>().await
        };
        tokio::select! {
            () = server::serve(self.front.clone(), listener, shutdown.clone()) => {}
            () = care => {}
            () = sweeping => {}
            () = ending => {}
        }
    }

    /// Makes a node's kubelet API reachable: requests for its pods' logs, exec, attach and port-forward go there.
    pub fn connect_node(&self, node: &str, router: Router) {
        let mut nodes = self.core.nodes.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        nodes.insert(node.to_owned(), router);
    }

    /// The administrator's kubeconfig for this server at `server_url`, for example `https://127.0.0.1:6443`.
    pub fn kubeconfig(&self, server_url: &str) -> String {
        self.pki.kubeconfig(server_url)
    }

    /// The certificates, for what else needs the authority.
    pub fn pki(&self) -> &Pki {
        &self.pki
    }
}

fn router(core: &Arc<Core>) -> Router {
    let core = core.clone();
    Router::new().fallback(move |request: Request| {
        let core = core.clone();
        async move { Box::pin(dispatch::handle(core, request)).await }
    })
}

fn open_pki(config: &Config, first_service_ip: IpAddr) -> Result<Pki, Error> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let addresses = [config.advertise, config.listen.ip(), first_service_ip];
    let names = pki::server_names(
        host.trim(),
        &config.node_name,
        &config.cluster_domain,
        &addresses,
        &config.extra_sans,
    );
    Pki::open(&config.data_dir, &names, kelson_process::now()).map_err(Error::Pki)
}

#[cfg(test)]
mod tests;
