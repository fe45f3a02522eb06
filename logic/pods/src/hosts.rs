//! The pod's /etc/hosts (D5.3), byte for byte as a kubelet writes it.

use crate::hostname::Hostname;
use k8s_openapi::api::core::v1::HostAlias;
use std::fmt::Write;

/// The hosts file of a pod with its own addresses.
pub fn of_pod(ips: &[String], hostname: &Hostname, aliases: &[HostAlias]) -> String {
    let mut text = String::from("# Kubernetes-managed hosts file.\n");
    text.push_str("127.0.0.1\tlocalhost\n");
    text.push_str("::1\tlocalhost ip6-localhost ip6-loopback\n");
    text.push_str("fe00::0\tip6-localnet\n");
    text.push_str("fe00::0\tip6-mcastprefix\n");
    text.push_str("fe00::1\tip6-allnodes\n");
    text.push_str("fe00::2\tip6-allrouters\n");
    for ip in ips {
        match hostname.domain.is_empty() {
            true => line(&mut text, &[ip, &hostname.short]),
            false => {
                line(&mut text, &[ip, &format!("{0}.{1}", hostname.short, hostname.domain), &hostname.short])
            }
        }
    }
    with_aliases(text, aliases)
}

/// The hosts file of a pod on the host's network: the node's own, and the aliases.
pub fn of_host(node: &str, aliases: &[HostAlias]) -> String {
    with_aliases(format!("# Kubernetes-managed hosts file (host network).\n{node}"), aliases)
}

fn with_aliases(mut text: String, aliases: &[HostAlias]) -> String {
    if aliases.is_empty() {
        return text;
    }
    text.push_str("\n# Entries added by HostAliases.\n");
    for alias in aliases {
        let names = alias.hostnames.as_deref().unwrap_or_default().join("\t");
        line(&mut text, &[&alias.ip, &names]);
    }
    text
}

fn line(text: &mut String, words: &[&str]) {
    writeln!(text, "{}", words.join("\t")).expect("a String takes every write");
}
