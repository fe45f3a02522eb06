//! One claim: finds its volume, is bound to it, notices that it is lost, and goes once nobody uses it.

use k8s_openapi::api::core::v1::{
    ObjectReference, PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimStatus,
};
use k8s_openapi::api::storage::v1::StorageClass;
use std::sync::Arc;

use super::{AGAIN, matching};
use crate::key::Key;
use crate::plan::{Action, Plan, Reason, Step};
use crate::pod;
use crate::storage::{self, annotation};
use crate::view::View;

pub(super) fn plan(view: &View, claim: &Arc<PersistentVolumeClaim>) -> Plan {
    if claim.metadata.deletion_timestamp.is_some() {
        return Plan::of(let_go(view, claim).map(Step::from).into_iter().collect());
    }
    match annotation(&claim.metadata, storage::BIND_COMPLETED) {
        Some(_) => bound(view, claim),
        None => unbound(view, claim),
    }
}

/// The finalizer goes once no pod on a node uses the claim.
fn let_go(view: &View, claim: &PersistentVolumeClaim) -> Option<Action> {
    let key = Key::of(&claim.metadata);
    let used = view.pods.within(&key.namespace).any(|(_, pod)| {
        pod::node(pod).is_some()
            && !pod::is_terminal(pod)
            && storage::claims_of(pod).iter().any(|(name, _)| *name == key.name)
    });
    if used {
        return None;
    }
    let mut after = claim.clone();
    let finalizers = after.metadata.finalizers.get_or_insert_default();
    finalizers.retain(|it| it != storage::CLAIM_IN_USE);
    Action::patch(claim, &after)
}

