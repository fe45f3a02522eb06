//! The table as a whole, and properties that hold for every kind.

use super::*;
use kelson_machinery::Object;
use kelson_machinery::partial::{self, Parts};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The kind of a manifest.
pub fn kind_of(manifest: &Object) -> (&'static Kind, Option<&'static OlderVersion>) {
    let (group, version) =
        kelson_machinery::meta::split_api_version(manifest["apiVersion"].as_str().unwrap());
    by_kind(group, version, manifest["kind"].as_str().unwrap()).expect("the kind is declared")
}

/// What a create makes of a manifest: the object and what is wrong with it.
pub fn create(manifest: Value) -> (Object, Vec<String>) {
    let mut manifest = manifest;
    let (kind, older) = kind_of(&manifest);
    if kind.namespaced && manifest["metadata"]["namespace"].is_null() {
        manifest["metadata"]["namespace"] = json!("default");
    }
    if let Some(older) = older {
        (older.to_current)(&mut manifest);
    }
    let mut object = (kind.decode)(manifest).unwrap().object;
    (kind.default)(&mut object);
    (kind.prepare_create)(&mut object);
    let errors = (kind.validate)(&object).iter().map(ToString::to_string).collect();
    (object, errors)
}

/// What an update makes of a manifest over a stored object.
pub fn update(old: &Object, mut manifest: Value) -> (Object, Vec<String>) {
    let (kind, _) = kind_of(&manifest);
    if manifest["metadata"]["namespace"].is_null() && kind.namespaced {
        manifest["metadata"]["namespace"] = json!("default");
    }
    let mut object = (kind.decode)(manifest).unwrap().object;
    (kind.default)(&mut object);
    (kind.prepare_update)(&mut object, old);
    let mut errors = (kind.validate)(&object);
    errors.extend((kind.validate_update)(&object, old));
    (object, errors.iter().map(ToString::to_string).collect())
}

/// `now` in all tests of printed cells.
pub fn now() -> jiff::Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

/// One ordinary manifest of every kind.
fn manifests() -> Vec<Value> {
    let metadata = |name: &str| json!({"name": name});
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}});
    let spec = json!({"selector": {"matchLabels": {"app": "web"}}, "template": template});
    vec![
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("a"), "data": {"k": "v"}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata("a"), "stringData": {"k": "v"}}),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata("a")}),
        json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata("a"), "status": {"capacity": {"cpu": 2}}}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata("a")}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata("a"), "spec": {"containers": [
            {"name": "c", "image": "nginx:1.27", "ports": [{"containerPort": 80}], "env": [{"name": "N", "valueFrom":
            {"fieldRef": {"fieldPath": "metadata.name"}}}], "livenessProbe": {"grpc": {"port": 1}},
            "readinessProbe": {"httpGet": {"port": "http", "scheme": "https"}}, "resources": {"limits": {"cpu": 1}}}],
            "volumes": [{"name": "h", "hostPath": {"path": "/x"}}, {"name": "e"}, {"name": "s", "secret": {"secretName": "s"}}]}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata("a"), "spec":
            {"ports": [{"port": 80}], "sessionAffinity": "ClientIP", "type": "LoadBalancer"}}),
        json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata("a"), "subsets":
            [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]}),
        json!({"apiVersion": "v1", "kind": "Event", "metadata": metadata("a"), "involvedObject":
            {"kind": "Pod", "name": "p", "namespace": "default"}, "reason": "R", "message": "m"}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata("a"), "spec": spec}),
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata("a"), "spec": spec}),
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata("a"), "spec":
            {"holderIdentity": "", "renewTime": "2026-01-02T03:04:05.123456Z"}}),
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata("a"),
            "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]}),
    ]
    .into_iter()
    .chain(more_manifests(&spec, &template))
    .collect()
}

