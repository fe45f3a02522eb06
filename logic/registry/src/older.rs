//! Versions of the API that upstream has removed and that old tutorials still use: converted to today's, with the
//! defaults they had then and the warning kubectl prints.
//!
//! Invariant: what a user wrote means what it meant in that version; converting there and back keeps the spec.

mod ingress;

use crate::kind::OlderVersion;
use crate::walk::{self, default_to, member, present, text};
use crate::workload;
use kelson_machinery::{Object, meta};
use serde_json::{Value, json};

/// A version whose objects differ from today's in name alone; since when it is deprecated and gone.
macro_rules! renamed {
    ($group:literal $version:literal $kind:literal => $current:literal, $deprecated:literal, $gone:literal) => {
        OlderVersion {
            warning: concat!(
                $group,
                "/",
                $version,
                " ",
                $kind,
                " is deprecated in v",
                $deprecated,
                "+, unavailable in v",
                $gone,
                "+; use ",
                $current,
                " ",
                $kind
            ),
            to_current: |object| meta::set_type(object, $current, $kind),
            from_current: |object| meta::set_type(object, concat!($group, "/", $version), $kind),
            ..version($group, $version)
        }
    };
}

/// Unlimited, in the versions that had no smaller default.
const UNLIMITED: i64 = i32::MAX as i64;

pub const DEPLOYMENT: &[OlderVersion] = &[
    OlderVersion {
        warning: "apps/v1beta2 Deployment is deprecated in v1.9+, unavailable in v1.16+; use apps/v1 Deployment",
        to_current: |object| deployment(object, &V1BETA2),
        from_current: |object| meta::set_type(object, "apps/v1beta2", "Deployment"),
        ..version("apps", "v1beta2")
    },
    OlderVersion {
        warning: "apps/v1beta1 Deployment is deprecated in v1.8+, unavailable in v1.16+; use apps/v1 Deployment",
        to_current: |object| deployment(object, &V1BETA1),
        from_current: |object| meta::set_type(object, "apps/v1beta1", "Deployment"),
        ..version("apps", "v1beta1")
    },
    OlderVersion {
        warning: "extensions/v1beta1 Deployment is deprecated in v1.8+, unavailable in v1.16+; use apps/v1 Deployment",
        to_current: |object| deployment(object, &EXTENSIONS),
        from_current: |object| meta::set_type(object, "extensions/v1beta1", "Deployment"),
        ..version("extensions", "v1beta1")
    },
];

pub const REPLICA_SET: &[OlderVersion] = &[
    renamed!("apps" "v1beta2" "ReplicaSet" => "apps/v1", "1.9", "1.16"),
    OlderVersion {
        warning: "extensions/v1beta1 ReplicaSet is deprecated in v1.8+, unavailable in v1.16+; use apps/v1 ReplicaSet",
        to_current: |object| {
            meta::set_type(object, "apps/v1", "ReplicaSet");
            workload::derive_from_template(object);
        },
        from_current: |object| meta::set_type(object, "extensions/v1beta1", "ReplicaSet"),
        ..version("extensions", "v1beta1")
    },
];

pub const STATEFUL_SET: &[OlderVersion] = &[
    renamed!("apps" "v1beta2" "StatefulSet" => "apps/v1", "1.9", "1.16"),
    OlderVersion {
        warning: "apps/v1beta1 StatefulSet is deprecated in v1.8+, unavailable in v1.16+; use apps/v1 StatefulSet",
        to_current: |object| {
            meta::set_type(object, "apps/v1", "StatefulSet");
            workload::derive_from_template(object);
            on_delete(object);
        },
        from_current: |object| meta::set_type(object, "apps/v1beta1", "StatefulSet"),
        ..version("apps", "v1beta1")
    },
];

pub const DAEMON_SET: &[OlderVersion] = &[
    renamed!("apps" "v1beta2" "DaemonSet" => "apps/v1", "1.9", "1.16"),
    OlderVersion {
        warning: "extensions/v1beta1 DaemonSet is deprecated in v1.8+, unavailable in v1.16+; use apps/v1 DaemonSet",
        to_current: |object| {
            meta::set_type(object, "apps/v1", "DaemonSet");
            workload::derive_from_template(object);
            if let Some(spec) = member(object, "spec") {
                walk::cut(spec, "templateGeneration");
            }
            on_delete(object);
        },
        from_current: |object| meta::set_type(object, "extensions/v1beta1", "DaemonSet"),
        ..version("extensions", "v1beta1")
    },
];

/// Pods were replaced by hand before rolling updates were the default.
fn on_delete(object: &mut Object) {
    if let Some(spec) = member(object, "spec").filter(|spec| spec.is_object()) {
        default_to(walk::object(spec, "updateStrategy"), "type", "OnDelete");
    }
}

pub const CRON_JOB: &[OlderVersion] = &[renamed!("batch" "v1beta1" "CronJob" => "batch/v1", "1.21", "1.25")];

pub const POD_DISRUPTION_BUDGET: &[OlderVersion] =
    &[renamed!("policy" "v1beta1" "PodDisruptionBudget" => "policy/v1", "1.21", "1.25")];

pub const INGRESS_CLASS: &[OlderVersion] =
    &[renamed!("networking.k8s.io" "v1beta1" "IngressClass" => "networking.k8s.io/v1", "1.19", "1.22")];

