//! Where the pods' connections are translated at connect(): files below the data directory, and the pods' control group.

use std::path::{Path, PathBuf};

use anyhow::Context;
use kelson_proxy::Place;

use super::config::{Config, SocketTranslation};

/// The place, if translation is wanted and the machine has control groups of version 2. What an earlier start left is
/// removed when it is wanted no more.
pub fn place(config: &Config) -> anyhow::Result<Option<Place>> {
    let pins = pins(&config.data_dir)?;
    if config.socket_translation == SocketTranslation::Off {
        kelson_proxy::remove_translation(&pins).context("removing the translation at connect()")?;
        return Ok(None);
    }
    let group = kelson_agent::pods_cgroup(&config.data_dir)?;
    let cgroup = kelson_runtime::unified_dir(&group);
    if cgroup.is_none() {
        tracing::info!("no control groups of version 2; Services are translated in packets alone");
    }
    Ok(cgroup.map(|cgroup| Place { pins, cgroup }))
}

/// The directory that holds what outlives the process.
pub fn pins(data_dir: &Path) -> anyhow::Result<PathBuf> {
    let absolute =
        std::path::absolute(data_dir).with_context(|| format!("--data-dir: {}", data_dir.display()))?;
    Ok(absolute.join("bpf"))
}
