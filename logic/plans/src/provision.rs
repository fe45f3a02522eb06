//! Provision: makes the volumes of our own class, directories on the node that the claim's first pod goes to.
//!
//! View → a PersistentVolume named after the claim's uid, so that a second try makes no second volume. Also the claims of
//! pods' ephemeral volumes. Invariant: the directory itself is the node's to make and remove; here are only objects.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{
    LocalVolumeSource, Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PersistentVolume,
    PersistentVolumeClaim, PersistentVolumeSpec, Pod, VolumeNodeAffinity,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::key::Key;
use crate::kinds::Any;
use crate::owners::{controller_reference, is_controlled_by};
use crate::plan::{Action, Plan, Reason, Step, reference};
use crate::pod;
use crate::storage::{self, annotation};
use crate::view::{Changed, View};

mod expand;

/// What cannot be made is said again after this long.
const AGAIN: SignedDuration = SignedDuration::from_secs(15);

/// The volume of one claim, or the claims of one pod.
pub fn plan(view: &View, key: &Key, now: Timestamp) -> Plan {
    let claims = view.pods.get(key).map(|pod| ephemeral(view, pod)).unwrap_or_default();
    let mut plan = Plan::of(claims);
    let Some(claim) = view.persistent_volume_claims.get(key) else { return plan };
    if !wants(view, claim) {
        let growth = expand::plan(view, claim, now);
        plan.stages.extend(growth.stages);
        return plan;
    }
    let class = storage::class_of_claim(claim).and_then(|name| view.storage_classes.get(&Key::cluster(name)));
    let Some(class) = class else { return plan };
    match make(view, claim, class) {
        Ok(None) => {}
        Ok(Some(volume)) => {
            let of = Key::of(&claim.metadata);
            let name = volume.metadata.name.clone().unwrap_or_default();
            let begun = format!("External provisioner is provisioning volume for claim \"{of}\"");
            plan.reasons.push(Reason::normal(claim.as_ref(), "Provisioning", begun));
            let done = format!("Successfully provisioned volume {name}");
            let done = Reason::normal(claim.as_ref(), "ProvisioningSucceeded", done);
            plan.stage(vec![Step::from(Action::create(&volume)).done(done)]);
        }
        Err(why) => {
            let class = class.metadata.name.as_deref().unwrap_or_default();
            let message = format!("failed to provision volume with StorageClass \"{class}\": {why}");
            plan.reasons.push(Reason::warning(claim.as_ref(), "ProvisioningFailed", message));
            plan.requeue(AGAIN);
        }
    }
    plan
}

/// Whether the claim waits for us to make its volume.
fn wants(view: &View, claim: &PersistentVolumeClaim) -> bool {
    let ours = annotation(&claim.metadata, storage::PROVISIONERS[0]) == Some(storage::LOCAL_PROVISIONER);
    ours && claim.metadata.deletion_timestamp.is_none()
        && storage::volume_name(claim).is_none()
        && view.persistent_volumes.get(&Key::cluster(name(claim))).is_none()
}

fn name(claim: &PersistentVolumeClaim) -> String {
    format!("pvc-{}", claim.metadata.uid.as_deref().unwrap_or_default())
}

/// The volume for a claim; none if its node has yet to be chosen. The error is why it cannot be made.
fn make(
    view: &View,
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
) -> Result<Option<PersistentVolume>, String> {
    if class.provisioner != storage::LOCAL_PROVISIONER {
        return Ok(None);
    }
    let spec = claim.spec.clone().unwrap_or_default();
    if spec.volume_mode.as_deref() == Some("Block") {
        return Err(format!(
            "{} makes directories: volumeMode Block is not supported",
            storage::LOCAL_PROVISIONER
        ));
    }
    if spec.selector.is_some() {
        return Err("claim.Spec.Selector is not supported".to_owned());
    }
    let node = match annotation(&claim.metadata, storage::SELECTED_NODE) {
        Some(name) => {
            view.nodes.get(&Key::cluster(name)).ok_or_else(|| format!("node \"{name}\" not found"))?
        }
        None if storage::waits_for_consumer(class) => return Ok(None),
        None => {
            let mut able = view.nodes.iter().map(|(_, node)| node).filter(|node| directory(node).is_some());
            able.next().ok_or("no node keeps local volumes")?
        }
    };
    let name = node.metadata.name.as_deref().unwrap_or_default();
    let directory = directory(node).ok_or_else(|| {
        format!("node \"{name}\" keeps no local volumes: it has no annotation {}", storage::LOCAL_DIRECTORY)
    })?;
    Ok(Some(volume(claim, class, node, directory)))
}

