//! StatefulSet: order, identity, claims, updates, history; and whole lives by chance.

use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use serde_json::{Value, json};

use crate::kinds::Kept;
use crate::world::{World, node, stateful_set};
use crate::{Controller, Key, Plan, Task, pod};

fn key() -> Key {
    Key::new("default", "web")
}

fn plan(world: &World) -> Plan {
    crate::plan(&world.view, &Task::new(Controller::StatefulSet, key()), world.now)
}

fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut set = stateful_set(3, "v1");
    change(&mut set["spec"]);
    set
}

fn settled(set: Value) -> World {
    let mut world = World::with(vec![node("n"), set]);
    world.settle(|_| {});
    world
}

fn roll(world: &mut World, image: &str) {
    world.edit::<StatefulSet>(&key(), |set| {
        set["spec"]["template"]["spec"]["containers"][0]["image"] = image.into()
    });
}

/// The pods as `name=image`, in the order of their ordinals.
fn images(world: &World) -> Vec<String> {
    let named = world.all::<Pod>().into_iter().map(|pod| {
        let image = pod.spec.unwrap().containers[0].image.clone().unwrap();
        format!("{}={image}", pod.metadata.name.unwrap())
    });
    named.collect()
}

fn status(world: &World) -> StatefulSetStatus {
    world.get::<StatefulSet>(&key()).unwrap().status.unwrap()
}

