//! Old manifests mean what they meant, and come back as they were asked for.

use crate::resolve;
use crate::tests::create;
use serde_json::{Value, json};

fn manifest(api_version: &str, spec: Value) -> Value {
    json!({"apiVersion": api_version, "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
}

fn template() -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "nginx:1.7.9"}]}})
}

fn check(api_version: &str, expected: Value) {
    let mut spec = json!({"template": template(), "rollbackTo": {"revision": 0}});
    if api_version == "apps/v1beta2" {
        spec["selector"] = json!({"matchLabels": {"app": "web"}});
    }
    let (object, errors) = create(manifest(api_version, spec));
    assert_eq!(errors, Vec::<String>::new(), "{api_version}");
    assert_eq!((&object["apiVersion"], &object["spec"]["rollbackTo"]), (&json!("apps/v1"), &Value::Null));
    assert_eq!(object["spec"]["selector"], json!({"matchLabels": {"app": "web"}}));
    let spec = &object["spec"];
    let rolling = &spec["strategy"]["rollingUpdate"];
    assert_eq!(
        json!([
            rolling["maxSurge"],
            rolling["maxUnavailable"],
            spec["revisionHistoryLimit"],
            spec["progressDeadlineSeconds"]
        ]),
        expected,
        "{api_version}"
    );
}

#[test]
fn deployments_default_as_then() {
    check("extensions/v1beta1", json!([1, 1, 2_147_483_647, 2_147_483_647]));
    check("apps/v1beta1", json!(["25%", "25%", 2, 600]));
    check("apps/v1beta2", json!(["25%", "25%", 10, 600]));
}

#[test]
fn labels_come_from_the_template_where_they_did() {
    let (object, _) = create(manifest("extensions/v1beta1", json!({"template": template()})));
    assert_eq!(object["metadata"]["labels"], json!({"app": "web"}));
    let mut set = manifest("extensions/v1beta1", json!({"template": template()}));
    set["kind"] = json!("ReplicaSet");
    let (object, errors) = create(set);
    assert_eq!((errors, &object["spec"]["selector"]["matchLabels"]), (vec![], &json!({"app": "web"})));
}

#[test]
fn recreate_gets_no_rolling_update() {
    let (object, errors) = create(manifest(
        "extensions/v1beta1",
        json!({"template": template(), "strategy": {"type": "Recreate"}}),
    ));
    assert_eq!((errors, &object["spec"]["strategy"]), (vec![], &json!({"type": "Recreate"})));
}

#[test]
fn there_and_back_keeps_the_spec() {
    for (group, version) in [("extensions", "v1beta1"), ("apps", "v1beta1"), ("apps", "v1beta2")] {
        let (_, older) = resolve(group, version, "deployments").unwrap();
        let older = older.unwrap();
        let (current, _) = create(manifest(
            "apps/v1",
            json!({"template": template(), "selector": {"matchLabels": {"app": "web"}}}),
        ));
        let mut object = current.clone();
        (older.from_current)(&mut object);
        assert_eq!(object["apiVersion"], json!(older.api_version()));
        let old = object.clone();
        (older.to_current)(&mut object);
        assert_eq!(object["spec"], current["spec"]);
        (older.from_current)(&mut object);
        assert_eq!(object["spec"], old["spec"]);
    }
}

#[test]
fn events_have_two_spellings() {
    let (_, older) = resolve("events.k8s.io", "v1", "events").unwrap();
    let older = older.unwrap();
    let new = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"}, "note": "n",
        "regarding": {"kind": "Pod"}, "reportingController": "c", "deprecatedCount": 2, "reason": "r"});
    let old = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "message": "n",
        "involvedObject": {"kind": "Pod"}, "reportingComponent": "c", "count": 2, "reason": "r"});
    let mut object = new.clone();
    (older.to_current)(&mut object);
    assert_eq!(object, old);
    (older.from_current)(&mut object);
    assert_eq!(object, new);
    assert_eq!(older.warning, "");
}

#[test]
fn every_removed_version_warns() {
    let (_, older) = resolve("extensions", "v1beta1", "deployments").unwrap();
    assert_eq!(
        older.unwrap().warning,
        "extensions/v1beta1 Deployment is deprecated in v1.8+, unavailable in v1.16+; use apps/v1 Deployment"
    );
}

#[test]
fn an_old_ingress_gets_todays_backends_and_back() {
    let spec = json!({"backend": {"serviceName": "d", "servicePort": "http"}, "rules": [{"host": "a.b", "http": {"paths":
        [{"path": "/x", "backend": {"serviceName": "s", "servicePort": 80}}]}}]});
    let old = json!({"apiVersion": "extensions/v1beta1", "kind": "Ingress", "metadata": {"name": "web"}, "spec": spec});
    let (object, errors) = create(old.clone());
    assert_eq!(errors, Vec::<String>::new());
    let expected = json!({"defaultBackend": {"service": {"name": "d", "port": {"name": "http"}}}, "rules": [{"host": "a.b",
        "http": {"paths": [{"path": "/x", "pathType": "ImplementationSpecific",
        "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]});
    assert_eq!(object["spec"], expected);
    let (_, older) = resolve("extensions", "v1beta1", "ingresses").unwrap();
    let mut back = object;
    (older.unwrap().from_current)(&mut back);
    let mut expected = old["spec"].clone();
    expected["rules"][0]["http"]["paths"][0]["pathType"] = json!("ImplementationSpecific");
    assert_eq!((&back["apiVersion"], &back["spec"]), (&json!("extensions/v1beta1"), &expected));
}

#[test]
fn sets_were_updated_by_hand() {
    let old = |kind: &str, version: &str| {
        let spec = json!({"template": template(), "serviceName": "s", "templateGeneration": 1});
        let (object, errors) =
            create(json!({"apiVersion": version, "kind": kind, "metadata": {"name": "web"}, "spec": spec}));
        assert_eq!(errors, Vec::<String>::new());
        object["spec"]["updateStrategy"].clone()
    };
    assert_eq!(old("StatefulSet", "apps/v1beta1"), json!({"type": "OnDelete"}));
    assert_eq!(old("DaemonSet", "extensions/v1beta1"), json!({"type": "OnDelete"}));
}

#[test]
fn versions_and_warnings_fit_their_kinds() {
    for kind in crate::kinds() {
        for older in kind.older.iter().filter(|older| older.group != "events.k8s.io") {
            let start = format!("{} {} is deprecated in v1.", older.api_version(), kind.kind);
            let end = format!("; use {} {}", kind.api_version(), kind.kind);
            assert!(older.warning.starts_with(&start) && older.warning.ends_with(&end), "{}", older.warning);
            let mut object = json!({"apiVersion": older.api_version(), "kind": kind.kind});
            (older.to_current)(&mut object);
            assert_eq!(object["apiVersion"], json!(kind.api_version()));
            (older.from_current)(&mut object);
            assert_eq!(object["apiVersion"], json!(older.api_version()));
        }
    }
}
