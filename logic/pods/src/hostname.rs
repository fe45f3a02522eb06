//! The pod's hostname and domain (D5.1).

use k8s_openapi::api::core::v1::Pod;

/// Longest label a hostname may be.
const HOSTNAME_MAX: usize = 63;
/// Longest name the kernel takes.
const KERNEL_MAX: usize = 64;

/// Hostname and domain of a pod; the domain is empty unless it has a subdomain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hostname {
    pub short: String,
    pub domain: String,
    /// What `hostname` prints: the short name, or all of it under `setHostnameAsFQDN`.
    pub kernel: String,
}

/// The names of a pod; the error says why it cannot have the one it asks for.
pub fn of(pod: &Pod, cluster_domain: &str) -> Result<Hostname, String> {
    let spec = pod.spec.clone().unwrap_or_default();
    let text = |value: &Option<String>| value.clone().filter(|it| !it.is_empty());
    if let Some(name) = text(&spec.hostname_override) {
        return Ok(Hostname { short: name.clone(), domain: String::new(), kernel: name });
    }
    let name = pod.metadata.name.clone().unwrap_or_default();
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    let short = text(&spec.hostname).unwrap_or_else(|| truncated(&name));
    let domain =
        text(&spec.subdomain).map(|it| format!("{it}.{namespace}.svc.{cluster_domain}")).unwrap_or_default();
    let full = if domain.is_empty() { short.clone() } else { format!("{short}.{domain}") };
    let kernel = if spec.set_hostname_as_fqdn == Some(true) { full } else { short.clone() };
    if kernel.len() > KERNEL_MAX {
        return Err(format!(
            "failed to construct FQDN from pod hostname and cluster domain, FQDN {kernel} is too long (64 characters is the max, {} characters requested)",
            kernel.len()
        ));
    }
    Ok(Hostname { short, domain, kernel })
}

/// The first 63 bytes, without a `-` or `.` at the end of what was cut.
fn truncated(name: &str) -> String {
    match name.get(..HOSTNAME_MAX) {
        Some(cut) if name.len() > HOSTNAME_MAX => cut.trim_end_matches(['-', '.']).to_owned(),
        _ => name.to_owned(),
    }
}
