//! Claims and volumes: who gets whom, what is said of it, and what becomes of both.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use serde_json::{Value, json};

use crate::world::{World, pod, running};
use crate::{Controller, Kept, Key, Task};

fn with(mut object: Value, change: impl FnOnce(&mut Value)) -> Value {
    change(&mut object);
    object
}

fn claim(name: &str, class: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "default", "finalizers": ["kubernetes.io/pvc-protection"]},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": class, "resources": {"requests": {"storage": "2Gi"}}},
        "status": {"phase": "Pending"},
    })
}

fn volume(name: &str, size: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": name, "finalizers": ["kubernetes.io/pv-protection"]},
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, "storageClassName": "manual",
            "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": "/data"}},
        "status": {"phase": "Available"},
    })
}

fn class(name: &str, mode: &str) -> Value {
    json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
        "provisioner": "example.com/disk", "reclaimPolicy": "Delete", "volumeBindingMode": mode})
}

fn key() -> Key {
    Key::new("default", "c")
}

fn get_claim(world: &World) -> PersistentVolumeClaim {
    world.get(&key()).unwrap()
}

fn phases(world: &World) -> (String, Vec<String>) {
    let claim = get_claim(world).status.and_then(|it| it.phase).unwrap_or_default();
    let volumes = world.all::<PersistentVolume>().into_iter();
    (claim, volumes.map(|it| crate::storage::phase(&it).to_owned()).collect())
}

/// The name of the volume that claim `c` ends up with; none if it stays open.
fn check(objects: Vec<Value>, expected: Option<&str>) -> World {
    let mut world = World::with(objects);
    for _ in 0..12 {
        for key in [key(), Key::cluster("small"), Key::cluster("large"), Key::cluster("exact")] {
            let plan = crate::plan(&world.view, &Task::new(Controller::PersistentVolume, key), world.now);
            world.carry(&plan);
            world.deliver_all();
        }
    }
    let claim = get_claim(&world);
    assert_eq!(crate::storage::volume_name(&claim), expected);
    if let Some(name) = expected {
        let volume: PersistentVolume = world.get(&Key::cluster(name)).unwrap();
        assert_eq!(crate::storage::claim_ref(&volume).unwrap().uid, claim.metadata.uid);
        assert_eq!(crate::storage::phase(&volume), "Bound");
        let status = claim.status.unwrap();
        assert_eq!(
            (status.phase.as_deref(), status.capacity),
            (Some("Bound"), volume.spec.unwrap().capacity)
        );
        let quiet = crate::plan(&world.view, &Task::new(Controller::PersistentVolume, key()), world.now);
        assert!(quiet.is_empty(), "{quiet:?}");
    }
    world
}

fn said(world: &World, text: &str) {
    assert!(world.told.iter().any(|told| told == text), "{text}\nis not in {:#?}", world.told);
}

#[test]
fn a_claim_gets_the_smallest_volume_that_will_do() {
    let all = || vec![volume("small", "1Gi"), volume("large", "9Gi"), volume("exact", "2Gi")];
    check([all(), vec![claim("c", "manual")]].concat(), Some("exact"));
    check(vec![volume("small", "1Gi"), volume("large", "9Gi"), claim("c", "manual")], Some("large"));
    check(vec![volume("small", "1Gi"), claim("c", "manual")], None);
    check([all(), vec![claim("c", "other")]].concat(), None);
    let many = with(claim("c", "manual"), |it| it["spec"]["accessModes"] = json!(["ReadWriteMany"]));
    check([all(), vec![many]].concat(), None);
    let fast = with(volume("large", "9Gi"), |it| it["metadata"]["labels"] = json!({"disk": "fast"}));
    let choosy =
        with(claim("c", "manual"), |it| it["spec"]["selector"] = json!({"matchLabels": {"disk": "fast"}}));
    check(vec![fast, volume("exact", "2Gi"), choosy], Some("large"));
}

#[test]
fn what_users_bind_by_hand_is_bound() {
    let promised = with(volume("large", "9Gi"), |it| {
        it["spec"]["claimRef"] = json!({"namespace": "default", "name": "c"})
    });
    let world = check(vec![volume("exact", "2Gi"), promised, claim("c", "manual")], Some("large"));
    let large: PersistentVolume = world.get(&Key::cluster("large")).unwrap();
    assert!(crate::storage::annotation(&large.metadata, crate::storage::BOUND_BY_CONTROLLER).is_none());
    let naming = |name: &str| with(claim("c", "manual"), |it| it["spec"]["volumeName"] = name.into());
    check(vec![volume("exact", "2Gi"), volume("large", "9Gi"), naming("large")], Some("large"));
    let world = check_open(vec![volume("small", "1Gi"), naming("small")]);
    said(&world, "VolumeMismatch: Cannot bind to requested volume \"small\": requested PV is too small");
    let taken = with(volume("large", "9Gi"), |it| {
        it["spec"]["claimRef"] = json!({"namespace": "default", "name": "other", "uid": "u"})
    });
    let world = check_open(vec![taken, naming("large")]);
    said(&world, "FailedBinding: volume \"large\" already bound to a different claim.");
}