/// A claim that was bound stays with its volume or is lost.
fn bound(view: &View, claim: &PersistentVolumeClaim) -> Plan {
    let Some(name) = storage::volume_name(claim) else {
        return lost(
            claim,
            "ClaimLost",
            "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!",
        );
    };
    match view.persistent_volumes.get(&Key::cluster(name)) {
        None => {
            lost(claim, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
        }
        Some(volume) if storage::claim_ref(volume).is_none() || storage::is_for(volume, claim) => {
            bind(volume, claim)
        }
        Some(_) => lost(
            claim,
            "ClaimMisbound",
            "Two claims are bound to the same volume, this one is bound incorrectly",
        ),
    }
}

fn lost(claim: &PersistentVolumeClaim, reason: &'static str, message: &str) -> Plan {
    let mut after = claim.clone();
    after.status.get_or_insert_default().phase = Some("Lost".to_owned());
    let step = Action::patch_status(claim, &after).map(Step::from);
    Plan::of(step.map(|step| step.done(Reason::warning(claim, reason, message))).into_iter().collect())
}

fn unbound(view: &View, claim: &PersistentVolumeClaim) -> Plan {
    match storage::volume_name(claim) {
        Some(name) => named(view, claim, name),
        None => nameless(view, claim),
    }
}

/// The user chose the volume.
fn named(view: &View, claim: &PersistentVolumeClaim, name: &str) -> Plan {
    let waits = |reason: Option<Reason>| told(claim, reason);
    let Some(volume) = view.persistent_volumes.get(&Key::cluster(name)) else {
        let message = format!("volume \"{name}\" not found");
        return waits(Some(Reason::warning(claim, "FailedBinding", message)));
    };
    if storage::is_for(volume, claim) {
        return bind(volume, claim);
    }
    if storage::claim_ref(volume).is_some() {
        let message = format!("volume \"{name}\" already bound to a different claim.");
        return waits(Some(Reason::warning(claim, "FailedBinding", message)));
    }
    match matching::mismatch(volume, claim) {
        Some(why) => {
            let message = format!("Cannot bind to requested volume \"{name}\": {why}");
            waits(Some(Reason::warning(claim, "VolumeMismatch", message)))
        }
        None => bind(volume, claim),
    }
}

/// The cluster chooses: a volume there is, or one that is made.
fn nameless(view: &View, claim: &PersistentVolumeClaim) -> Plan {
    let Some(name) = storage::class_of_claim(claim) else {
        return match storage::default_class(view) {
            Some(class) => classify(claim, class),
            None => offered(view, claim, None),
        };
    };
    let class = view.storage_classes.get(&Key::cluster(name));
    match class {
        None if !name.is_empty() => match matching::best(view, claim, None, false) {
            Some(volume) => bind(volume, claim),
            None => {
                let message = format!("storageclass.storage.k8s.io \"{name}\" not found");
                told(claim, Some(Reason::warning(claim, "ProvisioningFailed", message)))
            }
        },
        class => offered(view, claim, class),
    }
}

/// Claims of before there was a default class get it, too.
fn classify(claim: &PersistentVolumeClaim, class: &StorageClass) -> Plan {
    let mut after = claim.clone();
    after.spec.get_or_insert_default().storage_class_name.clone_from(&class.metadata.name);
    Plan::of(Action::patch(claim, &after).map(Step::from).into_iter().collect())
}

fn offered(view: &View, claim: &PersistentVolumeClaim, class: Option<&Arc<StorageClass>>) -> Plan {
    let waits = class.is_some_and(|class| storage::waits_for_consumer(class));
    let delayed = waits && annotation(&claim.metadata, storage::SELECTED_NODE).is_none();
    if let Some(volume) = matching::best(view, claim, None, waits) {
        return bind(volume, claim);
    }
    match class {
        _ if delayed => told(claim, Some(first_consumer(view, claim))),
        Some(class) if class.provisioner != storage::NO_PROVISIONER => to_be_made(claim, class),
        Some(_) => {
            let message = "no volume plugin matched name: kubernetes.io/no-provisioner";
            told(claim, Some(Reason::warning(claim, "ProvisioningFailed", message)))
        }
        None => {
            let message = "no persistent volumes available for this claim and no storage class is set";
            told(claim, Some(Reason::normal(claim, "FailedBinding", message)))
        }
    }
}

/// A claim of a class that waits says for what: a pod, or for its pod to get a node.
fn first_consumer(view: &View, claim: &PersistentVolumeClaim) -> Reason {
    let key = Key::of(&claim.metadata);
    let uses = |pod: &k8s_openapi::api::core::v1::Pod| {
        pod::is_active(pod) && storage::claims_of(pod).iter().any(|(name, _)| *name == key.name)
    };
    let pod = view.pods.within(&key.namespace).find(|(_, pod)| uses(pod));
    match pod {
        Some((pod, _)) => {
            let message = format!("waiting for pod {} to be scheduled", pod.name);
            Reason::normal(claim, "WaitForPodScheduled", message)
        }
        None => {
            let message = "waiting for first consumer to be created before binding";
            Reason::normal(claim, "WaitForFirstConsumer", message)
        }
    }
}

/// Calls for the class's provisioner.
fn to_be_made(claim: &PersistentVolumeClaim, class: &StorageClass) -> Plan {
    let provisioner = &class.provisioner;
    let mut after = claim.clone();
    let annotations = after.metadata.annotations.get_or_insert_default();
    for name in storage::PROVISIONERS {
        annotations.insert(name.to_owned(), provisioner.clone());
    }
    let message = format!(
        "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the \
         system administrator. If volume creation is delayed, please verify that the provisioner is running and \
         correctly registered."
    );
    let step = Action::patch(claim, &after).map(Step::from);
    let step = step.map(|step| step.done(Reason::normal(claim, "ExternalProvisioning", message)));
    Plan::of(step.into_iter().collect())
}

/// It stays Pending, and says why.
fn told(claim: &PersistentVolumeClaim, reason: Option<Reason>) -> Plan {
    let mut after = claim.clone();
    after.status.get_or_insert_default().phase = Some("Pending".to_owned());
    let mut plan = Plan::of(Action::patch_status(claim, &after).map(Step::from).into_iter().collect());
    plan.reasons.extend(reason);
    plan.requeue(AGAIN);
    plan
}

/// The volume names the claim, then the claim the volume, then the claim says that it is bound.
fn bind(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Plan {
    let mut plan = Plan::default();
    plan.stage(promise(volume, claim).map(Step::from).into_iter().collect());
    let accepted = accept(volume, claim);
    match accepted {
        Some(action) => plan.stage(vec![action.into()]),
        None => plan.stage(settle(volume, claim).map(Step::from).into_iter().collect()),
    }
    plan
}

/// The volume's half.
pub(crate) fn promise(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Option<Action> {
    let mut after = volume.clone();
    let spec = after.spec.get_or_insert_default();
    let by_user = spec.claim_ref.is_some();
    if spec.claim_ref.as_ref().is_some_and(|reference| reference.uid == claim.metadata.uid) {
        return None;
    }
    spec.claim_ref = Some(ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("PersistentVolumeClaim".to_owned()),
        namespace: claim.metadata.namespace.clone(),
        name: claim.metadata.name.clone(),
        uid: claim.metadata.uid.clone(),
        resource_version: claim.metadata.resource_version.clone(),
        field_path: None,
    });
    if !by_user {
        let annotations = after.metadata.annotations.get_or_insert_default();
        annotations.insert(storage::BOUND_BY_CONTROLLER.to_owned(), "yes".to_owned());
    }
    Action::patch(volume, &after)
}

/// The claim's half.
fn accept(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Option<Action> {
    let mut after = claim.clone();
    let by_user = storage::volume_name(claim).is_some();
    after.spec.get_or_insert_default().volume_name.clone_from(&volume.metadata.name);
    let annotations = after.metadata.annotations.get_or_insert_default();
    annotations.insert(storage::BIND_COMPLETED.to_owned(), "yes".to_owned());
    if !by_user {
        annotations.insert(storage::BOUND_BY_CONTROLLER.to_owned(), "yes".to_owned());
    }
    Action::patch(claim, &after)
}

/// What users see of it.
fn settle(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Option<Action> {
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    if phase == Some("Bound") {
        return None;
    }
    let mut after = claim.clone();
    let spec = volume.spec.clone().unwrap_or_default();
    after.status = Some(PersistentVolumeClaimStatus {
        phase: Some("Bound".to_owned()),
        access_modes: spec.access_modes,
        capacity: spec.capacity,
        ..after.status.take().unwrap_or_default()
    });
    Action::patch_status(claim, &after)
}
