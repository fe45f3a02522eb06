//! What the operator says about the proxy.

use kelson_sockets::Place;
use kelson_tables::Options;

/// The proxy's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Rewrite the source of every connection to a ClusterIP (kube-proxy's `--masquerade-all`).
    pub masquerade_all: bool,
    /// Rewrite the source of pods that talk to addresses outside the pod ranges, as a network plugin otherwise would.
    pub masquerade_pods: bool,
    /// The interfaces that lead to pods, at most 15 bytes each; traffic for the pod ranges leaves by no other. Empty
    /// beside a foreign network plugin: then nothing is guarded, and `masquerade_pods` should be off.
    pub pod_interfaces: Vec<String>,
    /// Where pods' connections may be translated at connect(); none, and the packet filter does it all.
    pub at_connect: Option<Place>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            masquerade_all: false,
            masquerade_pods: true,
            pod_interfaces: vec!["kelson0".into()],
            at_connect: None,
        }
    }
}

impl Config {
    /// The same, as the tables take it.
    pub fn options(&self) -> Options {
        Options {
            masquerade_all: self.masquerade_all,
            masquerade_pods: self.masquerade_pods,
            pod_interfaces: self.pod_interfaces.clone(),
        }
    }
}
