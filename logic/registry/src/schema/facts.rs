//! What apply must know of the types and they do not say themselves: which are owned whole, and what tells the items of
//! lists apart (upstream: the markers listType, listMapKey, structType and mapType).
//!
//! Invariant: a list that is not here is owned whole, a map entry by entry, a struct field by field.

/// How the items of a list are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// They are not: the list is owned whole.
    Atomic,
    /// By their values.
    Set,
    /// By these fields.
    Map(&'static [&'static str]),
}

/// The fact for a list field of a model.
pub fn list(model: &str, field: &str) -> List {
    let model = short(model);
    if let Some((.., keys)) = KEYED.iter().find(|(m, f, _)| (*m, *f) == (model, field)) {
        return List::Map(keys);
    }
    if SETS.contains(&(model, field)) { List::Set } else { List::Atomic }
}

/// `atomic` for a map field that is owned whole.
pub fn map_type(model: &str, field: &str) -> Option<&'static str> {
    ATOMIC_MAPS.contains(&(short(model), field)).then_some("atomic")
}

/// Whether a struct is owned whole.
pub fn is_atomic(model: &str) -> bool {
    ATOMIC.contains(&short(model))
}

/// Whether upstream's types hold a struct field of this name by value: it is there whenever its parent is.
pub fn is_by_value(field: &str) -> bool {
    BY_VALUE.contains(&field)
}

/// What a key is in an item that leaves it out.
pub fn key_default(key: &str) -> Option<&'static str> {
    (key == "protocol").then_some("TCP")
}

/// `core.v1.Container` of `io.k8s.api.core.v1.Container`.
fn short(model: &str) -> &str {
    let rest = model.strip_prefix("io.k8s.api.");
    rest.or_else(|| model.strip_prefix("io.k8s.apimachinery.pkg.apis.")).unwrap_or(model)
}

const ATOMIC: &[&str] = &[
    "autoscaling.v1.CrossVersionObjectReference",
    "core.v1.ConfigMapKeySelector",
    "core.v1.EndpointAddress",
    "core.v1.EndpointPort",
    "core.v1.EvictionResponder",
    "core.v1.FileKeySelector",
    "core.v1.LocalObjectReference",
    "core.v1.NodeSelector",
    "core.v1.NodeSelectorTerm",
    "core.v1.ObjectFieldSelector",
    "core.v1.ObjectReference",
    "core.v1.ResourceFieldSelector",
    "core.v1.ScopeSelector",
    "core.v1.SecretKeySelector",
    "core.v1.SecretReference",
    "core.v1.TopologySelectorTerm",
    "core.v1.TypedLocalObjectReference",
    "discovery.v1.EndpointPort",
    "networking.v1.ServiceBackendPort",
    "rbac.v1.RoleRef",
    "rbac.v1.Subject",
    "meta.v1.LabelSelector",
    "meta.v1.OwnerReference",
];

const ATOMIC_MAPS: &[(&str, &str)] = &[
    ("core.v1.PodSpec", "nodeSelector"),
    ("core.v1.ReplicationControllerSpec", "selector"),
    ("core.v1.ServiceSpec", "selector"),
];

const SETS: &[(&str, &str)] = &[
    ("batch.v1.PodFailurePolicyOnExitCodesRequirement", "values"),
    ("batch.v1.UncountedTerminatedPods", "failed"),
    ("batch.v1.UncountedTerminatedPods", "succeeded"),
    ("core.v1.ContainerRestartRuleOnExitCodes", "values"),
    ("core.v1.NodeAllocatableResourceClaimStatus", "containers"),
    ("core.v1.NodePodPreemptionPolicy", "disableResizePreemption"),
    ("core.v1.NodeSpec", "podCIDRs"),
    ("core.v1.VolumeMount", "bindMountOptions"),
    ("discovery.v1.Endpoint", "addresses"),
    ("storage.v1.CSIDriverSpec", "volumeLifecycleModes"),
    ("meta.v1.ObjectMeta", "finalizers"),
];

