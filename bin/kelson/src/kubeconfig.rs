//! Kubeconfigs, read as kubectl reads them: YAML or JSON, paths in them relative to the file.
//!
//! `kube` has a reader too, with a YAML parser of its own, which is a fortieth of the binary; the API server's does here.

use std::fs;
use std::path::Path;

use anyhow::Context;
use kube::config::{AuthInfo, Kubeconfig};

/// Reads the file; the error says what is wrong with it, not which file it is.
pub fn read(path: &Path) -> anyhow::Result<Kubeconfig> {
    let text = fs::read_to_string(path)?;
    let mut kubeconfig: Kubeconfig = serde_yaml_ng::from_str(&text).context("it is no kubeconfig")?;
    let dir = path.parent().unwrap_or(Path::new("."));
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        resolve(dir, &mut cluster.certificate_authority);
    }
    for user in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        resolve_user(dir, user);
    }
    Ok(kubeconfig)
}

fn resolve_user(dir: &Path, user: &mut AuthInfo) {
    resolve(dir, &mut user.client_certificate);
    resolve(dir, &mut user.client_key);
    resolve(dir, &mut user.token_file);
    // A plugin without a slash is looked for in PATH, as kubectl does.
    if let Some(exec) = user.exec.as_mut().filter(|exec| exec.command.iter().any(|it| it.contains('/'))) {
        resolve(dir, &mut exec.command);
    }
}

/// Makes a path relative to the file's directory one that leads there from here. A path that is no text is left.
fn resolve(dir: &Path, place: &mut Option<String>) {
    if let Some(path) = place
        && let Some(found) = dir.join(&*path).to_str()
    {
        *path = found.to_owned();
    }
}

#[cfg(test)]
mod tests;