pub const PRIORITY_CLASS: &[OlderVersion] =
    &[renamed!("scheduling.k8s.io" "v1beta1" "PriorityClass" => "scheduling.k8s.io/v1", "1.14", "1.22")];

pub const STORAGE_CLASS: &[OlderVersion] =
    &[renamed!("storage.k8s.io" "v1beta1" "StorageClass" => "storage.k8s.io/v1", "1.19", "1.22")];

pub const ROLE: &[OlderVersion] = &[
    renamed!("rbac.authorization.k8s.io" "v1beta1" "Role" => "rbac.authorization.k8s.io/v1", "1.17", "1.22"),
];

pub const CLUSTER_ROLE: &[OlderVersion] = &[
    renamed!("rbac.authorization.k8s.io" "v1beta1" "ClusterRole" => "rbac.authorization.k8s.io/v1", "1.17", "1.22"),
];

pub const ROLE_BINDING: &[OlderVersion] = &[
    renamed!("rbac.authorization.k8s.io" "v1beta1" "RoleBinding" => "rbac.authorization.k8s.io/v1", "1.17", "1.22"),
];

pub const CLUSTER_ROLE_BINDING: &[OlderVersion] = &[
    renamed!("rbac.authorization.k8s.io" "v1beta1" "ClusterRoleBinding" => "rbac.authorization.k8s.io/v1", "1.17", "1.22"),
];

pub const INGRESS: &[OlderVersion] = &[
    OlderVersion {
        warning: "networking.k8s.io/v1beta1 Ingress is deprecated in v1.19+, unavailable in v1.22+; use networking.k8s.io/v1 Ingress",
        to_current: ingress::to_current,
        from_current: |object| {
            ingress::from_current(object);
            meta::set_type(object, "networking.k8s.io/v1beta1", "Ingress");
        },
        ..version("networking.k8s.io", "v1beta1")
    },
    OlderVersion {
        warning: "extensions/v1beta1 Ingress is deprecated in v1.14+, unavailable in v1.22+; use networking.k8s.io/v1 Ingress",
        to_current: ingress::to_current,
        from_current: |object| {
            ingress::from_current(object);
            meta::set_type(object, "extensions/v1beta1", "Ingress");
        },
        ..version("extensions", "v1beta1")
    },
];

/// Events under their own group: other names for the same fields, not deprecated.
pub const EVENT: &[OlderVersion] = &[OlderVersion {
    to_current: |object| {
        rename(object, |(new, old)| (new, old));
        meta::set_type(object, "v1", "Event");
    },
    from_current: |object| {
        rename(object, |(new, old)| (old, new));
        meta::set_type(object, "events.k8s.io/v1", "Event");
    },
    ..version("events.k8s.io", "v1")
}];

/// Field names in events.k8s.io/v1, and in v1.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("note", "message"),
    ("regarding", "involvedObject"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

fn rename(object: &mut Object, direction: fn((&'static str, &'static str)) -> (&'static str, &'static str)) {
    for (from, to) in EVENT_FIELDS.into_iter().map(direction) {
        if let Some(value) = walk::cut(object, from) {
            walk::put(object, to, value);
        }
    }
}

/// A version under which nothing differs but its name.
const fn version(group: &'static str, version: &'static str) -> OlderVersion {
    OlderVersion { group, version, warning: "", to_current: |_| {}, from_current: |_| {}, columns: None }
}

/// What Deployments of one old version defaulted to.
struct DeploymentDefaults {
    /// Selector and labels come from the template when they are missing.
    derives: bool,
    /// An integer, or 25% when `None`.
    step: Option<i64>,
    history: i64,
    deadline: i64,
}

const V1BETA2: DeploymentDefaults =
    DeploymentDefaults { derives: false, step: None, history: 10, deadline: 600 };
const V1BETA1: DeploymentDefaults =
    DeploymentDefaults { derives: true, step: None, history: 2, deadline: 600 };
const EXTENSIONS: DeploymentDefaults =
    DeploymentDefaults { derives: true, step: Some(1), history: UNLIMITED, deadline: UNLIMITED };

fn deployment(object: &mut Object, defaults: &DeploymentDefaults) {
    meta::set_type(object, "apps/v1", "Deployment");
    if defaults.derives {
        workload::derive_from_template(object);
    }
    let Some(spec) = member(object, "spec") else { return };
    // A request to roll back, which is the client's business since apps/v1beta2.
    walk::cut(spec, "rollbackTo");
    default_to(spec, "revisionHistoryLimit", defaults.history);
    default_to(spec, "progressDeadlineSeconds", defaults.deadline);
    default_to(spec, "strategy", json!({}));
    let Some(strategy) = member(spec, "strategy").filter(|strategy| strategy.is_object()) else { return };
    if !present(&strategy["type"]) || text(&strategy["type"]) == "RollingUpdate" {
        default_to(strategy, "rollingUpdate", json!({}));
        for field in ["maxUnavailable", "maxSurge"] {
            let step = defaults.step.map_or_else(|| Value::from("25%"), Value::from);
            if let Some(rolling) = member(strategy, "rollingUpdate") {
                default_to(rolling, field, step);
            }
        }
    }
}

#[cfg(test)]
mod tests;
