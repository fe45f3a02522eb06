//! `kelson down`: everything the node made, whether or not it still works.
//!
//! Goes on past what fails and returns the first failure, so that a second call has less to do. Images stay unless their
//! directory is removed by the caller: they are the user's.

use crate::cgroup;
use crate::config::AgentConfig;
use crate::error::{AgentError, file};
use crate::host;
use crate::paths::Paths;
use crate::volumes;
use kelson_images::Images;
use kelson_network::{PodNetwork, netns};
use kelson_runtime::Runtime;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

/// Removes every trace of the node whose files are in `data_dir`: containers, mounts, network namespaces, bridge, files.
pub async fn destroy(data_dir: &Path) -> Result<(), AgentError> {
    let paths = Paths::new(data_dir);
    let mut first = Ok(());
    let mut note = |result: Result<(), AgentError>| {
        if let (Ok(()), Err(error)) = (&first, result) {
            first = Err(error);
        }
    };
    note(Runtime::new(paths.runtime(), "/proc/self/exe").destroy_all().await.map_err(AgentError::from));
    cgroup::remove(&paths);
    note(release_roots(&paths));
    // Ranges do not matter for removal; the bridge is found by its name.
    let config = AgentConfig::new("", IpAddr::V4(Ipv4Addr::LOCALHOST), data_dir);
    note(match host::network_config(&config) {
        Ok(network) => PodNetwork::destroy(&network).await.map_err(AgentError::from),
        Err(error) => Err(error),
    });
    for entry in fs::read_dir(paths.netns_dir()).into_iter().flatten().flatten() {
        note(netns::remove(&entry.path()).map_err(AgentError::from));
    }
    for dir in paths.of_node() {
        note(volumes::remove(&dir).map_err(file("remove", &dir)));
    }
    first
}

fn release_roots(paths: &Paths) -> Result<(), AgentError> {
    let Ok(entries) = fs::read_dir(paths.roots()) else { return Ok(()) };
    let images = Images::open(paths.images())?;
    for entry in entries.flatten() {
        images.release(entry.path())?;
    }
    Ok(())
}
