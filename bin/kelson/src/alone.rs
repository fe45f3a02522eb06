//! What a part that runs alone has in common with the others: how it comes to the API of the cluster it serves.

use std::path::Path;

use anyhow::Context;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::exit::Usage;

/// The client of that kubeconfig, or of the service account of the pod this runs in.
pub async fn client(kubeconfig: Option<&Path>) -> anyhow::Result<kube::Client> {
    let config = match kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path)
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
