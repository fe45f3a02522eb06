//! The kinds that plans decide on, each in one line: the fields of `View` and what goes with them.
//!
//! Invariant: a kind that stands here is reflected whole; every other kind is known by its metadata alone
//! (`graph`). A new controller's kind costs one line.

use std::sync::Arc;

use k8s_openapi::Metadata;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, ResourceQuota,
    Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::key::Resource;
use crate::view::{Collection, View};

/// A typed kind that a `View` holds.
pub trait Kept: k8s_openapi::Resource + Metadata<Ty = ObjectMeta> + Clone + Sized + 'static {
    const RESOURCE: Resource;

    fn collection(view: &View) -> &Collection<Self>;
    fn collection_mut(view: &mut View) -> &mut Collection<Self>;
    fn any(object: Arc<Self>) -> Any;

    /// The words by which `Collection::marked` finds the object: its owners' uids, a pod's node, a slice's
    /// Service, a volume's claim.
    fn marks(&self) -> Vec<String> {
        let meta = self.metadata();
        let owners = meta.owner_references.iter().flatten().map(|owner| owner.uid.clone());
        owners.chain(special_mark(self)).collect()
    }
}

fn special_mark(object: &dyn std::any::Any) -> Option<String> {
    if let Some(pod) = object.downcast_ref::<Pod>() {
        return crate::pod::node(pod).map(node_mark);
    }
    if let Some(volume) = object.downcast_ref::<PersistentVolume>() {
        let key = crate::storage::claim_ref(volume).map(crate::storage::key_of);
        return key.map(|key| claim_mark(&key.namespace, &key.name));
    }
    let slice = object.downcast_ref::<EndpointSlice>()?;
    let service = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    Some(service_mark(slice.metadata.namespace.as_deref().unwrap_or_default(), service))
}

/// The label by which a slice says whose it is.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The mark of a Service's slices.
pub fn service_mark(namespace: &str, service: &str) -> String {
    format!("service:{namespace}/{service}")
}

/// The mark of the volumes that are for a claim.
pub fn claim_mark(namespace: &str, claim: &str) -> String {
    format!("claim:{namespace}/{claim}")
}

/// The mark of a node's pods.
pub fn node_mark(node: &str) -> String {
    format!("node:{node}")
}

macro_rules! kinds {
    ($($field:ident: $kind:ident, $namespaced:literal;)*) => {
        /// The objects a `View` holds, by kind.
        #[derive(Clone, Debug, Default)]
        pub struct Kinds { $(pub $field: Collection<$kind>,)* }

        /// One object of a kept kind.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Any { $($kind(Arc<$kind>),)* }

        impl Any {
            pub fn metadata(&self) -> &ObjectMeta {
                match self { $(Any::$kind(object) => object.metadata(),)* }
            }
        }

        $(impl Kept for $kind {
            const RESOURCE: Resource = Resource::of::<$kind>($namespaced);
            fn collection(view: &View) -> &Collection<Self> { &view.kinds.$field }
            fn collection_mut(view: &mut View) -> &mut Collection<Self> { &mut view.kinds.$field }
            fn any(object: Arc<Self>) -> Any { Any::$kind(object) }
        })*

        /// The resources of the kept kinds, in the order of the table.
        pub const KEPT: &[Resource] = &[$(<$kind as Kept>::RESOURCE,)*];

        /// Calls a macro with every kept kind: how `io` starts one reflector for each.
        #[macro_export]
        macro_rules! for_each_kept_kind {
            ($call:ident) => { $($call!($kind);)* };
        }
    };
}

kinds! {
    namespaces: Namespace, false;
    nodes: Node, false;
    pods: Pod, true;
    services: Service, true;
    endpoints: Endpoints, true;
    endpoint_slices: EndpointSlice, true;
    config_maps: ConfigMap, true;
    service_accounts: ServiceAccount, true;
    leases: Lease, true;
    deployments: Deployment, true;
    replica_sets: ReplicaSet, true;
    stateful_sets: StatefulSet, true;
    daemon_sets: DaemonSet, true;
    controller_revisions: ControllerRevision, true;
    jobs: Job, true;
    cron_jobs: CronJob, true;
    persistent_volumes: PersistentVolume, false;
    persistent_volume_claims: PersistentVolumeClaim, true;
    storage_classes: StorageClass, false;
    pod_disruption_budgets: PodDisruptionBudget, true;
    resource_quotas: ResourceQuota, true;
}
