//! The API server alone, for trying things by hand: `cargo run -p kelson-apiserver --example serve -- 127.0.0.1:6443 DIR`.
//!
//! Writes `DIR/kubeconfig`; state lies in `DIR`. No controllers, no node.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use kelson_apiserver::{ApiServer, Config};
use kelson_process::Shutdown;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    kelson_process::logging::start();
    let mut arguments = std::env::args().skip(1);
    let listen: SocketAddr = arguments.next().unwrap_or_else(|| "127.0.0.1:6443".into()).parse()?;
    let dir = PathBuf::from(arguments.next().unwrap_or_else(|| "kelson-data".into()));
    std::fs::create_dir_all(&dir)?;
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let store =
        Arc::new(kelson_store::Embedded::open(dir.join("store.redb"), kelson_store::Config::default())?);
    let server = Arc::new(ApiServer::open(Config::new(&dir, address, address.ip()), store).await?);
    std::fs::write(dir.join("kubeconfig"), server.kubeconfig(&format!("https://{address}")))?;
    println!("export KUBECONFIG={}", dir.join("kubeconfig").display());
    let shutdown = Shutdown::new();
    let serving = tokio::spawn(server.serve(listener, shutdown.clone()));
    tokio::signal::ctrl_c().await?;
    shutdown.cancel();
    serving.await?;
    Ok(())
}