/// One look at a claim that cannot be bound.
fn check_open(objects: Vec<Value>) -> World {
    let mut world = World::with(objects);
    let plan = crate::plan(&world.view, &Task::new(Controller::PersistentVolume, key()), world.now);
    assert!(plan.requeue_after.is_some());
    world.carry(&plan);
    assert_eq!(get_claim(&world).status.unwrap().phase.as_deref(), Some("Pending"));
    world
}

#[test]
fn claims_that_wait_say_for_what() {
    let world = check_open(vec![class("slow", "WaitForFirstConsumer"), claim("c", "slow")]);
    said(&world, "WaitForFirstConsumer: waiting for first consumer to be created before binding");
    let user = with(pod("p", json!({})), |it| {
        it["spec"]["volumes"] = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])
    });
    let world = check_open(vec![class("slow", "WaitForFirstConsumer"), claim("c", "slow"), user]);
    said(&world, "WaitForPodScheduled: waiting for pod p to be scheduled");
    let world = check_open(vec![claim("c", "")]);
    said(&world, "FailedBinding: no persistent volumes available for this claim and no storage class is set");
    let world = check_open(vec![claim("c", "nosuch")]);
    said(&world, "ProvisioningFailed: storageclass.storage.k8s.io \"nosuch\" not found");
}

#[test]
fn a_claim_without_a_class_gets_the_default_and_calls_its_provisioner() {
    let default = with(class("usual", "Immediate"), |it| {
        it["metadata"]["annotations"] = json!({"storageclass.kubernetes.io/is-default-class": "true"})
    });
    let bare =
        with(claim("c", ""), |it| drop(it["spec"].as_object_mut().unwrap().remove("storageClassName")));
    let world = check(vec![default, class("other", "Immediate"), bare], None);
    let claim = get_claim(&world);
    assert_eq!(crate::storage::class_of_claim(&claim), Some("usual"));
    for name in crate::storage::PROVISIONERS {
        assert_eq!(crate::storage::annotation(&claim.metadata, name), Some("example.com/disk"));
    }
    said(
        &world,
        "ExternalProvisioning: Waiting for a volume to be created either by the external provisioner 'example.com/disk' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.",
    );
}

/// Plans for the claim and the volume until nothing changes.
fn settle(world: &mut World) {
    for _ in 0..6 {
        for key in [key(), Key::cluster("exact")] {
            let plan = crate::plan(&world.view, &Task::new(Controller::PersistentVolume, key), world.now);
            world.carry(&plan);
            world.deliver_all();
        }
    }
}

#[test]
fn a_claim_is_held_while_a_pod_uses_it_and_leaves_its_volume_released() {
    let mut world = check(vec![volume("exact", "2Gi"), claim("c", "manual")], Some("exact"));
    let user = with(running("p", json!({}), "10.244.0.2"), |it| {
        it["spec"]["volumes"] = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])
    });
    world.create(user).unwrap();
    world.delete(&PersistentVolumeClaim::RESOURCE, &key(), None, false);
    world.deliver_all();
    settle(&mut world);
    assert!(world.get::<PersistentVolumeClaim>(&key()).is_some(), "in use");
    world.edit::<k8s_openapi::api::core::v1::Pod>(&Key::new("default", "p"), |it| {
        it["status"]["phase"] = "Succeeded".into()
    });
    world.deliver_all();
    settle(&mut world);
    assert!(world.get::<PersistentVolumeClaim>(&key()).is_none());
    let left: PersistentVolume = world.get(&Key::cluster("exact")).unwrap();
    assert_eq!(crate::storage::phase(&left), "Released");
    world.delete(&PersistentVolume::RESOURCE, &Key::cluster("exact"), None, false);
    world.deliver_all();
    settle(&mut world);
    assert!(world.all::<PersistentVolume>().is_empty());
}

#[test]
fn a_volume_that_nobody_can_delete_has_failed_and_one_in_use_stays() {
    let policy =
        with(volume("exact", "2Gi"), |it| it["spec"]["persistentVolumeReclaimPolicy"] = "Delete".into());
    let mut world = check(vec![policy, claim("c", "manual")], Some("exact"));
    world.delete(&PersistentVolume::RESOURCE, &Key::cluster("exact"), None, false);
    world.deliver_all();
    settle(&mut world);
    assert_eq!(phases(&world), ("Bound".to_owned(), vec!["Bound".to_owned()]));
    let policy =
        with(volume("exact", "2Gi"), |it| it["spec"]["persistentVolumeReclaimPolicy"] = "Delete".into());
    let mut world = check(vec![policy, claim("c", "manual")], Some("exact"));
    world.delete(&PersistentVolumeClaim::RESOURCE, &key(), None, false);
    world.deliver_all();
    settle(&mut world);
    said(
        &world,
        "VolumeFailedDelete: error getting deleter volume plugin for volume \"exact\": no deletable volume plugin matched",
    );
    assert_eq!(crate::storage::phase(&world.all::<PersistentVolume>()[0]), "Failed");
}

#[test]
fn a_claim_whose_volume_is_gone_is_lost() {
    let mut world = check(vec![volume("exact", "2Gi"), claim("c", "manual")], Some("exact"));
    world.edit::<PersistentVolume>(&Key::cluster("exact"), |it| it["metadata"]["finalizers"] = json!([]));
    world.delete(&PersistentVolume::RESOURCE, &Key::cluster("exact"), None, false);
    world.deliver_all();
    settle(&mut world);
    assert_eq!(phases(&world).0, "Lost");
    said(&world, "ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!");
}
