//! What one object uses of the names that quotas limit, and which of those names are about it at all.
//!
//! Invariant: `usage` names only what `concerns` says yes to. A pod that has ended, or should have by now, uses nothing
//! but its place in `count/pods`.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use kelson_machinery::quantity::Quantity;

use crate::amounts::{Amounts, read};
use crate::demand;

/// Kinds of the core group whose count has a name of its own besides `count/…`.
const ALIASES: [&str; 4] = ["configmaps", "replicationcontrollers", "resourcequotas", "secrets"];
const COMPUTE: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const HUGE_PAGES: &str = "hugepages-";
/// Between a class and what is counted of its claims.
const OF_CLASS: &str = ".storageclass.storage.k8s.io/";
/// How claims named their class before there was a field.
const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// An object as quotas see it.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    Pod(&'a Pod),
    Service(&'a Service),
    Claim(&'a PersistentVolumeClaim),
    /// Of any other kind: merely counted.
    Other {
        group: &'a str,
        plural: &'a str,
    },
}

/// What an object uses.
pub fn usage(subject: &Subject<'_>, now: Timestamp) -> Amounts {
    match subject {
        Subject::Pod(pod) => of_pod(pod, now),
        Subject::Service(service) => of_service(service),
        Subject::Claim(claim) => of_claim(claim),
        Subject::Other { group, plural } => {
            let alias = is_alias(group, plural).then(|| (*plural).to_owned());
            alias.into_iter().chain([count_name(group, plural)]).map(|name| (name, one())).collect()
        }
    }
}

/// Whether a limited name is about objects of this kind.
pub fn concerns(subject: &Subject<'_>, name: &str) -> bool {
    match subject {
        Subject::Pod(_) => is_of_pods(name),
        Subject::Service(_) => {
            matches!(name, "count/services" | "services" | "services.nodeports" | "services.loadbalancers")
        }
        Subject::Claim(_) => is_of_claims(name),
        Subject::Other { group, plural } => {
            is_alias(group, plural) && name == *plural || name == count_name(group, plural)
        }
    }
}

/// Whether updates of such objects may use more than before.
pub fn grows(subject: &Subject<'_>) -> bool {
    matches!(subject, Subject::Service(_) | Subject::Claim(_))
}

pub(crate) fn is_of_pods(name: &str) -> bool {
    let bare = name.strip_prefix("requests.").or(name.strip_prefix("limits.")).unwrap_or(name);
    let huge = name.strip_prefix("requests.").unwrap_or(name).starts_with(HUGE_PAGES);
    let extended = name.starts_with("requests.") && name.contains('/') && !name.contains("kubernetes.io/");
    matches!(name, "pods" | "count/pods") || COMPUTE.contains(&bare) || huge || extended
}

pub(crate) fn is_of_claims(name: &str) -> bool {
    let plain = name.rsplit_once(OF_CLASS).map_or(name, |(_, plain)| plain);
    matches!(plain, "persistentvolumeclaims" | "requests.storage") || name == "count/persistentvolumeclaims"
}

fn is_alias(group: &str, plural: &str) -> bool {
    group.is_empty() && ALIASES.contains(&plural)
}

/// The kind in the core group that a name without `count/` stands for.
pub(crate) fn alias(name: &str) -> Option<&str> {
    ALIASES.contains(&name).then_some(name)
}

fn count_name(group: &str, plural: &str) -> String {
    match group {
        "" => format!("count/{plural}"),
        group => format!("count/{plural}.{group}"),
    }
}

fn one() -> Quantity {
    Quantity::whole(1)
}

/// Whether a pod uses anything but its place: it has not ended, nor had the time to.
pub fn is_charged(pod: &Pod, now: Timestamp) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Failed" | "Succeeded")) && released_at(pod).is_none_or(|at| now <= at)
}

/// When a pod that is on its way out counts as gone though it is not.
pub fn released_at(pod: &Pod) -> Option<Timestamp> {
    let since = pod.metadata.deletion_timestamp.as_ref()?.0;
    let grace = SignedDuration::from_secs(pod.metadata.deletion_grace_period_seconds?);
    since.checked_add(grace).ok()
}

fn of_pod(pod: &Pod, now: Timestamp) -> Amounts {
    let mut used = Amounts::from([("count/pods".to_owned(), one())]);
    if let Some(spec) = pod.spec.as_ref().filter(|_| is_charged(pod, now)) {
        used.extend(compute(&demand::requests(spec), &demand::limits(spec)));
    }
    used
}

/// Requests and limits by the names that quotas have for them.
pub(crate) fn compute(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut used = Amounts::from([("pods".to_owned(), one())]);
    for (name, amount) in requests {
        let (huge, own) = (name.starts_with(HUGE_PAGES), COMPUTE.contains(&name.as_str()));
        if own || huge {
            used.insert(name.clone(), *amount);
        }
        let extended = name.contains('/') && !name.contains("kubernetes.io/");
        if own || huge || (extended && !name.starts_with("requests.")) {
            used.insert(format!("requests.{name}"), *amount);
        }
    }
    for (name, amount) in limits.iter().filter(|(name, _)| COMPUTE.contains(&name.as_str())) {
        used.insert(format!("limits.{name}"), *amount);
    }
    used
}

fn of_service(service: &Service) -> Amounts {
    let spec = service.spec.as_ref();
    let ports = spec.and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let all = ports.len();
    let given = ports.iter().filter(|port| port.node_port.is_some_and(|port| port != 0)).count();
    let spares = spec.and_then(|spec| spec.allocate_load_balancer_node_ports) == Some(false);
    let (node_ports, balancers) = match spec.and_then(|spec| spec.type_.as_deref()) {
        Some("NodePort") => (all, 0),
        Some("LoadBalancer") => (if spares { given } else { all }, 1),
        _ => (0, 0),
    };
    let whole = |count: usize| Quantity::whole(i64::try_from(count).unwrap_or(i64::MAX));
    Amounts::from([
        ("count/services".to_owned(), one()),
        ("services".to_owned(), one()),
        ("services.nodeports".to_owned(), whole(node_ports)),
        ("services.loadbalancers".to_owned(), whole(balancers)),
    ])
}

fn of_claim(claim: &PersistentVolumeClaim) -> Amounts {
    let mut used = Amounts::from([("count/persistentvolumeclaims".to_owned(), one())]);
    let class = claim.metadata.annotations.as_ref().and_then(|notes| notes.get(OLD_CLASS));
    let class = class.or(claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_ref()));
    let mut note = |name: &str, amount: Quantity| {
        if let Some(class) = class.filter(|class| !class.is_empty()) {
            used.insert(format!("{class}{OF_CLASS}{name}"), amount);
        }
        used.insert(name.to_owned(), amount);
    };
    note("persistentvolumeclaims", one());
    if let Some(size) = size(claim) {
        note("requests.storage", size);
    }
    used
}

/// What a claim asks for, or what was made ready for it where that is more; whole bytes.
fn size(claim: &PersistentVolumeClaim) -> Option<Quantity> {
    let resources = claim.spec.as_ref()?.resources.as_ref()?;
    let asked = *read(resources.requests.as_ref()).get("storage")?;
    let allocated = claim.status.as_ref().and_then(|status| status.allocated_resources.as_ref());
    let allocated = read(allocated).get("storage").copied();
    Some(allocated.map_or(asked, |allocated| asked.max(allocated)).ceil())
}

#[cfg(test)]
mod tests;
