//! Objects that many tests need, as plain JSON.

use serde_json::{Value, json};

use super::time;

pub(crate) fn node(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "status": {
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

pub(crate) fn pod(name: &str, labels: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {"containers": [{"name": "c", "image": "web"}]},
    })
}

/// A pod that runs on node `n`, ready since the world began.
pub(crate) fn running(name: &str, labels: Value, ip: &str) -> Value {
    let mut pod = pod(name, labels);
    pod["spec"]["nodeName"] = "n".into();
    pod["status"] = json!({
        "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": time(0)}],
    });
    pod
}

pub(crate) fn service(name: &str, spec: Value) -> Value {
    let mut spec = spec;
    for (field, value) in
        [("clusterIP", json!("10.96.0.7")), ("ipFamilies", json!(["IPv4"])), ("type", json!("ClusterIP"))]
    {
        if spec[field].is_null() {
            spec[field] = value;
        }
    }
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default", "labels": {"team": "a"}}, "spec": spec})
}

pub(crate) fn deployment(name: &str, replicas: i32, image: &str, strategy: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}}, "strategy": strategy,
            "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        },
    })
}

/// A StatefulSet `web` of this size.
pub(crate) fn stateful_set(replicas: i32, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas, "serviceName": "web", "selector": {"matchLabels": {"app": "web"}},
            "podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 10,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        },
    })
}

/// A DaemonSet `agent`.
pub(crate) fn daemon_set(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "agent"}}, "revisionHistoryLimit": 10,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
            "template": {
                "metadata": {"labels": {"app": "agent"}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        },
    })
}

/// A Job `work`, as the API completes it.
pub(crate) fn job(spec: Value) -> Value {
    let labels = json!({"batch.kubernetes.io/controller-uid": "job", "batch.kubernetes.io/job-name": "work"});
    let mut job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "work", "namespace": "default", "uid": "job"},
        "spec": {
            "parallelism": 1, "backoffLimit": 6, "suspend": false, "completionMode": "NonIndexed",
            "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "job"}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "work"}]},
            },
        },
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        job["spec"][field] = value.clone();
    }
    job
}

/// A CronJob `tick`, made when the world began.
pub(crate) fn cron_job(spec: Value) -> Value {
    let mut cron = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "status": {},
        "metadata": {"name": "tick", "namespace": "default", "uid": "cron", "creationTimestamp": time(0)},
        "spec": {
            "schedule": "*/5 * * * *", "concurrencyPolicy": "Allow", "suspend": false,
            "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1,
            "jobTemplate": {
                "metadata": {"labels": {"made": "by-tick"}},
                "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "work"}]}}},
            },
        },
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        cron["spec"][field] = value.clone();
    }
    cron
}
