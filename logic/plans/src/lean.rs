//! What plans never look at of an object is let go before it is kept: there is a copy of every object in a view.
//!
//! Part of `View`, through which all objects come in, so every test of a plan runs without it as well. Nothing that a
//! plan writes back may be missing: patches are differences, and lists in them are whole.

use std::any::Any;

use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, Volume};

use crate::kinds::Kept;
use crate::service_account::ROOT_CA;

/// What `kubectl apply` remembers of a manifest: as large as the object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The object without what no plan reads, in no more room than it needs.
pub(crate) fn lean<K: Kept>(mut object: K) -> K {
    let any: &mut dyn Any = &mut object;
    if let Some(pod) = any.downcast_mut::<Pod>() {
        lean_pod(pod);
    } else if let Some(map) = any.downcast_mut::<ConfigMap>() {
        lean_config_map(map);
    }
    // What grew while it was read is larger than what is in it; a copy is not.
    object.clone()
}

fn lean_pod(pod: &mut Pod) {
    if let Some(annotations) = &mut pod.metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
    let Some(spec) = &mut pod.spec else { return };
    spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()).for_each(lean_container);
    if let Some(volumes) = &mut spec.volumes {
        volumes.retain(is_claimed);
    }
    (spec.dns_config, spec.ephemeral_containers, spec.host_aliases) = (None, None, None);
    (spec.image_pull_secrets, spec.security_context) = (None, None);
}

/// Whether a volume is by way of a claim: the others concern the node alone.
fn is_claimed(volume: &Volume) -> bool {
    volume.persistent_volume_claim.is_some() || volume.ephemeral.is_some()
}

/// What is left is what a container takes up, and under which ports it is found.
fn lean_container(container: &mut Container) {
    let whole = std::mem::take(container);
    *container = Container {
        name: whole.name,
        image: whole.image,
        ports: whole.ports,
        resources: whole.resources,
        resize_policy: whole.resize_policy,
        restart_policy: whole.restart_policy,
        restart_policy_rules: whole.restart_policy_rules,
        ..Container::default()
    };
}

/// Of the contents of ConfigMaps, only those that a controller keeps up count.
fn lean_config_map(map: &mut ConfigMap) {
    if map.metadata.name.as_deref() != Some(ROOT_CA) {
        (map.data, map.binary_data) = (None, None);
    }
}

#[cfg(test)]
mod tests;