fn directory(node: &Node) -> Option<&str> {
    annotation(&node.metadata, storage::LOCAL_DIRECTORY)
}

fn volume(
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
    node: &Node,
    directory: &str,
) -> PersistentVolume {
    let (name, key) = (name(claim), Key::of(&claim.metadata));
    let spec = claim.spec.clone().unwrap_or_default();
    let path = format!("{directory}/{name}_{}_{}", key.namespace, key.name);
    let capacity =
        storage::requested(claim).cloned().map(|size| BTreeMap::from([("storage".to_owned(), size)]));
    let provisioner = storage::LOCAL_PROVISIONER.to_owned();
    PersistentVolume {
        metadata: ObjectMeta {
            name: Some(name),
            annotations: Some(BTreeMap::from([(storage::PROVISIONED_BY.to_owned(), provisioner.clone())])),
            finalizers: Some(vec![provisioner]),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeSpec {
            access_modes: spec.access_modes,
            capacity,
            claim_ref: Some(reference(claim)),
            local: Some(LocalVolumeSource { path, fs_type: None }),
            node_affinity: Some(affinity(node)),
            persistent_volume_reclaim_policy: class.reclaim_policy.clone(),
            storage_class_name: class.metadata.name.clone(),
            volume_mode: Some("Filesystem".to_owned()),
            ..PersistentVolumeSpec::default()
        }),
        status: None,
    }
}

/// This node and no other.
fn affinity(node: &Node) -> VolumeNodeAffinity {
    let key = "kubernetes.io/hostname";
    let label = node.metadata.labels.as_ref().and_then(|labels| labels.get(key)).cloned();
    let value = label.or(node.metadata.name.clone()).unwrap_or_default();
    let here =
        NodeSelectorRequirement { key: key.to_owned(), operator: "In".to_owned(), values: Some(vec![value]) };
    let term = NodeSelectorTerm { match_expressions: Some(vec![here]), match_fields: None };
    VolumeNodeAffinity { required: Some(NodeSelector { node_selector_terms: vec![term] }) }
}

/// The claims of a pod's ephemeral volumes that are not there yet: the pod owns them.
fn ephemeral(view: &View, pod: &Arc<Pod>) -> Vec<Step> {
    if !pod::is_active(pod) {
        return Vec::new();
    }
    let key = Key::of(&pod.metadata);
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let mut steps = Vec::new();
    for (volume, template) in
        volumes.filter_map(|it| Some((it, it.ephemeral.as_ref()?.volume_claim_template.as_ref()?)))
    {
        let name = format!("{}-{}", key.name, volume.name);
        if view.persistent_volume_claims.get(&Key::new(&key.namespace, &name)).is_some() {
            continue;
        }
        let meta = template.metadata.clone().unwrap_or_default();
        let claim = PersistentVolumeClaim {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(key.namespace.clone()),
                labels: meta.labels,
                annotations: meta.annotations,
                owner_references: Some(vec![controller_reference(pod.as_ref())]),
                ..ObjectMeta::default()
            },
            spec: Some(template.spec.clone()),
            status: None,
        };
        steps.push(Step::from(Action::create(&claim)));
    }
    steps
}

/// Whether the claim of an ephemeral volume is the pod's own and not another's of its name.
pub(crate) fn is_own(pod: &Pod, claim: &PersistentVolumeClaim) -> bool {
    is_controlled_by(&claim.metadata, pod.metadata.uid.as_deref())
}

/// The claims and pods that a change concerns.
pub(crate) fn wake(view: &View, changed: &Changed) -> Vec<Key> {
    let open = || {
        let open = view.persistent_volume_claims.iter().filter(|(_, claim)| wants(view, claim));
        open.map(|(key, _)| key.clone()).collect()
    };
    let place = |any: Option<&Any>| match any {
        Some(Any::Node(node)) => directory(node).map(str::to_owned),
        _ => None,
    };
    match &changed.new {
        Some(Any::PersistentVolumeClaim(_)) => vec![changed.key.clone()],
        Some(Any::Pod(pod))
            if pod
                .spec
                .iter()
                .flat_map(|it| it.volumes.iter().flatten())
                .any(|it| it.ephemeral.is_some()) =>
        {
            vec![changed.key.clone()]
        }
        Some(Any::StorageClass(_)) => {
            view.persistent_volume_claims.iter().map(|(key, _)| key.clone()).collect()
        }
        Some(Any::PersistentVolume(volume)) => {
            storage::claim_ref(volume).map(storage::key_of).into_iter().collect()
        }
        new @ Some(Any::Node(_)) if place(new.as_ref()) != place(changed.old.as_ref()) => open(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
