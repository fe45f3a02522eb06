//! `limits.ephemeral-storage`: how much containers may write, and what is said of a pod that wrote more.
//!
//! Upstream's texts. The pod as a whole has the sum of the limits that its containers have, and its volumes count to it.

use super::rank::total;
use super::{Resource, Usage};
use crate::spec;
use k8s_openapi::api::core::v1::{Container, Pod};
use kelson_machinery::quantity::Quantity;

/// Whether there is anything to look at.
pub fn is_limited(pod: &Pod) -> bool {
    spec::containers(pod).any(|container| limit(container).is_some())
}

/// Why the pod has to go, if it or one of its containers wrote more than it may.
pub fn overrun(pod: &Pod, usage: &Usage) -> Option<String> {
    let main = spec::main_containers(pod).iter().filter_map(limit).reduce(|sum, it| sum.plus(&it));
    let init = spec::init_containers(pod).iter().filter_map(limit).max();
    let used = Quantity::bytes(total(usage, Resource::Storage));
    if let Some(limit) = main.max(init).filter(|limit| used > *limit) {
        return Some(format!(
            "Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "
        ));
    }
    let over = |container: &Container| {
        let limit = limit(container).filter(|limit| !limit.is_zero())?;
        let used = usage.containers.iter().find(|used| used.name == container.name)?;
        (Quantity::bytes(used.storage) > limit).then_some((&used.name, limit))
    };
    let (name, limit) = spec::main_containers(pod).iter().find_map(over)?;
    Some(format!("Container {name} exceeded its local ephemeral storage limit \"{limit}\". "))
}

fn limit(container: &Container) -> Option<Quantity> {
    let limits = container.resources.as_ref()?.limits.as_ref()?;
    Quantity::parse(&limits.get(Resource::Storage.name())?.0).ok()
}
