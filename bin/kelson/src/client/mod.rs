//! The few verbs kelson speaks as a client, so that a machine without kubectl can still be shown something.

pub mod apply;
pub mod delete;
pub mod get;
mod path;

use std::path::PathBuf;

use anyhow::Context;
use kube::config::KubeConfigOptions;

use crate::kubeconfig;

/// Where the cluster is and which namespace is meant.
#[derive(clap::Args)]
pub struct Connection {
    /// Kubeconfig to connect with
    #[arg(long, env = "KUBECONFIG", default_value = "/var/lib/kelson/kubeconfig")]
    kubeconfig: PathBuf,
    /// Namespace of objects that name none
    #[arg(long, short, default_value = "default")]
    namespace: String,
}

impl Connection {
    /// The namespace that is meant.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A client of that cluster.
    pub async fn client(&self) -> anyhow::Result<kube::Client> {
        let path = self.kubeconfig.display();
        let kubeconfig = kubeconfig::read(&self.kubeconfig).with_context(|| {
            format!("reading {path}: is `kelson up` running with this --write-kubeconfig?")
        })?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        kube::Client::try_from(config).with_context(|| format!("connecting as {path} says"))
    }
}

/// Runs one client verb to its end.
pub fn block_on<T>(verb: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(verb)
}
