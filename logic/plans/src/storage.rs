//! Facts about claims, volumes and classes that several controllers ask for. Leaf: reads objects, decides nothing.

use k8s_openapi::api::core::v1::{Node, ObjectReference, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::cmp::Reverse;
use std::sync::Arc;

use crate::key::Key;
use crate::schedule::affinity;
use crate::view::View;

/// The claim and its volume know each other.
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// The other half of a binding was chosen by a controller, not by a user.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// Who made a volume.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// Who is to make a claim's volume, under its name of today and its first.
pub const PROVISIONERS: [&str; 2] =
    ["volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"];
/// The node that the scheduler chose for the claim's first pod.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// Holds a claim while pods use it.
pub const CLAIM_IN_USE: &str = "kubernetes.io/pvc-protection";
/// Holds a volume while it is bound.
pub const VOLUME_IN_USE: &str = "kubernetes.io/pv-protection";
/// The provisioner of directories on the node, and the finalizer by which a node holds a volume until its data is gone.
pub const LOCAL_PROVISIONER: &str = "kelson.dev/local";
/// A node's annotation: the directory its local volumes lie in.
pub const LOCAL_DIRECTORY: &str = "kelson.dev/local-volumes";
/// The provisioner of classes whose volumes are made by hand.
pub const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

const DEFAULT_CLASS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// An annotation that says something.
pub fn annotation<'a>(meta: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(name).map(String::as_str)
}

/// The class a claim asks for; `None` if it leaves the choice to the cluster.
pub fn class_of_claim(claim: &PersistentVolumeClaim) -> Option<&str> {
    let spec = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    annotation(&claim.metadata, OLD_CLASS).or(spec)
}

/// The class of a volume; empty for none.
pub fn class_of_volume(volume: &PersistentVolume) -> &str {
    let spec = volume.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    annotation(&volume.metadata, OLD_CLASS).or(spec).unwrap_or_default()
}

/// The class that claims get which name none: of several, the youngest, then the first by name.
pub fn default_class(view: &View) -> Option<&Arc<StorageClass>> {
    let is_default = |class: &StorageClass| {
        DEFAULT_CLASS.iter().any(|name| annotation(&class.metadata, name) == Some("true"))
    };
    let all = view.storage_classes.iter().map(|(_, class)| class).filter(|class| is_default(class));
    all.min_by_key(|class| {
        (Reverse(class.metadata.creation_timestamp.as_ref().map(|time| time.0)), class.metadata.name.clone())
    })
}

/// Whether volumes of the class wait for the first pod that uses them.
pub fn waits_for_consumer(class: &StorageClass) -> bool {
    class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer")
}

/// The volume a claim names, if it names one.
pub fn volume_name(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim.spec.as_ref()?.volume_name.as_deref().filter(|name| !name.is_empty())
}

/// Whether claim and volume are joined for good.
pub fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    volume_name(claim).is_some() && annotation(&claim.metadata, BIND_COMPLETED).is_some()
}

/// The claim a volume is for, if any.
pub fn claim_ref(volume: &PersistentVolume) -> Option<&ObjectReference> {
    volume.spec.as_ref()?.claim_ref.as_ref()
}

/// The key a reference means.
pub fn key_of(reference: &ObjectReference) -> Key {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    Key::new(text(&reference.namespace), text(&reference.name))
}

/// Whether the volume is for this claim and no other.
pub fn is_for(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let uid = |uid: &Option<String>| uid.clone().unwrap_or_default();
    claim_ref(volume).is_some_and(|reference| {
        let named = uid(&reference.uid);
        key_of(reference) == Key::of(&claim.metadata)
            && (named.is_empty() || named == uid(&claim.metadata.uid))
    })
}

/// The volume's phase.
pub fn phase(volume: &PersistentVolume) -> &str {
    volume.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// Bytes; 0 if there is no such amount.
pub fn bytes(quantity: Option<&Quantity>) -> i64 {
    let parsed = quantity.and_then(|it| kelson_machinery::quantity::Quantity::parse(&it.0).ok());
    parsed.map_or(0, |quantity| quantity.value())
}

/// How much a claim asks for.
pub fn requested(claim: &PersistentVolumeClaim) -> Option<&Quantity> {
    claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")
}

/// How much a volume holds.
pub fn capacity(volume: &PersistentVolume) -> Option<&Quantity> {
    volume.spec.as_ref()?.capacity.as_ref()?.get("storage")
}

/// Whether the volume can be used on the node.
pub fn reaches(volume: &PersistentVolume, node: &Node) -> bool {
    let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
    affinity.and_then(|it| it.required.as_ref()).is_none_or(|required| affinity::selects(required, node))
}

/// The names of the claims that a pod's volumes mean; those of ephemeral volumes are `<pod>-<volume>`.
pub fn claims_of(pod: &Pod) -> Vec<(String, bool)> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let claim = |volume: &k8s_openapi::api::core::v1::Volume| match &volume.persistent_volume_claim {
        Some(source) => Some((source.claim_name.clone(), false)),
        None => volume.ephemeral.as_ref().map(|_| (format!("{name}-{}", volume.name), true)),
    };
    volumes.filter_map(claim).collect()
}