const KEYED: &[(&str, &str, &[&str])] = &[
    ("apps.v1.DaemonSetStatus", "conditions", &["type"]),
    ("apps.v1.DeploymentStatus", "conditions", &["type"]),
    ("apps.v1.ReplicaSetStatus", "conditions", &["type"]),
    ("apps.v1.StatefulSetStatus", "conditions", &["type"]),
    ("autoscaling.v2.HorizontalPodAutoscalerStatus", "conditions", &["type"]),
    ("batch.v1.JobSchedulingConfiguration", "resourceClaims", &["name"]),
    ("core.v1.ComponentStatus", "conditions", &["type"]),
    ("core.v1.Container", "env", &["name"]),
    ("core.v1.Container", "ports", &["containerPort", "protocol"]),
    ("core.v1.Container", "volumeDevices", &["devicePath"]),
    ("core.v1.Container", "volumeMounts", &["mountPath"]),
    ("core.v1.ContainerStatus", "allocatedResourcesStatus", &["name"]),
    ("core.v1.ContainerStatus", "volumeMounts", &["mountPath"]),
    ("core.v1.EphemeralContainer", "env", &["name"]),
    ("core.v1.EphemeralContainer", "ports", &["containerPort", "protocol"]),
    ("core.v1.EphemeralContainer", "volumeDevices", &["devicePath"]),
    ("core.v1.EphemeralContainer", "volumeMounts", &["mountPath"]),
    ("core.v1.NamespaceStatus", "conditions", &["type"]),
    ("core.v1.NodeAllocatableResourceClaimStatus", "mapping", &["name"]),
    ("core.v1.NodeAllocatableResourceClaimStatus", "overhead", &["name"]),
    ("core.v1.NodeStatus", "addresses", &["type"]),
    ("core.v1.NodeStatus", "conditions", &["type"]),
    ("core.v1.PersistentVolumeClaimStatus", "conditions", &["type"]),
    ("core.v1.PodSpec", "containers", &["name"]),
    ("core.v1.PodSpec", "ephemeralContainers", &["name"]),
    ("core.v1.PodSpec", "evictionResponders", &["name"]),
    ("core.v1.PodSpec", "hostAliases", &["ip"]),
    ("core.v1.PodSpec", "imagePullSecrets", &["name"]),
    ("core.v1.PodSpec", "initContainers", &["name"]),
    ("core.v1.PodSpec", "resourceClaims", &["name"]),
    ("core.v1.PodSpec", "schedulingGates", &["name"]),
    ("core.v1.PodSpec", "topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("core.v1.PodSpec", "volumes", &["name"]),
    ("core.v1.PodStatus", "conditions", &["type"]),
    ("core.v1.PodStatus", "nodeAllocatableResourceClaimStatuses", &["resourceClaimName"]),
    ("core.v1.PodStatus", "podIPs", &["ip"]),
    ("core.v1.PodStatus", "resourceClaimStatuses", &["name"]),
    ("core.v1.PodStatus", "volumeHealth", &["name"]),
    ("core.v1.PodVolumeHealth", "healthConditions", &["status", "reason"]),
    ("core.v1.ReplicationControllerStatus", "conditions", &["type"]),
    ("core.v1.ResourceRequirements", "claims", &["name"]),
    ("core.v1.ResourceStatus", "resources", &["resourceID"]),
    ("core.v1.ServiceAccount", "secrets", &["name"]),
    ("core.v1.ServiceSpec", "ports", &["port", "protocol"]),
    ("core.v1.ServiceStatus", "conditions", &["type"]),
    ("core.v1.VolumeHealthStatus", "healthConditions", &["status", "reason"]),
    ("networking.v1.ServiceCIDRStatus", "conditions", &["type"]),
    ("policy.v1.PodDisruptionBudgetStatus", "conditions", &["type"]),
    ("storage.v1.CSINodeSpec", "drivers", &["name"]),
    ("storage.v1.CSINodeStatus", "storageHealth", &["name"]),
    ("meta.v1.ObjectMeta", "ownerReferences", &["uid"]),
];

const BY_VALUE: &[&str] = &[
    "backend",
    "conditions",
    "current",
    "daemonEndpoints",
    "deprecatedSource",
    "describedObject",
    "involvedObject",
    "jobTemplate",
    "kubeletEndpoint",
    "lastState",
    "loadBalancer",
    "metadata",
    "metric",
    "nodeInfo",
    "podAffinityTerm",
    "podSelector",
    "port",
    "preference",
    "regarding",
    "resources",
    "roleRef",
    "scaleTargetRef",
    "source",
    "spec",
    "state",
    "status",
    "strategy",
    "target",
    "template",
    "updateStrategy",
];

/// Every type and field named here, for the test that holds them against the types.
#[cfg(test)]
pub fn named() -> Vec<(&'static str, &'static str)> {
    let keyed = KEYED.iter().map(|(model, field, _)| (*model, *field));
    keyed.chain(SETS.iter().copied()).chain(ATOMIC_MAPS.iter().copied()).collect()
}
