//! What a part that runs alone has in common with the others: how its process begins and ends, and how it comes to the
//! API of the cluster it serves.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use kube::config::KubeConfigOptions;
use tokio::runtime::Builder;

use crate::exit::Usage;
use crate::kubeconfig;

/// How long what still blocks a thread may take at the end.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// Runs a part to its end, on so many threads; with 0 on the one there is.
pub fn run(threads: usize, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    kelson_process::logging::start();
    // A second part in one process finds the provider installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match threads {
        0 => Builder::new_current_thread().enable_all().build()?,
        threads => Builder::new_multi_thread().worker_threads(threads).enable_all().build()?,
    };
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(LEFTOVERS);
    outcome
}

/// The client of that kubeconfig, or of the service account of the pod this runs in.
pub async fn client(path: Option<&Path>) -> anyhow::Result<kube::Client> {
    let config = match path {
        Some(path) => {
            let kubeconfig = kubeconfig::read(path)
                .with_context(|| format!("--kubeconfig: reading {}", path.display()))?;
            kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .with_context(|| format!("--kubeconfig: {} cannot be used", path.display()))?
        }
        None => kube::Config::incluster().map_err(|error| {
            Usage(format!("--kubeconfig: none is given, and this is no pod with a service account ({error})"))
        })?,
    };
    Ok(kube::Client::try_from(config)?)
}
