//! From a pod with a claim of our own class to a volume on its node, and the pod there.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use serde_json::{Value, json};

use crate::world::{World, node, pod};
use crate::{Controller, Key, Task};

fn class(mode: &str) -> Value {
    json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "local"},
        "provisioner": "kelson.dev/local", "reclaimPolicy": "Delete", "volumeBindingMode": mode})
}

fn claim(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "local", "resources": {"requests": {"storage": "1Gi"}}},
        "status": {"phase": "Pending"},
    })
}

fn keeper(name: &str) -> Value {
    let mut node = node(name);
    node["metadata"]["labels"] = json!({"kubernetes.io/hostname": name});
    node["metadata"]["annotations"] = json!({"kelson.dev/local-volumes": "/data/volumes"});
    node
}

fn user(name: &str, claim: &str) -> Value {
    let mut pod = pod(name, json!({}));
    pod["spec"]["volumes"] = json!([{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]);
    pod
}

fn said(world: &World, text: &str) {
    assert!(world.told.iter().any(|told| told == text), "{text}\nis not in {:#?}", world.told);
}

#[test]
fn the_first_pod_decides_where_the_volume_is_and_the_second_follows() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        let objects = [class("WaitForFirstConsumer"), keeper("m"), keeper("n"), claim("c"), user("p", "c")];
        objects.into_iter().for_each(|object| drop(world.create(object).unwrap()));
        world.settle(|_| {});
        let claim: PersistentVolumeClaim = world.get(&Key::new("default", "c")).unwrap();
        let name = format!("pvc-{}", claim.metadata.uid.clone().unwrap());
        assert_eq!(claim.spec.unwrap().volume_name.as_ref(), Some(&name));
        assert_eq!(claim.status.unwrap().phase.as_deref(), Some("Bound"));
        let volume: PersistentVolume = world.get(&Key::cluster(&name)).unwrap();
        let spec = volume.spec.unwrap();
        assert_eq!(spec.local.unwrap().path, format!("/data/volumes/{name}_default_c"));
        assert_eq!(spec.persistent_volume_reclaim_policy.as_deref(), Some("Delete"));
        let place = spec.node_affinity.unwrap().required.unwrap().node_selector_terms;
        let place = place[0].match_expressions.as_ref().unwrap()[0].values.clone().unwrap();
        let first: Pod = world.get(&Key::new("default", "p")).unwrap();
        assert_eq!(place, [first.spec.unwrap().node_name.unwrap()]);
        said(&world, "Provisioning: External provisioner is provisioning volume for claim \"default/c\"");
        said(&world, &format!("ProvisioningSucceeded: Successfully provisioned volume {name}"));
        world.create(user("q", "c")).unwrap();
        world.settle(|_| {});
        let second: Pod = world.get(&Key::new("default", "q")).unwrap();
        assert_eq!(Some(&place[0]), second.spec.unwrap().node_name.as_ref());
        assert_eq!(world.all::<PersistentVolume>().len(), 1);
        assert!(world.plans_left().is_empty(), "{:?}", world.plans_left());
    }
}

#[test]
fn without_a_pod_nothing_is_made_unless_the_class_says_at_once() {
    let provision = |mode: &str, claim: Value| {
        let mut world = World::with(vec![class(mode), keeper("n"), claim]);
        for controller in [Controller::PersistentVolume, Controller::Provision] {
            let plan = crate::plan(&world.view, &Task::new(controller, Key::new("default", "c")), world.now);
            world.carry(&plan);
            world.deliver_all();
        }
        world
    };
    assert!(provision("WaitForFirstConsumer", claim("c")).all::<PersistentVolume>().is_empty());
    assert_eq!(provision("Immediate", claim("c")).all::<PersistentVolume>().len(), 1);
    let mut block = claim("c");
    block["spec"]["volumeMode"] = "Block".into();
    said(
        &provision("Immediate", block),
        "ProvisioningFailed: failed to provision volume with StorageClass \"local\": kelson.dev/local makes directories: volumeMode Block is not supported",
    );
}

#[test]
fn an_ephemeral_volume_has_a_claim_of_its_own() {
    let mut world = World::new(3);
    let mut pod = pod("p", json!({}));
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": claim("x")["spec"]});
    pod["spec"]["volumes"] = json!([{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}]);
    [class("WaitForFirstConsumer"), keeper("n"), pod]
        .into_iter()
        .for_each(|it| drop(world.create(it).unwrap()));
    world.settle(|_| {});
    let claim: PersistentVolumeClaim = world.get(&Key::new("default", "p-scratch")).unwrap();
    assert_eq!(claim.metadata.labels.unwrap()["a"], "b");
    let pod: Pod = world.get(&Key::new("default", "p")).unwrap();
    assert_eq!(claim.metadata.owner_references.unwrap()[0].uid, pod.metadata.uid.unwrap());
    assert_eq!(pod.spec.unwrap().node_name.as_deref(), Some("n"));
}

/// A claim grows with its class's leave: volume and claim say the new size, and the resizing is told as upstream tells it.
#[test]
fn a_claim_that_may_grow_grows() {
    for (allowed, expected) in [(true, "2Gi"), (false, "1Gi")] {
        for seed in 0..10 {
            let mut world = World::new(seed);
            let mut class = class("WaitForFirstConsumer");
            class["allowVolumeExpansion"] = allowed.into();
            for object in [class, keeper("n"), claim("c"), user("p", "c")] {
                world.create(object).unwrap();
            }
            world.settle(|_| {});
            let key = Key::new("default", "c");
            world.edit::<PersistentVolumeClaim>(&key, |claim| {
                claim["spec"]["resources"]["requests"]["storage"] = "2Gi".into();
            });
            world.settle(|_| {});
            let claim: PersistentVolumeClaim = world.get(&key).unwrap();
            let status = claim.status.unwrap();
            assert_eq!(status.capacity.unwrap()["storage"].0, expected);
            assert_eq!(status.conditions, None);
            let volume = claim.spec.unwrap().volume_name.unwrap();
            let spec = world.get::<PersistentVolume>(&Key::cluster(&volume)).unwrap().spec.unwrap();
            assert_eq!(spec.capacity.unwrap()["storage"].0, expected);
            if allowed {
                assert_eq!(status.allocated_resources.unwrap()["storage"].0, "2Gi");
                said(&world, &format!("Resizing: External resizer is resizing volume {volume}"));
                said(&world, "VolumeResizeSuccessful: Resize volume succeeded");
            }
            assert_eq!(world.plans_left(), []);
        }
    }
}
