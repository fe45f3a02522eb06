//! Volumes as containers see them.

use crate::Case;
use crate::world::World;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub fn all() -> Vec<(&'static str, Case)> {
            vec![$((stringify!($name), |world| Box::pin($name(world)))),*]
        }
    };
}

cases![
    every_kind_of_volume_is_mounted,
    a_config_map_changes_while_it_is_read,
    labels_change_in_the_downward_api,
    a_missing_config_map_is_waited_for,
    a_sub_path_does_not_lead_out,
];

async fn config_map(world: &World, name: &str, content: Value) {
    let map: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": name}, "data": content})).unwrap();
    let api: Api<ConfigMap> = Api::namespaced(world.client.clone(), "default");
    api.create(&PostParams::default(), &map).await.expect("a ConfigMap");
}

async fn every_kind_of_volume_is_mounted(world: &mut World) {
    config_map(world, "m", json!({"a": "1", "b": "2"})).await;
    let secret: Secret =
        serde_json::from_value(json!({"metadata": {"name": "s"}, "stringData": {"p": "q"}})).unwrap();
    Api::<Secret>::namespaced(world.client.clone(), "default")
        .create(&PostParams::default(), &secret)
        .await
        .expect("a Secret");
    let script = "cat /m/a /only /s/p /d/name; stat -L -c %a /s/p; echo; echo x > /e/f; cat /shm/../e/f; ls /all; touch /m/new || echo read-only; exec sleep 1000";
    let mut main = World::shell(script);
    main["volumeMounts"] = json!([
        {"name": "m", "mountPath": "/m"}, {"name": "m", "mountPath": "/only", "subPath": "b"}, {"name": "s", "mountPath": "/s"},
        {"name": "d", "mountPath": "/d"}, {"name": "e", "mountPath": "/e"}, {"name": "shm", "mountPath": "/shm"}, {"name": "all", "mountPath": "/all"},
    ]);
    let volumes = json!([
        {"name": "m", "configMap": {"name": "m"}},
        {"name": "s", "secret": {"secretName": "s", "defaultMode": 0o400}},
        {"name": "d", "downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"name": "e", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "all", "projected": {"sources": [{"configMap": {"name": "m", "items": [{"key": "a", "path": "x/y"}]}}, {"secret": {"name": "s"}}]}},
    ]);
    world.create("p", json!({"containers": [main], "volumes": volumes})).await;
    world.running("p").await;
    let log = world.said("p", "read-only").await;
    assert!(log.starts_with("12qp400\n\nx\np\nx\n"), "{log}");
}

async fn a_config_map_changes_while_it_is_read(world: &mut World) {
    config_map(world, "m", json!({"a": "old\n"})).await;
    let mut main = World::shell("while true; do cat /m/a; sleep 0.1; done");
    main["volumeMounts"] = json!([{"name": "m", "mountPath": "/m"}]);
    world
        .create("p", json!({"containers": [main], "volumes": [{"name": "m", "configMap": {"name": "m"}}]}))
        .await;
    world.running("p").await;
    world.said("p", "old").await;
    let api: Api<ConfigMap> = Api::namespaced(world.client.clone(), "default");
    let patch = json!({"data": {"a": "new\n"}});
    api.patch("m", &PatchParams::default(), &Patch::Merge(&patch)).await.expect("patched");
    world.said("p", "new").await;
}

async fn labels_change_in_the_downward_api(world: &mut World) {
    let mut main = World::shell("while true; do cat /d/labels; echo; sleep 0.1; done");
    main["volumeMounts"] = json!([{"name": "d", "mountPath": "/d"}]);
    let items = json!([{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]);
    let volumes = json!([{"name": "d", "downwardAPI": {"items": items}}]);
    world.create("p", json!({"containers": [main], "volumes": volumes})).await;
    world.running("p").await;
    let patch = json!({"metadata": {"labels": {"a": "b"}}});
    world.pods().patch("p", &PatchParams::default(), &Patch::Merge(&patch)).await.expect("patched");
    world.said("p", "a=\"b\"").await;
}

async fn a_missing_config_map_is_waited_for(world: &mut World) {
    let mut main = World::shell("cat /m/a; echo; exec sleep 1000");
    main["volumeMounts"] = json!([{"name": "m", "mountPath": "/m"}]);
    world
        .create("p", json!({"containers": [main], "volumes": [{"name": "m", "configMap": {"name": "late"}}]}))
        .await;
    world
        .event("p", "FailedMount: MountVolume.SetUp failed for volume \"m\" : configmap \"late\" not found")
        .await;
    config_map(world, "late", json!({"a": "here"})).await;
    world.running("p").await;
    world.said("p", "here").await;
}

async fn a_sub_path_does_not_lead_out(world: &mut World) {
    let path = world.root.join("shared");
    std::fs::create_dir_all(&path).unwrap();
    std::os::unix::fs::symlink("/etc", path.join("link")).unwrap();
    let mut main = World::shell("ls /x; exec sleep 1000");
    main["volumeMounts"] = json!([{"name": "v", "mountPath": "/x", "subPath": "link"}]);
    world
        .create("p", json!({"containers": [main], "volumes": [{"name": "v", "hostPath": {"path": path}}]}))
        .await;
    world.until("p", |pod| crate::world::waiting(pod) == "CreateContainerConfigError").await;
    world.event("p", "leads out of the volume").await;
}
