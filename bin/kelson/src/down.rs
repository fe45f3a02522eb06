//! `kelson down`: removes every trace of a cluster of this machine.

use std::path::PathBuf;

use anyhow::Context;

use crate::up::{lock, sockets};

#[derive(clap::Args)]
pub struct Flags {
    /// The data directory given to `kelson up`
    #[arg(long, default_value = "/var/lib/kelson")]
    data_dir: PathBuf,
}

pub fn run(flags: &Flags) -> anyhow::Result<()> {
    let shown = flags.data_dir.display();
    if !flags.data_dir.exists() {
        println!("nothing to remove: {shown} does not exist");
        return Ok(());
    }
    anyhow::ensure!(nix::unistd::geteuid().is_root(), "removing containers and links needs root; use sudo");
    kelson_process::logging::start();
    let _lock = lock::take(&flags.data_dir).context("kelson up still runs")?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(remove(flags))?;
    std::fs::remove_dir_all(&flags.data_dir).with_context(|| format!("removing {shown}"))?;
    println!("removed: containers, mounts, links, tables and {shown}");
    Ok(())
}

async fn remove(flags: &Flags) -> anyhow::Result<()> {
    kelson_agent::destroy(&flags.data_dir).await.context("removing the node's pods")?;
    let pins = sockets::pins(&flags.data_dir)?;
    kelson_proxy::remove_translation(&pins).context("removing the translation at connect()")?;
    kelson_proxy::destroy().context("removing the packet filter's table")?;
    Ok(())
}