fn revisions(world: &World) -> Vec<(i64, String)> {
    let mut all: Vec<(i64, String)> = world
        .all::<ControllerRevision>()
        .into_iter()
        .map(|one| {
            let image = one.data.0.pointer("/spec/template/spec/containers/0/image").unwrap();
            (one.revision.unwrap(), image.as_str().unwrap().to_owned())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn h4_1_a_pod_carries_its_name_and_index() {
    let mut world = World::with(vec![node("n"), with(|spec| spec["ordinals"] = json!({"start": 5}))]);
    world.settle(|_| {});
    let pod = world.get::<Pod>(&Key::new("default", "web-6")).unwrap();
    let labels = pod.metadata.labels.unwrap();
    assert_eq!(labels["statefulset.kubernetes.io/pod-name"], "web-6");
    assert_eq!(labels["apps.kubernetes.io/pod-index"], "6");
    assert_eq!(labels["controller-revision-hash"], status(&world).update_revision.unwrap());
    let spec = pod.spec.unwrap();
    assert_eq!((spec.hostname.as_deref(), spec.subdomain.as_deref()), (Some("web-6"), Some("web")));
    assert_eq!(images(&world), ["web-5=v1", "web-6=v1", "web-7=v1"]);
    assert!(
        world.told.contains(&"SuccessfulCreate: create Pod web-5 in StatefulSet web successful".to_owned())
    );
}

/// At most one pod is not available, and none of a higher ordinal is there.
fn check_order(world: &World) {
    let pods = world.all::<Pod>();
    let bad = pods.iter().position(|pod| !pod::is_ready(pod) || pod::is_deleting(pod));
    assert!(bad.is_none_or(|bad| bad + 1 == pods.len()), "{:?}", images(world));
}

#[test]
fn h4_2_replicas_come_and_go_one_by_one() {
    let mut world = World::with(vec![node("n"), stateful_set(3, "v1")]);
    world.settle(check_order);
    assert_eq!(images(&world), ["web-0=v1", "web-1=v1", "web-2=v1"]);
    world.edit::<StatefulSet>(&key(), |set| set["spec"]["replicas"] = 1.into());
    world.settle(check_order);
    assert_eq!(images(&world), ["web-0=v1"]);
    let deleted: Vec<&String> =
        world.told.iter().filter(|told| told.starts_with("SuccessfulDelete")).collect();
    assert_eq!(
        deleted,
        [
            "SuccessfulDelete: delete Pod web-2 in StatefulSet web successful",
            "SuccessfulDelete: delete Pod web-1 in StatefulSet web successful"
        ]
    );
    assert_eq!(world.plans_left(), []);
}

#[test]
fn h4_2_an_unready_pod_halts_everything_behind_it() {
    let mut world = settled(stateful_set(2, "v1"));
    world.edit::<Pod>(&Key::new("default", "web-0"), |pod| {
        pod["status"]["conditions"][0]["status"] = "False".into()
    });
    world.edit::<StatefulSet>(&key(), |set| set["spec"]["replicas"] = 4.into());
    world.deliver_all();
    let creates = |plan: &Plan| plan.actions().any(|one| matches!(one, crate::Action::Create { .. }));
    assert!(!creates(&plan(&world)), "nothing is made while web-0 is not ready");
    world.make_ready(&Key::new("default", "web-0"));
    world.deliver_all();
    assert!(creates(&plan(&world)));
}

#[test]
fn h4_3_parallel_waits_for_nobody() {
    let world = World::with(vec![with(|spec| spec["podManagementPolicy"] = "Parallel".into())]);
    let mut world = world;
    // The first plan writes the history.
    let first = plan(&world);
    world.carry(&first);
    world.deliver_all();
    let creates = plan(&world).actions().filter(|one| matches!(one, crate::Action::Create { .. })).count();
    assert_eq!(creates, 3);
    world.settle(|_| {});
    world.edit::<StatefulSet>(&key(), |set| set["spec"]["replicas"] = 0.into());
    world.settle(|_| {});
    assert_eq!(images(&world), Vec::<String>::new());
}

#[test]
fn h4_3_one_plan_makes_five_hundred_pods_at_most() {
    for policy in ["Parallel", "OrderedReady"] {
        let mut world = World::with(vec![with(|spec| {
            spec["podManagementPolicy"] = policy.into();
            spec["replicas"] = i32::MAX.into();
        })]);
        let first = plan(&world);
        world.carry(&first);
        world.deliver_all();
        let creates =
            plan(&world).actions().filter(|one| matches!(one, crate::Action::Create { .. })).count();
        assert_eq!(creates, if policy == "Parallel" { 500 } else { 1 });
    }
}

#[test]
fn h4_4_pods_that_ended_are_made_again() {
    for phase in ["Failed", "Succeeded"] {
        let mut world = settled(stateful_set(2, "v1"));
        let before = world.get::<Pod>(&Key::new("default", "web-1")).unwrap().metadata.uid;
        world.edit::<Pod>(&Key::new("default", "web-1"), |pod| pod["status"]["phase"] = phase.into());
        world.settle(|_| {});
        let after = world.get::<Pod>(&Key::new("default", "web-1")).unwrap().metadata.uid;
        assert_ne!(before, after, "{phase}");
    }
}

#[test]
fn h4_5_an_update_goes_from_the_highest_ordinal_one_at_a_time() {
    let mut world = settled(stateful_set(3, "v1"));
    roll(&mut world, "v2");
    world.settle(|world| {
        let good =
            world.all::<Pod>().iter().filter(|pod| pod::is_ready(pod) && !pod::is_deleting(pod)).count();
        assert!(good >= 2, "{:?}", images(world));
    });
    assert_eq!(images(&world), ["web-0=v2", "web-1=v2", "web-2=v2"]);
    let status = status(&world);
    assert_eq!(status.current_revision, status.update_revision);
    assert_eq!(
        (status.replicas, status.current_replicas, status.updated_replicas, status.available_replicas),
        (3, Some(3), Some(3), Some(3))
    );
    let deleted: Vec<char> = world
        .told
        .iter()
        .filter_map(|told| told.strip_prefix("SuccessfulDelete: delete Pod web-")?.chars().next())
        .collect();
    assert_eq!(deleted, ['2', '1', '0']);
}

#[test]
fn h4_5_below_the_partition_everything_stays_as_it_was() {
    let mut world = settled(with(|spec| spec["updateStrategy"]["rollingUpdate"]["partition"] = 2.into()));
    roll(&mut world, "v2");
    world.settle(|_| {});
    assert_eq!(images(&world), ["web-0=v1", "web-1=v1", "web-2=v2"]);
    assert_eq!((status(&world).current_replicas, status(&world).updated_replicas), (Some(2), Some(1)));
    world.delete(&Pod::RESOURCE, &Key::new("default", "web-0"), None, true);
    world.settle(|_| {});
    assert_eq!(images(&world), ["web-0=v1", "web-1=v1", "web-2=v2"], "it comes back as it was");
    world.edit::<StatefulSet>(&key(), |set| {
        set["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = 0.into()
    });
    world.settle(|_| {});
    assert_eq!(images(&world), ["web-0=v2", "web-1=v2", "web-2=v2"]);
}

#[test]
fn h4_5_max_unavailable_lets_more_go_at_once() {
    let mut world = settled(with(|spec| {
        spec["replicas"] = 4.into();
        spec["podManagementPolicy"] = "Parallel".into();
        spec["updateStrategy"]["rollingUpdate"]["maxUnavailable"] = "50%".into();
    }));
    roll(&mut world, "v2");
    world.settle(|world| {
        let good =
            world.all::<Pod>().iter().filter(|pod| pod::is_ready(pod) && !pod::is_deleting(pod)).count();
        assert!(good >= 2, "{:?}", images(world));
    });
    assert_eq!(images(&world), ["web-0=v2", "web-1=v2", "web-2=v2", "web-3=v2"]);
}

#[test]
fn h4_7_on_delete_nothing_goes_by_itself() {
    let mut world = settled(with(|spec| spec["updateStrategy"] = json!({"type": "OnDelete"})));
    roll(&mut world, "v2");
    world.settle(|_| {});
    assert_eq!(images(&world), ["web-0=v1", "web-1=v1", "web-2=v1"]);
    world.delete(&Pod::RESOURCE, &Key::new("default", "web-1"), None, true);
    world.settle(|_| {});
    assert_eq!(images(&world), ["web-0=v1", "web-1=v2", "web-2=v1"]);
}

#[test]
fn h4_9_a_template_that_comes_back_takes_its_revision_up_again() {
    let mut world = settled(stateful_set(1, "v1"));
    for image in ["v2", "v1"] {
        roll(&mut world, image);
        world.settle(|_| {});
    }
    assert_eq!(revisions(&world), [(2, "v2".to_owned()), (3, "v1".to_owned())]);
    let data = &world.all::<ControllerRevision>()[0].data.0;
    assert_eq!(data["spec"]["template"]["$patch"], "replace");
    assert_eq!(data["spec"].as_object().unwrap().len(), 1);
}

#[test]
fn h4_9_history_is_kept_as_far_as_asked() {
    let mut world = settled(with(|spec| {
        spec["replicas"] = 1.into();
        spec["revisionHistoryLimit"] = 2.into();
    }));
    for image in ["v2", "v3", "v4", "v5"] {
        roll(&mut world, image);
        world.settle(|_| {});
    }
    assert_eq!(revisions(&world).into_iter().map(|(_, image)| image).collect::<Vec<_>>(), ["v3", "v4", "v5"]);
}

fn claimed(policy: Value) -> Value {
    with(|spec| {
        spec["replicas"] = 2.into();
        spec["persistentVolumeClaimRetentionPolicy"] = policy;
        spec["volumeClaimTemplates"] = json!([{
            "metadata": {"name": "data", "labels": {"tier": "db"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }]);
    })
}

/// A world with three volumes to bind and the set in it, at rest.
fn with_volumes(set: Value) -> World {
    let volume = |number: usize| {
        json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": format!("v{number}")},
            "spec": {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": "/v"},
            },
            "status": {"phase": "Available"},
        })
    };
    let mut world = World::with((0..3).map(volume).chain([node("n"), set]).collect());
    world.settle(|_| {});
    world
}

fn claims(world: &World) -> Vec<(String, Vec<String>)> {
    let named = world.all::<PersistentVolumeClaim>().into_iter().map(|claim| {
        let owners = claim.metadata.owner_references.unwrap_or_default();
        (claim.metadata.name.unwrap(), owners.into_iter().map(|owner| owner.kind).collect())
    });
    named.collect()
}

#[test]
fn h4_10_claims_come_from_the_templates_and_stay() {
    let mut world = with_volumes(claimed(json!({"whenDeleted": "Retain", "whenScaled": "Retain"})));
    let none = Vec::<String>::new;
    assert_eq!(claims(&world), [("data-web-0".to_owned(), none()), ("data-web-1".to_owned(), none())]);
    let claim = world.get::<PersistentVolumeClaim>(&Key::new("default", "data-web-1")).unwrap();
    let labels = claim.metadata.labels.unwrap();
    assert_eq!((labels["app"].as_str(), labels["tier"].as_str()), ("web", "db"));
    let pod = world.get::<Pod>(&Key::new("default", "web-1")).unwrap();
    let volume = &pod.spec.unwrap().volumes.unwrap()[0];
    assert_eq!((volume.name.as_str()), "data");
    assert_eq!(volume.persistent_volume_claim.as_ref().unwrap().claim_name, "data-web-1");
    let told = "SuccessfulCreate: create Claim data-web-1 Pod web-1 in StatefulSet web success";
    assert!(world.told.contains(&told.to_owned()));
    world.edit::<StatefulSet>(&key(), |set| set["spec"]["replicas"] = 0.into());
    world.settle(|_| {});
    assert_eq!(claims(&world).len(), 2);
    assert_eq!(world.plans_left(), []);
}

#[test]
fn h4_10_claims_go_with_whom_the_policy_says() {
    let world = with_volumes(claimed(json!({"whenDeleted": "Delete", "whenScaled": "Retain"})));
    assert!(claims(&world).iter().all(|(_, owners)| owners == &["StatefulSet"]));
    let mut world = with_volumes(claimed(json!({"whenDeleted": "Retain", "whenScaled": "Delete"})));
    world.edit::<StatefulSet>(&key(), |set| set["spec"]["replicas"] = 1.into());
    world.settle(|_| {});
    assert_eq!(claims(&world), [("data-web-0".to_owned(), vec![])], "the garbage collector takes the other");
    world.edit::<StatefulSet>(&key(), |set| set["spec"]["replicas"] = 2.into());
    world.settle(|_| {});
    assert_eq!(claims(&world).len(), 2);
}

#[test]
fn h4_12_a_set_on_its_way_out_makes_nothing() {
    let mut world = settled(stateful_set(1, "v1"));
    world.edit::<StatefulSet>(&key(), |set| {
        set["metadata"]["finalizers"] = json!(["hold"]);
        set["metadata"]["deletionTimestamp"] = json!(crate::world::time(0));
        set["spec"]["replicas"] = 3.into();
    });
    world.deliver_all();
    assert!(!plan(&world).actions().any(|one| matches!(one, crate::Action::Create { .. })));
}

/// Interleaving is irrelevant: with pods killed and the size and template changed by chance, the end is the same.
#[test]
fn whatever_happens_on_the_way_the_end_is_the_same() {
    for seed in 0..60 {
        let mut world = World::new(seed);
        world.create(node("n")).unwrap();
        let mut set = stateful_set(3, "v1");
        if seed % 2 == 0 {
            set["spec"]["podManagementPolicy"] = "Parallel".into();
        }
        world.create(set).unwrap();
        for _ in 0..400 {
            world.step(disturb);
        }
        roll(&mut world, "last");
        world.edit::<StatefulSet>(&key(), |set| set["spec"]["replicas"] = 3.into());
        world.settle(|_| {});
        assert_eq!(images(&world), ["web-0=last", "web-1=last", "web-2=last"], "seed {seed}");
        let status = status(&world);
        assert_eq!(status.current_revision, status.update_revision, "seed {seed}");
        assert_eq!(world.plans_left(), [], "seed {seed}");
    }
}

fn disturb(world: &mut World) {
    let pods = world.all::<Pod>();
    match world.random.below(12) {
        0 if !pods.is_empty() => {
            let victim = Key::of(&pods[world.random.below(pods.len())].metadata);
            world.delete(&Pod::RESOURCE, &victim, None, false);
        }
        1 => {
            let size = world.random.below(5);
            world.edit::<StatefulSet>(&key(), |set| set["spec"]["replicas"] = size.into());
        }
        2 => roll(world, &format!("v{}", 1 + world.random.0 % 3)),
        _ => {}
    }
}
