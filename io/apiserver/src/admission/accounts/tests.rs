//! The injected volume: where it goes and where it does not.

use super::*;

#[track_caller]
fn check(spec: Value, mounts: [usize; 2], volumes: usize) -> Object {
    let mut pod = json!({ "spec": spec });
    mount(&mut pod, 7);
    let counts = ["initContainers", "containers"].map(|list| {
        let all = meta::get_list(&pod, &["spec", list]).iter();
        all.filter(|container| has_mount(container)).count()
    });
    assert_eq!((counts, meta::get_list(&pod, &["spec", "volumes"]).len()), (mounts, volumes), "{pod:#}");
    pod
}

#[test]
fn every_container_gets_the_volume() {
    let pod = check(
        json!({"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}]}),
        [1, 2],
        1,
    );
    let name = pod["spec"]["volumes"][0]["name"].as_str().unwrap();
    assert_eq!(
        (
            name.strip_prefix("kube-api-access-").map(str::len),
            pod["spec"]["volumes"][0]["projected"]["defaultMode"].as_i64()
        ),
        (Some(5), Some(420))
    );
    assert_eq!(
        pod["spec"]["containers"][1]["volumeMounts"],
        json!([{"name": name, "readOnly": true, "mountPath": MOUNT}])
    );
}

#[test]
fn what_is_mounted_there_already_stays() {
    let own = json!([{"name": "own", "mountPath": MOUNT}]);
    check(
        json!({"containers": [{"name": "a", "volumeMounts": own}], "volumes": [{"name": "own"}]}),
        [0, 1],
        1,
    );
    check(json!({"containers": [{"name": "a", "volumeMounts": own}, {"name": "b"}]}), [0, 2], 1);
}

#[test]
fn a_volume_injected_before_is_used_again() {
    let volume = json!({"name": "kube-api-access-abcde", "projected": projected()});
    let pod = check(json!({"containers": [{"name": "a"}], "volumes": [volume]}), [0, 1], 1);
    assert_eq!(pod["spec"]["containers"][0]["volumeMounts"][0]["name"], "kube-api-access-abcde");
}
