//! Which values of optional fields count as absent, so that an object is written back as upstream writes it.
//!
//! Invariant: only what Go's `omitempty` drops for the field's type; pointers keep their empty values.

use serde_json::Value;

/// What the optional `field` of the struct `owner`, of the Rust type `rust`, treats as absent: null, and what Go's `omitempty` would not write back.
pub fn is_absent(value: &Value, owner: &str, field: &str, rust: &str) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty() && rust.contains("BTreeMap<"),
        Value::String(text) => text.is_empty() && !is_kept(KEPT_STRINGS, owner, field),
        Value::Bool(false) => is_kept(DROPPED_FALSE, owner, field),
        Value::Number(number) => number.as_i64() == Some(0) && is_kept(DROPPED_ZEROS, owner, field),
        Value::Bool(true) => false,
    }
}

fn is_kept(table: &[(&str, &str)], owner: &str, field: &str) -> bool {
    table.iter().any(|row| row.1 == field && (row.0 == owner || row.0 == "*"))
}

/// Strings that are pointers in Go, so that an empty one is not the same as none.
const KEPT_STRINGS: &[(&str, &str)] = &[
    ("*", "storageClassName"),
    ("EndpointPort", "name"),
    ("EndpointPort", "appProtocol"),
    ("ServicePort", "appProtocol"),
    ("Endpoint", "hostname"),
    ("Endpoint", "nodeName"),
    ("LeaseSpec", "holderIdentity"),
    ("GRPCAction", "service"),
    ("HostPathVolumeSource", "type"),
    ("JobStatus", "failedIndexes"),
];

/// Booleans that are plain in Go: false is not written back.
const DROPPED_FALSE: &[(&str, &str)] = &[
    ("PodSpec", "hostNetwork"),
    ("PodSpec", "hostPID"),
    ("PodSpec", "hostIPC"),
    ("Container", "stdin"),
    ("Container", "stdinOnce"),
    ("Container", "tty"),
    ("EphemeralContainer", "stdin"),
    ("EphemeralContainer", "stdinOnce"),
    ("EphemeralContainer", "tty"),
    ("VolumeMount", "readOnly"),
    ("PersistentVolumeClaimVolumeSource", "readOnly"),
    ("NodeSpec", "unschedulable"),
    ("DeploymentSpec", "paused"),
    ("ServiceSpec", "publishNotReadyAddresses"),
];

/// Numbers that are plain in Go: zero is not written back.
const DROPPED_ZEROS: &[(&str, &str)] = &[
    ("ServicePort", "nodePort"),
    ("ServiceSpec", "healthCheckNodePort"),
    ("ContainerPort", "hostPort"),
    ("*", "minReadySeconds"),
    ("*", "observedGeneration"),
    ("ObjectMeta", "generation"),
    ("Event", "count"),
    ("Probe", "initialDelaySeconds"),
    ("Probe", "timeoutSeconds"),
    ("Probe", "periodSeconds"),
    ("Probe", "successThreshold"),
    ("Probe", "failureThreshold"),
    ("DeploymentStatus", "replicas"),
    ("*", "updatedReplicas"),
    ("*", "readyReplicas"),
    ("*", "availableReplicas"),
    ("*", "unavailableReplicas"),
    ("*", "fullyLabeledReplicas"),
];
