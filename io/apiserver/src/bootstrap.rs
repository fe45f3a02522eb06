//! What must exist before anyone asks: the four namespaces, and the Service `kubernetes` with its endpoints (spec A11).
//!
//! Goes through the same verbs as clients' writes. Repeated while serving, so what is deleted comes back; never undoes
//! what a user edited in the Service (A11.1).

pub(crate) mod roles;

use std::sync::Arc;

use kelson_machinery::Object;
use kelson_machinery::status::{Reason, Status};
use serde_json::{Value, json};

use crate::authn::User;
use crate::negotiate::Accept;
use crate::request::{Query, ResourcePath};
use crate::state::{Call, Core};
use crate::verbs::create::create_object;
use crate::verbs::update::{Mode, change};

/// How often what must exist is looked after (A11.1).
pub(crate) const INTERVAL: std::time::Duration = std::time::Duration::from_secs(10);

/// The default class, under the name that k3s made usual for such volumes.
const STORAGE_CLASS: &str = "local-path";

/// The classes of what a cluster cannot do without, as upstream makes them.
const PRIORITIES: [(&str, i64, &str); 2] = [
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
];

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Makes what is missing.
pub(crate) async fn ensure(core: &Arc<Core>) -> Result<(), Status> {
    for name in NAMESPACES {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        create(core, "namespaces", "", name, object).await?;
        // Pods need it, and the controller that makes it elsewhere may come after the first of them.
        create(core, "serviceaccounts", name, "default", account(name)).await?;
    }
    create(core, "services", "default", "kubernetes", service(core)).await?;
    create(core, "storageclasses", "", STORAGE_CLASS, storage_class()).await?;
    for (name, value, description) in PRIORITIES {
        create(core, "priorityclasses", "", name, priority_class(name, value, description)).await?;
    }
    if !is_reachable(core) {
        return Ok(());
    }
    put(core, "endpoints", endpoints(core), &["subsets"]).await?;
    put(core, "endpointslices", endpoint_slice(core), &["endpoints", "ports", "addressType"]).await
}

/// Whether pods can reach the address we are advertised at; the API refuses others as endpoints.
pub(crate) fn is_reachable(core: &Core) -> bool {
    let address = core.config.advertise;
    !(address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

/// A call of the server itself on one object.
pub(crate) fn call(core: &Arc<Core>, plural: &str, namespace: &str, name: &str) -> Result<Call, Status> {
    let mut kinds = kelson_registry::kinds().iter();
    let kind = *kinds.find(|kind| kind.plural == plural).ok_or_else(Status::no_such_resource)?;
    let path = ResourcePath {
        group: kind.group.into(),
        version: kind.version.into(),
        namespace: Some(namespace).filter(|namespace| !namespace.is_empty()).map(str::to_owned),
        plural: plural.into(),
        name: Some(name.into()),
        ..ResourcePath::default()
    };
    let user = User::component("system:apiserver");
    Ok(Call::new(core.clone(), user, (kind, None), path, Query::default(), Accept::default()))
}

/// Creates an object unless it exists.
async fn create(
    core: &Arc<Core>,
    plural: &str,
    namespace: &str,
    name: &str,
    object: Object,
) -> Result<(), Status> {
    let call = call(core, plural, namespace, name)?;
    let key = crate::objects::key(call.kind, namespace, name);
    if core.store.get(&key).await.map_err(crate::objects::store_failure)?.is_some() {
        return Ok(());
    }
    let decoded = crate::incoming::decode(&call, object, Vec::new())?.0;
    match create_object(&call, decoded, false).await {
        Err(status) if status.reason != Reason::AlreadyExists => Err(status),
        _ => Ok(()),
    }
}

/// Creates an object in `default` named `kubernetes`, or gives the one that exists these members.
async fn put(core: &Arc<Core>, plural: &str, object: Object, members: &[&str]) -> Result<(), Status> {
    create(core, plural, "default", "kubernetes", object.clone()).await?;
    let call = call(core, plural, "default", "kubernetes")?;
    let wanted = crate::incoming::decode(&call, object, Vec::new())?.0;
    change(&call, Mode::Main, false, |old| {
        let mut new = old.clone();
        for member in members {
            new[*member] = wanted.get(*member).cloned().unwrap_or(Value::Null);
        }
        crate::incoming::decode(&call, new, Vec::new()).map(|(object, _)| object)
    })
    .await
    .map(drop)
}

fn account(namespace: &str) -> Object {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}})
}

/// The class of claims that name none: directories on the node of the claim's first pod.
fn storage_class() -> Object {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kelson.dev/local",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    })
}

fn priority_class(name: &str, value: i64, description: &str) -> Object {
    json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
        "value": value, "description": description,
    })
}

/// The Service, at the first address of the range (A11.2).
fn service(core: &Core) -> Object {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": core.first_service_ip.to_string(),
            "clusterIPs": [core.first_service_ip.to_string()],
            "ipFamilyPolicy": "SingleStack",
            "sessionAffinity": "None",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": core.config.listen.port()}],
        },
    })
}

/// Its Endpoints, which no controller mirrors (A11.3).
fn endpoints(core: &Core) -> Object {
    json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {"name": "kubernetes", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": [{
            "addresses": [{"ip": core.config.advertise.to_string()}],
            "ports": [{"name": "https", "port": core.config.listen.port(), "protocol": "TCP"}],
        }],
    })
}

/// Its EndpointSlice (A11.3).
fn endpoint_slice(core: &Core) -> Object {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": if core.config.advertise.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{"addresses": [core.config.advertise.to_string()], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": core.config.listen.port(), "protocol": "TCP"}],
    })
}
