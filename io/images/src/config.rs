//! How an image wants to be run: the part of its configuration the node needs.
//!
//! Read from Docker's and from OCI's configuration JSON alike; whatever else is in there is ignored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{ImageError, Result};
use crate::name::is_digest;

/// Where executables are looked for when the image does not say.
pub const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image's defaults for its containers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageConfig {
    /// What is run, before the arguments.
    #[serde(deserialize_with = "or_default")]
    pub entrypoint: Vec<String>,
    /// The arguments (or, without an entrypoint, all of the command).
    #[serde(deserialize_with = "or_default")]
    pub cmd: Vec<String>,
    /// The environment, `NAME=value` each.
    #[serde(deserialize_with = "or_default")]
    pub env: Vec<String>,
    /// `user[:group]`, names or numbers; empty is root.
    #[serde(deserialize_with = "or_default")]
    pub user: String,
    /// Where it starts; empty is `/`.
    #[serde(deserialize_with = "or_default")]
    pub working_dir: String,
    /// Ports as `80/tcp`.
    #[serde(deserialize_with = "or_default")]
    pub exposed_ports: BTreeMap<String, serde_json::Value>,
    /// Paths that want volumes of their own.
    #[serde(deserialize_with = "or_default")]
    pub volumes: BTreeMap<String, serde_json::Value>,
    /// Labels.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// The signal that asks it to end; empty is SIGTERM.
    #[serde(deserialize_with = "or_default")]
    pub stop_signal: String,
}

impl ImageConfig {
    /// What a bare root file system is run as: a shell.
    pub fn shell() -> Self {
        Self { cmd: vec!["/bin/sh".to_owned()], env: vec![DEFAULT_PATH.to_owned()], ..Self::default() }
    }
}

/// Null means the default: Docker writes it so.
fn or_default<'de, D, T>(deserializer: D) -> std::result::Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A configuration blob, as far as it matters here.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ConfigFile {
    /// `amd64`, `arm64`.
    #[serde(default)]
    pub architecture: String,
    /// `linux`.
    #[serde(default)]
    pub os: String,
    /// The containers' defaults.
    #[serde(default, deserialize_with = "or_default")]
    pub config: ImageConfig,
    /// The layers.
    #[serde(default)]
    pub rootfs: RootFs,
}

/// The layers an image is made of.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// The digests of the uncompressed layers, lowest first.
    #[serde(default, deserialize_with = "or_default")]
    pub diff_ids: Vec<String>,
}

/// The most layers an image may have.
const LAYERS_MAX: usize = 500;

impl ConfigFile {
    /// Parses a configuration from anybody. `what` names the image in errors.
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self> {
        let bad = |why: String| ImageError::Config { what: what.to_owned(), why };
        let file: Self = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        if file.rootfs.diff_ids.len() > LAYERS_MAX {
            return Err(bad(format!("it has more than {LAYERS_MAX} layers")));
        }
        match file.rootfs.diff_ids.iter().find(|layer| !is_digest(layer)) {
            Some(odd) => Err(bad(format!("its layer {odd:?} is no digest"))),
            None => Ok(file),
        }
    }

    /// The configuration of an image made here.
    pub fn of(config: ImageConfig, diff_ids: Vec<String>) -> Self {
        let rootfs = RootFs { kind: "layers".to_owned(), diff_ids };
        Self { architecture: architecture().to_owned(), os: "linux".to_owned(), config, rootfs }
    }
}

/// This machine's architecture, as images call it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}
