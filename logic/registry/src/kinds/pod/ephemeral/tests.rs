//! Containers added to a running pod: what may be added, and that nothing else changes.

use super::*;
use crate::tests::create;
use serde_json::{Value, json};

fn pod() -> Value {
    let manifest = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "resourceVersion": "7"},
        "spec": {"containers": [{"name": "c", "image": "i"}], "volumes": [{"name": "v", "emptyDir": {}}]}});
    let (mut made, errors) = create(manifest);
    assert_eq!(errors, Vec::<String>::new());
    made["spec"]["nodeName"] = "n".into();
    made
}

fn with(pod: &Value, containers: Value) -> Value {
    let mut pod = pod.clone();
    pod["spec"]["ephemeralContainers"] = containers;
    (super::super::KIND.default)(&mut pod);
    pod
}

#[track_caller]
fn check(old: &Value, containers: Value, expected: &[&str]) {
    let mut new = with(old, containers.clone());
    prepare(&mut new, old);
    let errors: Vec<String> = validate(&new, old).iter().map(ToString::to_string).collect();
    assert_eq!(errors, expected, "{containers}");
}

#[test]
fn a_container_is_added_and_nothing_else_changes() {
    let old = pod();
    let mut new =
        with(&old, json!([{"name": "debug", "image": "busybox", "targetContainerName": "c", "tty": true}]));
    new["spec"]["containers"][0]["image"] = "other".into();
    new["metadata"]["labels"] = json!({"a": "b"});
    prepare(&mut new, &old);
    assert_eq!(validate(&new, &old), []);
    assert_eq!(new["spec"]["containers"], old["spec"]["containers"]);
    assert_eq!(new["metadata"]["labels"], old["metadata"]["labels"]);
    assert_eq!(new["metadata"]["generation"], 2);
    assert_eq!(new["spec"]["ephemeralContainers"][0]["imagePullPolicy"], "Always");
}

#[test]
fn what_is_there_stays() {
    let old = with(&pod(), json!([{"name": "debug", "image": "busybox:1.36"}]));
    check(&old, old["spec"]["ephemeralContainers"].clone(), &[]);
    check(
        &old,
        json!([]),
        &[
            "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"debug\" may not be removed\n",
        ],
    );
    check(
        &old,
        json!([{"name": "debug", "image": "busybox:1.37"}]),
        &[
            "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"debug\" may not be changed\n",
        ],
    );
}

#[test]
fn they_are_no_part_of_the_work() {
    let (old, at) = (pod(), "spec.ephemeralContainers[0]");
    let one = |fields: Value| {
        let mut container = json!({"name": "debug", "image": "busybox"});
        container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!([container])
    };
    check(&old, one(json!({"name": "c"})), &[&format!("{at}.name: Duplicate value: \"c\"")]);
    check(
        &old,
        one(json!({"targetContainerName": "d"})),
        &[&format!("{at}.targetContainerName: Not found: \"d\"")],
    );
    for (field, value) in [
        ("ports", json!([{"containerPort": 80, "protocol": "TCP"}])),
        ("livenessProbe", json!({"exec": {"command": ["x"]}})),
        ("resources", json!({"limits": {"cpu": "1"}})),
        ("restartPolicy", json!("Always")),
    ] {
        let expected = format!("{at}.{field}: Forbidden: cannot be set for an Ephemeral Container");
        check(&old, one(json!({ field: value })), &[&expected]);
    }
    check(
        &old,
        one(json!({"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "s"}]})),
        &[&format!("{at}.volumeMounts[0].subPath: Forbidden: cannot be set for an Ephemeral Container")],
    );
    check(&old, json!([{"name": "x"}]), &[&format!("{at}.image: Required value")]);
}

#[test]
fn pods_are_made_without_and_mirrors_have_none() {
    let mut old = pod();
    assert_eq!(refuse_at_creation(&old), None);
    let made = with(&old, json!([{"name": "debug", "image": "busybox"}]));
    let text = "spec.ephemeralContainers: Forbidden: cannot be set on create";
    assert_eq!(refuse_at_creation(&made).unwrap().to_string(), text);
    old["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    assert_eq!(validate(&made, &old)[0].detail, "static pods do not support ephemeral containers");
}
