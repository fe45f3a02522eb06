//! A pod's claims and where they let it go: bound volumes tie it to their nodes, open claims wait for it.
//!
//! Part of `schedule`. What the scheduler decides for an open claim it writes down in one place: the volume it is
//! promised, or on the claim the node on which one is to be made.

use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use std::sync::Arc;

use super::neighbours::Neighbours;
use super::refusal::Verdict;
use super::spread::Gone;
use crate::key::Key;
use crate::plan::{Action, Step};
use crate::storage::{self, annotation};
use crate::view::View;
use crate::{persistent_volume, provision};

/// What a pod's claims come to.
#[derive(Default)]
pub(super) struct Claims<'a> {
    /// The volumes of bound claims; none where the volume is gone.
    bound: Vec<Option<&'a Arc<PersistentVolume>>>,
    /// Claims that wait for the pod to get a node.
    pub open: Vec<&'a Arc<PersistentVolumeClaim>>,
    /// Claims that one pod alone may use at a time.
    exclusive: Vec<String>,
}

/// The pod's claims, sorted out; or why no node at all will do, in upstream's words.
pub(super) fn claims<'a>(view: &'a View, pod: &Pod) -> Result<Claims<'a>, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut claims = Claims::default();
    for (name, ephemeral) in storage::claims_of(pod) {
        let claim = view.persistent_volume_claims.get(&Key::new(namespace, &name));
        let claim = claim.ok_or_else(|| match ephemeral {
            true => format!(
                "waiting for ephemeral volume controller to create the persistentvolumeclaim \"{name}\""
            ),
            false => format!("persistentvolumeclaim \"{name}\" not found"),
        })?;
        if ephemeral && !provision::is_own(pod, claim) {
            let pod = pod.metadata.name.as_deref().unwrap_or_default();
            return Err(format!(
                "PVC {namespace}/{name} was not created for pod {namespace}/{pod} (pod is not owner)"
            ));
        }
        claims.sort_in(view, claim, &name)?;
    }
    Ok(claims)
}

impl<'a> Claims<'a> {
    fn sort_in(
        &mut self,
        view: &'a View,
        claim: &'a Arc<PersistentVolumeClaim>,
        name: &str,
    ) -> Result<(), String> {
        if claim.metadata.deletion_timestamp.is_some() {
            return Err(format!("persistentvolumeclaim \"{name}\" is being deleted"));
        }
        let volume = storage::volume_name(claim);
        if claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Lost") {
            let volume = volume.unwrap_or_default();
            return Err(format!(
                "persistentvolumeclaim \"{name}\" bound to non-existent persistentvolume \"{volume}\""
            ));
        }
        let class =
            storage::class_of_claim(claim).and_then(|name| view.storage_classes.get(&Key::cluster(name)));
        let modes = claim.spec.as_ref().and_then(|spec| spec.access_modes.as_deref()).unwrap_or_default();
        if modes.iter().any(|mode| mode == "ReadWriteOncePod") {
            self.exclusive.push(name.to_owned());
        }
        match volume {
            Some(volume) if storage::is_bound(claim) => {
                self.bound.push(view.persistent_volumes.get(&Key::cluster(volume)));
            }
            None if class.is_some_and(|class| storage::waits_for_consumer(class)) => self.open.push(claim),
            _ => return Err("pod has unbound immediate PersistentVolumeClaims".to_owned()),
        }
        Ok(())
    }
}

/// Whether another pod, wherever it is, has a claim that only one may use.
pub(super) fn conflict(
    pod: &Pod,
    claims: &Claims<'_>,
    neighbours: &Neighbours<'_>,
    gone: &Gone<'_>,
) -> Option<Verdict> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let taken = !claims.exclusive.is_empty() && neighbours.use_any(namespace, &claims.exclusive, gone);
    let why = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
    taken.then(|| Verdict::passing(why))
}

/// Why the volumes do not go with the node.
pub(super) fn verdict(view: &View, claims: &Claims<'_>, node: &Node) -> Option<Verdict> {
    if claims.bound.iter().any(Option::is_none) {
        let why = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";
        return Some(Verdict::final_(why));
    }
    if !claims.bound.iter().flatten().all(|volume| storage::reaches(volume, node)) {
        return Some(Verdict::final_("node(s) didn't match PersistentVolume's node affinity"));
    }
    let found = |claim: &&Arc<PersistentVolumeClaim>| {
        persistent_volume::best(view, claim, Some(node), true).is_some() || can_be_made(view, claim, node)
    };
    let all = claims.open.iter().all(found);
    (!all).then(|| Verdict::final_("node(s) didn't find available persistent volumes to bind"))
}

fn can_be_made(view: &View, claim: &PersistentVolumeClaim, node: &Node) -> bool {
    let class = storage::class_of_claim(claim).and_then(|name| view.storage_classes.get(&Key::cluster(name)));
    class.is_some_and(|class| match class.provisioner.as_str() {
        storage::NO_PROVISIONER => false,
        storage::LOCAL_PROVISIONER => annotation(&node.metadata, storage::LOCAL_DIRECTORY).is_some(),
        _ => true,
    })
}

/// Whether the node was chosen before for one of the claims.
pub(super) fn was_chosen(claims: &Claims<'_>, node: &Node) -> bool {
    let name = node.metadata.name.as_deref();
    claims
        .open
        .iter()
        .any(|claim| annotation(&claim.metadata, storage::SELECTED_NODE) == name && name.is_some())
}

/// Gets the open claims bound on the node: the pod follows once they are. A volume is promised to one claim only, so
/// of two claims that like the same one, the second waits for the next look.
pub(super) fn steps(view: &View, node: &str, open: &[&Arc<PersistentVolumeClaim>]) -> Vec<Step> {
    let Some(object) = view.nodes.get(&Key::cluster(node)) else { return Vec::new() };
    let (mut steps, mut promised) = (Vec::new(), Vec::new());
    for claim in open {
        let action = match persistent_volume::best(view, claim, Some(object), true) {
            Some(volume) if promised.contains(&volume.metadata.name) => None,
            Some(volume) => {
                promised.push(volume.metadata.name.clone());
                persistent_volume::promise(volume, claim)
            }
            None => select(claim, node),
        };
        steps.extend(action.map(Step::from));
    }
    steps
}

/// Notes the node on the claim; nothing, if it is noted.
fn select(claim: &PersistentVolumeClaim, node: &str) -> Option<Action> {
    let mut after = claim.clone();
    let annotations = after.metadata.annotations.get_or_insert_default();
    annotations.insert(storage::SELECTED_NODE.to_owned(), node.to_owned());
    Action::patch(claim, &after)
}