fn more_manifests(spec: &Value, template: &Value) -> Vec<Value> {
    let metadata = json!({"name": "a"});
    let mut once = template.clone();
    once["spec"]["restartPolicy"] = json!("Never");
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "a"});
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    let size = json!({"requests": {"storage": "1Gi"}});
    let (apps, net, rbac) = ("apps/v1", "networking.k8s.io/v1", "rbac.authorization.k8s.io/v1");
    vec![
        json!({"apiVersion": apps, "kind": "StatefulSet", "metadata": metadata, "spec": spec}),
        json!({"apiVersion": apps, "kind": "DaemonSet", "metadata": metadata, "spec": spec}),
        json!({"apiVersion": apps, "kind": "ControllerRevision", "metadata": metadata, "data": {}, "revision": 1}),
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": once}}),
        json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec":
            {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": once}}}}),
        json!({"apiVersion": net, "kind": "Ingress", "metadata": metadata, "spec": {"rules": [{"host": "a.b", "http":
            {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}}),
        json!({"apiVersion": net, "kind": "IngressClass", "metadata": metadata, "spec": {"controller": "a.b/c"}}),
        json!({"apiVersion": net, "kind": "ServiceCIDR", "metadata": metadata, "spec": {"cidrs": ["10.0.0.0/8"]}}),
        json!({"apiVersion": net, "kind": "IPAddress", "metadata": {"name": "10.0.0.1"}, "spec":
            {"parentRef": {"resource": "services", "namespace": "default", "name": "s"}}}),
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": {"minAvailable": 1}}),
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec":
            {"hard": {"pods": 10, "limits.cpu": "2000m", "count/deployments.apps": "1"}, "scopes": []}}),
        json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": metadata, "spec": {"limits": [
            {"type": "Container", "max": {"cpu": 1}, "min": {"cpu": "100m"}}]}}),
        json!({"apiVersion": rbac, "kind": "Role", "metadata": metadata, "rules": rules}),
        json!({"apiVersion": rbac, "kind": "ClusterRole", "metadata": metadata, "rules": rules}),
        json!({"apiVersion": rbac, "kind": "RoleBinding", "metadata": metadata, "roleRef": role,
            "subjects": [{"kind": "User", "name": "u"}]}),
        json!({"apiVersion": rbac, "kind": "ClusterRoleBinding", "metadata": metadata, "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", "namespace": "n", "name": "s"}]}),
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": metadata, "value": 1}),
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": metadata, "provisioner": "a.b/c"}),
        json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec":
            {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}}),
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec":
            {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": size}}),
    ]
}

#[test]
fn every_kind_has_a_manifest_here() {
    let tried: BTreeSet<String> =
        manifests().iter().map(|manifest| kind_of(manifest).0.kind.to_owned()).collect();
    let stored = kinds().iter().filter(|kind| kind.verbs.contains(&"get"));
    let all: BTreeSet<String> = stored.map(|kind| kind.kind.to_owned()).collect();
    assert_eq!(tried, all);
}

#[test]
fn ordinary_manifests_are_valid() {
    for manifest in manifests() {
        assert_eq!(create(manifest.clone()).1, Vec::<String>::new(), "{manifest}");
    }
}

#[test]
fn defaulting_is_idempotent() {
    for manifest in manifests() {
        let (object, _) = create(manifest.clone());
        let (kind, _) = kind_of(&manifest);
        let mut again = object.clone();
        (kind.default)(&mut again);
        assert_eq!(again, object, "{manifest}");
    }
}

#[test]
fn decoding_is_idempotent_and_keeps_defaults() {
    for manifest in manifests() {
        let (kind, _) = kind_of(&manifest);
        let once = (kind.decode)(manifest.clone()).unwrap();
        assert_eq!(once.unknown, Vec::<String>::new(), "{manifest}");
        assert_eq!((kind.decode)(once.object.clone()).unwrap().object, once.object, "{manifest}");
        let (object, _) = create(manifest);
        assert_eq!((kind.decode)(object.clone()).unwrap().object, object);
    }
}

#[test]
fn an_unchanged_update_changes_nothing_and_is_valid() {
    for manifest in manifests() {
        let (mut object, _) = create(manifest.clone());
        object["metadata"]["uid"] = json!("u");
        object["metadata"]["creationTimestamp"] = json!("2026-01-02T03:04:05Z");
        let (updated, errors) = update(&object, object.clone());
        assert_eq!(errors, Vec::<String>::new(), "{manifest}");
        assert_eq!(updated, object);
        // A manifest without what the system set is the same update.
        let mut bare = object.clone();
        bare["metadata"] = json!({"name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"], "labels": object["metadata"]["labels"]});
        // Finalizers are not the system's alone: to leave them out is to take them away.
        if !object["metadata"]["finalizers"].is_null() {
            bare["metadata"]["finalizers"] = object["metadata"]["finalizers"].clone();
        }
        let (updated, errors) = update(&object, bare);
        assert_eq!((updated, errors), (object, Vec::new()), "{manifest}");
    }
}

