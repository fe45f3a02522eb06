//! What parts of `kelson up` count: pages on the pod bridge's address, for whoever collects figures in the cluster.

use std::net::SocketAddr;

use kelson_pages::Pages;
use kelson_process::Shutdown;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::config::Config;

/// Serves a part's pages until `shutdown`; a port that is taken costs the figures, nothing else.
pub async fn serve(
    config: &Config,
    part: &str,
    port: u16,
    pages: Pages,
    shutdown: &Shutdown,
    tasks: &mut JoinSet<()>,
) {
    let address = SocketAddr::new(config.gateway(), port);
    match TcpListener::bind(address).await {
        Ok(listener) => drop(tasks.spawn(kelson_pages::serve(listener, pages, shutdown.clone()))),
        Err(error) => {
            tracing::warn!(part, %error, "a part's figures are not served on http://{address}/metrics")
        }
    }
}
