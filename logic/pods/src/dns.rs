//! The pod's resolv.conf (D4): the node's file and the cluster's servers, merged as the pod's policy says.
//!
//! Pure text in, text and events out. Limits are resolvers': 3 servers, 32 search domains of 2048 characters together.

use crate::decision::Reason;
use crate::spec;
use k8s_openapi::api::core::v1::{Pod, PodDNSConfig};

const SERVERS_MAX: usize = 3;
const SEARCHES_MAX: usize = 32;
const SEARCH_CHARS_MAX: usize = 2048;
const SEARCH_MAX: usize = 253;

/// What a resolv.conf says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolv {
    pub servers: Vec<String>,
    pub searches: Vec<String>,
    pub options: Vec<String>,
}

/// The cluster's DNS, for pods that ask for it.
#[derive(Clone, Debug, Default)]
pub struct ClusterDns {
    /// Empty when there is none.
    pub servers: Vec<String>,
    pub domain: String,
}

/// Reads a resolv.conf. The last `search` line wins, a final dot is dropped (D4.9); what is not understood is skipped.
pub fn parse(text: &str) -> Resolv {
    let mut out = Resolv::default();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => out.servers.extend(words.next().map(str::to_owned)),
            Some("search") => out.searches = words.map(search).collect(),
            Some("options") => out.options = words.map(str::to_owned).collect(),
            _ => {}
        }
    }
    out
}

fn search(word: &str) -> String {
    match word {
        "." => ".".to_owned(),
        word => word.strip_suffix('.').unwrap_or(word).to_owned(),
    }
}

/// What a node without a resolv.conf gives its pods (D4.4).
pub fn without_file() -> Resolv {
    Resolv { servers: vec!["127.0.0.1".to_owned()], searches: vec![".".to_owned()], options: Vec::new() }
}

/// The pod's resolver configuration and the events about what did not fit.
pub fn of_pod(pod: &Pod, node: &Resolv, cluster: &ClusterDns) -> (Resolv, Vec<Reason>) {
    let mut reasons = Vec::new();
    let spec = pod.spec.as_ref();
    let policy = spec.and_then(|it| it.dns_policy.as_deref()).unwrap_or("ClusterFirst");
    let wants_cluster = match policy {
        "ClusterFirst" => !spec::host_network(pod),
        "ClusterFirstWithHostNet" => true,
        _ => false,
    };
    let mut out = match (policy, wants_cluster, cluster.servers.is_empty()) {
        ("None", ..) => Resolv::default(),
        (_, true, false) => cluster_first(pod, node, cluster),
        (_, true, true) => {
            reasons.push(missing_cluster_dns(pod, policy));
            node.clone()
        }
        (_, false, _) => node.clone(),
    };
    if let Some(config) = spec.and_then(|it| it.dns_config.as_ref()) {
        merge(&mut out, config);
    }
    reasons.extend(limit(&mut out));
    (out, reasons)
}

/// D4.1: the cluster's servers, its three search domains before the node's, `ndots:5` alone.
fn cluster_first(pod: &Pod, node: &Resolv, cluster: &ClusterDns) -> Resolv {
    let (namespace, domain) = (pod.metadata.namespace.as_deref().unwrap_or_default(), &cluster.domain);
    let mut searches = match domain.is_empty() {
        true => Vec::new(),
        false => vec![format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.clone()],
    };
    append(&mut searches, node.searches.iter().cloned());
    Resolv { servers: cluster.servers.clone(), searches, options: vec!["ndots:5".to_owned()] }
}

fn missing_cluster_dns(pod: &Pod, policy: &str) -> Reason {
    let name = spec::full_name(pod);
    let message = format!(
        "pod: \"{name}\". kubelet does not have ClusterDNS IP configured and cannot create Pod using \"{policy}\" policy. Falling back to \"Default\" policy."
    );
    Reason::warning("MissingClusterDNS", message)
}

/// Adds what is not there yet.
fn append(list: &mut Vec<String>, more: impl Iterator<Item = String>) {
    for entry in more {
        if !list.contains(&entry) {
            list.push(entry);
        }
    }
}

/// D4.6: servers and searches are appended, options replace those of the same name.
fn merge(out: &mut Resolv, config: &PodDNSConfig) {
    append(&mut out.servers, config.nameservers.iter().flatten().cloned());
    append(&mut out.searches, config.searches.iter().flatten().cloned());
    for option in config.options.iter().flatten() {
        let name = option.name.clone().unwrap_or_default();
        let written = match &option.value {
            Some(value) => format!("{name}:{value}"),
            None => name.clone(),
        };
        match out.options.iter_mut().find(|it| it.split(':').next() == Some(&name)) {
            Some(old) => *old = written,
            None => out.options.push(written),
        }
    }
}

/// D4.7: cuts what resolvers would not take, and says so.
fn limit(out: &mut Resolv) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if out.servers.len() > SERVERS_MAX {
        out.servers.truncate(SERVERS_MAX);
        reasons.push(Reason::warning(
            "DNSConfigForming",
            format!("Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {}", out.servers.join(" ")),
        ));
    }
    let wanted = out.searches.len();
    out.searches.retain(|it| it.len() <= SEARCH_MAX);
    out.searches.truncate(SEARCHES_MAX);
    while out.searches.join(" ").len() > SEARCH_CHARS_MAX {
        out.searches.pop();
    }
    if out.searches.len() < wanted {
        reasons.push(Reason::warning(
            "DNSConfigForming",
            format!("Search Line limits were exceeded, some search paths have been omitted, the applied search line is: {}", out.searches.join(" ")),
        ));
    }
    reasons
}

/// The file's text: servers, search line, options.
pub fn render(resolv: &Resolv) -> String {
    let mut text: String = resolv.servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    if !resolv.searches.is_empty() {
        text.push_str(&format!("search {}\n", resolv.searches.join(" ")));
    }
    if !resolv.options.is_empty() {
        text.push_str(&format!("options {}\n", resolv.options.join(" ")));
    }
    text
}