#[test]
fn a1_4_and_a1_5_status_and_spec_are_written_apart() {
    for manifest in manifests() {
        let (kind, _) = kind_of(&manifest);
        if !kind.has(Subresource::Status) {
            continue;
        }
        let (old, _) = create(manifest);
        let mut new = old.clone();
        new["status"] = json!({"conditions": [{"type": "X", "status": "True"}]});
        (kind.prepare_update)(&mut new, &old);
        assert_eq!(new["status"], old["status"], "{}", kind.kind);
        let mut new = old.clone();
        new["spec"] = json!({});
        new["status"] = json!({"conditions": []});
        (kind.prepare_status_update)(&mut new, &old);
        assert_eq!(new["spec"], old["spec"], "{}", kind.kind);
        assert_ne!(new["status"], old["status"], "{}", kind.kind);
    }
}

#[test]
fn cells_fit_columns() {
    for manifest in manifests() {
        let (kind, _) = kind_of(&manifest);
        let (object, _) = create(manifest);
        let cells = (kind.cells)(&object, now());
        assert_eq!(cells.len(), kind.columns.len(), "{}", kind.kind);
        let shown = partial::read(object.to_string().as_bytes(), &kind.shown_parts()).unwrap();
        assert_eq!((kind.cells)(&shown, now()), cells, "{}", kind.kind);
        // Nothing panics on an object that lost everything.
        assert_eq!((kind.cells)(&json!({}), now()).len(), kind.columns.len());
        assert_eq!((kind.cells)(&Value::Null, now()).len(), kind.columns.len());
    }
}

#[test]
fn every_selectable_field_selects_and_no_other() {
    for manifest in manifests() {
        let (kind, _) = kind_of(&manifest);
        let (object, _) = create(manifest);
        for field in kind.selectable {
            let selected = (kind.select)(&object, field);
            assert!(selected.is_some(), "{} {field}", kind.kind);
            let paths = kind.selected_paths([*field].into_iter());
            let parts = partial::read(object.to_string().as_bytes(), &Parts::of(paths)).unwrap();
            assert_eq!((kind.select)(&parts, field), selected, "{} {field}", kind.kind);
        }
        assert_eq!((kind.select)(&object, "spec.nothing"), None);
    }
}

#[test]
fn nothing_panics_on_wild_objects() {
    let wild = [
        Value::Null,
        json!([]),
        json!("x"),
        json!({"metadata": [], "spec": 1, "status": "s"}),
        json!({"metadata": {"labels": 7, "ownerReferences": {}}, "spec": {"ports": {}, "template": [], "containers": [1]}}),
    ];
    for kind in kinds() {
        for value in &wild {
            let _ = (kind.decode)(value.clone());
            let mut object = value.clone();
            (kind.default)(&mut object);
            let mut object = value.clone();
            (kind.prepare_update)(&mut object, value);
            let _ =
                ((kind.validate)(value), (kind.warnings)(value, None), (kind.validate_update)(value, value));
        }
    }
}

#[test]
fn names_resolve_in_every_version() {
    let (kind, older) = resolve("", "v1", "services").unwrap();
    assert_eq!((kind.kind, older.is_none()), ("Service", true));
    let (kind, older) = resolve("extensions", "v1beta1", "deployments").unwrap();
    assert_eq!(
        (kind.api_version(), older.unwrap().api_version()),
        ("apps/v1".to_owned(), "extensions/v1beta1".to_owned())
    );
    assert!(by_kind("events.k8s.io", "v1", "Event").unwrap().1.is_some());
    assert!(resolve("", "v1", "deployments").is_none());
    assert!(by_kind("apps", "v1beta1", "ReplicaSet").is_none());
}

#[test]
fn names_are_unique() {
    let mut seen = BTreeSet::new();
    for kind in kinds() {
        for name in kind.short_names.iter().chain([&kind.plural, &kind.singular]).collect::<BTreeSet<_>>() {
            assert!(seen.insert((kind.group, *name)), "{name} twice");
        }
    }
}
