//! What a pod asks for as a whole: requests and limits of its containers together, as upstream adds them up.
//!
//! Invariant: containers and sidecars count together; a step of starting counts with the sidecars before it, and only
//! where it is more. What the pod says for itself goes before its containers; what running it costs is added.

use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceRequirements};

use crate::amounts::{Amounts, List, add, raise, read};

/// What a pod may say for itself, instead of its containers.
const OF_PODS: [&str; 2] = ["cpu", "memory"];

/// Which list is added up.
#[derive(Clone, Copy)]
enum Side {
    Requests,
    Limits,
}

/// What the pod is promised.
pub fn requests(spec: &PodSpec) -> Amounts {
    let mut sum = total(spec, Side::Requests);
    add(&mut sum, &read(spec.overhead.as_ref()));
    sum
}

/// What the pod may take at most; only of what it is limited in.
pub fn limits(spec: &PodSpec) -> Amounts {
    let mut sum = total(spec, Side::Limits);
    let mut overhead = read(spec.overhead.as_ref());
    overhead.retain(|name, _| sum.get(name).is_some_and(|limit| !limit.is_zero()));
    add(&mut sum, &overhead);
    sum
}

fn total(spec: &PodSpec, side: Side) -> Amounts {
    let (mut sum, mut sidecars, mut peak) = (Amounts::new(), Amounts::new(), Amounts::new());
    for container in &spec.containers {
        add(&mut sum, &of(container, side));
    }
    for container in spec.init_containers.iter().flatten() {
        let own = of(container, side);
        let step = match container.restart_policy.as_deref() {
            Some("Always") => {
                add(&mut sum, &own);
                add(&mut sidecars, &own);
                sidecars.clone()
            }
            _ => {
                let mut step = own;
                add(&mut step, &sidecars);
                step
            }
        };
        raise(&mut peak, &step);
    }
    raise(&mut sum, &peak);
    let own = read(list(spec.resources.as_ref(), side));
    sum.extend(own.into_iter().filter(|(name, _)| OF_PODS.contains(&name.as_str())));
    sum
}

fn of(container: &Container, side: Side) -> Amounts {
    read(list(container.resources.as_ref(), side))
}

fn list(resources: Option<&ResourceRequirements>, side: Side) -> Option<&List> {
    let resources = resources?;
    match side {
        Side::Requests => resources.requests.as_ref(),
        Side::Limits => resources.limits.as_ref(),
    }
}
