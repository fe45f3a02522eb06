//! Deployment: upstream's arithmetic step by step, and whole rollouts by chance.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::key::Key;
use crate::kinds::Kept;
use crate::pod;
use crate::world::{World, deployment, node, time};
use crate::{Action, Controller, Task};

fn rolling(surge: Value, unavailable: Value) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
}

fn key() -> Key {
    Key::new("default", "web")
}

fn typed(object: Value) -> Deployment {
    serde_json::from_value(object).unwrap()
}

/// A set of the Deployment `web` with image, size and available pods, made at a second.
fn set(name: &str, image: &str, replicas: i32, available: i32, revision: i32, at: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": name, "namespace": "default", "creationTimestamp": time(at),
            "labels": {"app": "web", "pod-template-hash": name},
            "annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d", "controller": true, "blockOwnerDeletion": true}],
        },
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web", "pod-template-hash": name}},
            "template": {
                "metadata": {"labels": {"app": "web", "pod-template-hash": name}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        },
        "status": {"replicas": replicas, "readyReplicas": available, "availableReplicas": available, "observedGeneration": 1},
    })
}

/// The Deployment `web`, which already knows its revision.
fn web(replicas: i32, image: &str, strategy: Value, revision: i32) -> Value {
    let mut object = deployment("web", replicas, image, strategy);
    object["metadata"]["uid"] = "d".into();
    object["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": revision.to_string()});
    object
}

/// The sizes that one plan gives the sets, by name.
fn check_sizes(objects: Vec<Value>, expected: &[(&str, i64)]) {
    let world = World::with(objects);
    let plan = crate::plan(&world.view, &Task::new(Controller::Deployment, key()), world.now);
    let sizes: Vec<(String, i64)> = plan
        .actions()
        .filter_map(|action| match action {
            Action::Patch { resource, key, patch, .. } if resource.plural == "replicasets" => {
                patch["spec"]["replicas"].as_i64().map(|size| (key.name.clone(), size))
            }
            Action::Create { object, .. } => {
                Some(("new".to_owned(), object["spec"]["replicas"].as_i64().unwrap()))
            }
            _ => None,
        })
        .collect();
    let expected: Vec<(String, i64)> =
        expected.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect();
    assert_eq!(sizes, expected);
}

#[test]
fn h2_2_fences_round_up_and_down_and_are_never_both_nothing() {
    let fences = |replicas, surge: Value, unavailable: Value| {
        let deployment = typed(deployment("web", replicas, "v1", rolling(surge, unavailable)));
        (super::limits::max_surge(&deployment), super::limits::max_unavailable(&deployment))
    };
    assert_eq!(fences(10, json!("25%"), json!("25%")), (3, 2));
    assert_eq!(fences(1, json!("25%"), json!("25%")), (1, 0));
    assert_eq!(fences(4, json!(0), json!("1%")), (0, 1));
    assert_eq!(fences(3, json!(1), json!(9)), (1, 3));
    assert_eq!(fences(0, json!(0), json!("50%")), (0, 0));
    let defaults = typed(deployment("web", 4, "v1", json!({"type": "RollingUpdate"})));
    assert_eq!((super::limits::max_surge(&defaults), super::limits::max_unavailable(&defaults)), (1, 1));
}

#[test]
fn h2_3_a_new_set_is_named_by_the_hash_and_carries_it() {
    let world = World::with(vec![web(3, "v1", rolling(json!(1), json!(0)), 1)]);
    let plan = crate::plan(&world.view, &Task::new(Controller::Deployment, key()), world.now);
    let Some(Action::Create { object, .. }) = plan.actions().next() else { panic!("{plan:?}") };
    let hash = object["metadata"]["labels"]["pod-template-hash"].as_str().unwrap();
    assert!((8..=10).contains(&hash.len()), "{hash}");
    assert!(hash.bytes().all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte)), "{hash}");
    assert_eq!(object["metadata"]["name"], format!("web-{hash}"));
    assert_eq!(object["spec"]["selector"]["matchLabels"]["pod-template-hash"], hash);
    assert_eq!(object["spec"]["template"]["metadata"]["labels"]["pod-template-hash"], hash);
    let notes = &object["metadata"]["annotations"];
    assert_eq!(notes["deployment.kubernetes.io/desired-replicas"], "3");
    assert_eq!(notes["deployment.kubernetes.io/max-replicas"], "4");
    assert_eq!(notes["deployment.kubernetes.io/revision"], "1");
}

#[test]
fn h2_3_a_foreign_set_of_that_name_counts_as_a_collision() {
    let mut world = World::with(vec![web(1, "v1", rolling(json!(1), json!(0)), 1)]);
    let template = world.get::<Deployment>(&key()).unwrap().spec.template;
    let hash = super::sets::template_hash(&template, None);
    let mut foreign = set("x", "other", 1, 1, 1, 0);
    foreign["metadata"]["name"] = format!("web-{hash}").into();
    foreign["metadata"]["ownerReferences"][0]["uid"] = "somebody".into();
    world.create(foreign).unwrap();
    world.settle(|_| {});
    let status = world.get::<Deployment>(&key()).unwrap().status.unwrap();
    assert_eq!(status.collision_count, Some(1));
    let other = super::sets::template_hash(&template, Some(1));
    assert!(world.get::<ReplicaSet>(&Key::new("default", format!("web-{other}"))).is_some());
}

#[test]
fn h2_5_the_new_set_goes_up_first_and_only_within_the_surge() {
    let strategy = || rolling(json!(1), json!(1));
    check_sizes(vec![web(4, "v2", strategy(), 2), set("a", "v1", 4, 4, 1, 0)], &[("new", 1)]);
    let objects = |new, available| {
        vec![web(4, "v2", strategy(), 2), set("a", "v1", 4, 4, 1, 0), set("b", "v2", new, available, 2, 1)]
    };
    // Full: 4 + 1; the new pod is not available, so one old pod may go: 5 - 3 - 1.
    check_sizes(objects(1, 0), &[("a", 3)]);
    check_sizes(objects(1, 1), &[("a", 2)]);
}

#[test]
fn h2_5_unhealthy_old_pods_go_first() {
    let objects = vec![
        web(4, "v2", rolling(json!(1), json!(0)), 3),
        set("a", "v0", 2, 0, 1, 0),
        set("b", "v1", 2, 2, 2, 1),
        set("c", "v2", 1, 1, 3, 2),
    ];
    // 5 wanted, 4 must be available: one may go, and it is one of no use.
    check_sizes(objects, &[("a", 1)]);
}

#[test]
fn h2_8_a_template_changed_mid_way_makes_both_sets_old() {
    let objects = vec![
        web(4, "v3", rolling(json!(1), json!(1)), 2),
        set("a", "v1", 3, 3, 1, 0),
        set("b", "v2", 1, 1, 2, 1),
    ];
    check_sizes(objects, &[("new", 1)]);
}

/// Sets that were last scaled when the Deployment had `desired` replicas and `max` at most.
fn sized(mut object: Value, desired: i32, max: i32) -> Value {
    let notes = &mut object["metadata"]["annotations"];
    notes["deployment.kubernetes.io/desired-replicas"] = desired.to_string().into();
    notes["deployment.kubernetes.io/max-replicas"] = max.to_string().into();
    object
}

#[test]
fn h2_7_scaling_mid_way_is_proportional() {
    // Upstream's example: 10 → 15 with surge 3, sets of 8 and 5 pods.
    let objects = vec![
        web(15, "v2", rolling(json!(3), json!(2)), 2),
        sized(set("a", "v1", 8, 8, 1, 0), 10, 13),
        sized(set("b", "v2", 5, 0, 2, 1), 10, 13),
    ];
    check_sizes(objects, &[("a", 11), ("b", 7)]);
    let single = vec![web(5, "v1", rolling(json!(1), json!(0)), 1), sized(set("a", "v1", 2, 2, 1, 0), 2, 3)];
    check_sizes(single, &[("a", 5)]);
}

#[test]
fn h2_9_a_paused_deployment_scales_but_does_not_roll() {
    let mut paused = web(2, "v2", rolling(json!(1), json!(0)), 1);
    paused["spec"]["paused"] = true.into();
    let mut world = World::with(vec![paused, sized(set("a", "v1", 2, 2, 1, 0), 2, 3)]);
    world.settle(|_| {});
    assert_eq!(world.all::<ReplicaSet>().len(), 1);
    let condition = |world: &World| {
        let status = world.get::<Deployment>(&key()).unwrap().status.unwrap();
        let conditions = status.conditions.unwrap();
        let progressing = conditions.iter().find(|one| one.type_.as_deref() == Some("Progressing")).unwrap();
        (
            progressing.status.clone().unwrap(),
            progressing.reason.clone().unwrap(),
            progressing.message.clone().unwrap(),
        )
    };
    let paused = ("Unknown".to_owned(), "DeploymentPaused".to_owned(), "Deployment is paused".to_owned());
    assert_eq!(condition(&world), paused);
    world.edit::<Deployment>(&key(), |object| object["spec"]["replicas"] = 3.into());
    world.settle(|_| {});
    assert_eq!(world.get::<ReplicaSet>(&Key::new("default", "a")).unwrap().spec.replicas, Some(3));
}

#[test]
fn h2_10_conditions_and_events_speak_upstreams_words() {
    let mut world =
        World::with(vec![node("n"), deployment("web", 2, "v1", rolling(json!("25%"), json!("25%")))]);
    world.settle(|_| {});
    let sets = world.all::<ReplicaSet>();
    let name = sets[0].metadata.name.clone().unwrap();
    assert!(world.told.contains(&format!("ScalingReplicaSet: Scaled up replica set {name} from 0 to 2")));
    let status = world.get::<Deployment>(&key()).unwrap().status.unwrap();
    let words: Vec<(String, String, String, String)> = status
        .conditions
        .unwrap()
        .into_iter()
        .map(|one| (one.type_.unwrap(), one.status.unwrap(), one.reason.unwrap(), one.message.unwrap()))
        .collect();
    let expected = [
        ("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.".to_owned()),
        (
            "Progressing",
            "True",
            "NewReplicaSetAvailable",
            format!("ReplicaSet \"{name}\" has successfully progressed."),
        ),
    ]
    .map(|(kind, status, reason, message)| (kind.to_owned(), status.to_owned(), reason.to_owned(), message));
    let mut sorted = words;
    sorted.sort();
    assert_eq!(sorted, expected);
}

#[test]
fn h2_10_a_stuck_rollout_exceeds_its_deadline() {
    // No node: the pods never start.
    let mut world = World::with(vec![deployment("web", 1, "v1", rolling(json!(1), json!(0)))]);
    world.settle(|_| {});
    world.now += jiff::SignedDuration::from_secs(700);
    let plan = crate::plan(&world.view, &Task::new(Controller::Deployment, key()), world.now);
    world.carry(&plan);
    let status = world.get::<Deployment>(&key()).unwrap().status.unwrap();
    let progressing = status
        .conditions
        .unwrap()
        .into_iter()
        .find(|one| one.type_.as_deref() == Some("Progressing"))
        .unwrap();
    assert_eq!(progressing.reason.as_deref(), Some("ProgressDeadlineExceeded"));
    let name = world.all::<ReplicaSet>()[0].metadata.name.clone().unwrap();
    assert_eq!(progressing.message.unwrap(), format!("ReplicaSet \"{name}\" has timed out progressing."));
}

#[test]
fn h2_12_recreate_starts_nothing_before_everything_old_is_gone() {
    let mut world = World::with(vec![node("n"), deployment("web", 3, "v1", json!({"type": "Recreate"}))]);
    world.settle(|_| {});
    world.edit::<Deployment>(&key(), |object| {
        object["spec"]["template"]["spec"]["containers"][0]["image"] = "v2".into()
    });
    world.settle(|world| {
        let images: std::collections::BTreeSet<String> = world
            .all::<Pod>()
            .into_iter()
            .map(|pod| pod.spec.unwrap().containers[0].image.clone().unwrap())
            .collect();
        assert!(images.len() <= 1, "old and new pods at once");
    });
    assert!(
        world
            .all::<Pod>()
            .iter()
            .all(|pod| pod.spec.as_ref().unwrap().containers[0].image.as_deref() == Some("v2"))
    );
    assert_eq!(world.all::<Pod>().len(), 3);
}

/// Found by `kelson-sim --seed 149 --steps 300`: the set had made pods of which the view had not heard, its status said
/// none, and so the new ones came beside them.
#[test]
fn h2_12_recreate_waits_for_an_old_set_to_know_that_it_is_to_have_no_pods() {
    let told = |heard: i64| {
        let mut old = set("old", "v1", 0, 0, 1, 1);
        old["metadata"]["generation"] = 2.into();
        old["status"]["observedGeneration"] = heard.into();
        vec![web(3, "v2", json!({"type": "Recreate"}), 2), old]
    };
    check_sizes(told(1), &[]);
    check_sizes(told(2), &[("new", 3)]);
}

#[test]
fn h2_4_and_h2_6_going_back_takes_the_old_set_up_again_with_a_new_revision() {
    let mut world = World::with(vec![node("n"), deployment("web", 2, "v1", rolling(json!(1), json!(0)))]);
    world.settle(|_| {});
    for image in ["v2", "v1"] {
        world.edit::<Deployment>(&key(), |object| {
            object["spec"]["template"]["spec"]["containers"][0]["image"] = image.into()
        });
        world.settle(|_| {});
    }
    let sets = world.all::<ReplicaSet>();
    assert_eq!(sets.len(), 2);
    let active = sets.iter().find(|set| set.spec.replicas == Some(2)).unwrap();
    let notes = active.metadata.annotations.clone().unwrap();
    assert_eq!(notes["deployment.kubernetes.io/revision"], "3");
    assert_eq!(notes["deployment.kubernetes.io/revision-history"], "1");
    let deployment = world.get::<Deployment>(&key()).unwrap();
    assert_eq!(deployment.metadata.annotations.unwrap()["deployment.kubernetes.io/revision"], "3");
}

#[test]
fn h2_13_history_keeps_as_many_sets_as_asked() {
    let mut first = deployment("web", 1, "v1", rolling(json!(1), json!(0)));
    first["spec"]["revisionHistoryLimit"] = 2.into();
    let mut world = World::with(vec![node("n"), first]);
    world.settle(|_| {});
    for image in ["v2", "v3", "v4", "v5"] {
        world.edit::<Deployment>(&key(), |object| {
            object["spec"]["template"]["spec"]["containers"][0]["image"] = image.into()
        });
        world.settle(|_| {});
    }
    let mut images: Vec<String> = world
        .all::<ReplicaSet>()
        .into_iter()
        .map(|set| set.spec.template.unwrap().spec.unwrap().containers[0].image.clone().unwrap())
        .collect();
    images.sort();
    assert_eq!(images, ["v3", "v4", "v5"]);
}

#[test]
fn a_deployment_that_selects_everything_is_told_so_once() {
    let mut all = deployment("web", 1, "v1", rolling(json!(1), json!(0)));
    all["spec"]["selector"] = json!({});
    let mut world = World::with(vec![all]);
    world.settle(|_| {});
    assert_eq!(
        world.told,
        ["SelectingAll: This deployment is selecting all pods. A non-empty selector is required."]
    );
}

/// One Deployment rolled, resized and rolled again in the middle, by chance; the fences hold at every step.
fn check_rollout(seed: u64) {
    let mut world = World::new(seed);
    let replicas = 1 + world.random.below(6) as i32;
    let surge = world.random.below(3) as i32;
    let unavailable = if surge == 0 { 1 } else { world.random.below(3) as i32 };
    let mut first = deployment("web", replicas, "v0", rolling(json!(surge), json!(unavailable)));
    first["spec"]["minReadySeconds"] = (world.random.below(2) * 5).into();
    first["metadata"]["uid"] = "d".into();
    world.create(node("n")).unwrap();
    world.create(first).unwrap();
    world.settle(|_| {});
    let least = replicas - unavailable.min(replicas);
    let most = replicas + surge;
    let mut checked = 0;
    let mut check = |world: &World| {
        if std::mem::replace(&mut checked, world.version()) != world.version() {
            check_fences(world, seed, least, most);
        }
    };
    for round in 1..4 {
        for _ in 0..world.random.below(60) {
            world.step(|_| {});
            check(&world);
        }
        let image = format!("v{round}");
        world.edit::<Deployment>(&key(), |object| {
            object["spec"]["template"]["spec"]["containers"][0]["image"] = image.into()
        });
    }
    world.settle(check);
    let pods = world.all::<Pod>();
    assert_eq!(pods.len(), replicas as usize, "seed {seed}");
    assert!(
        pods.iter().all(|pod| pod.spec.as_ref().unwrap().containers[0].image.as_deref() == Some("v3")),
        "seed {seed}"
    );
    assert_eq!(world.plans_left(), [], "seed {seed}");
}

fn check_fences(world: &World, seed: u64, least: i32, most: i32) {
    let pods = world.all::<Pod>();
    let active: Vec<&Pod> = pods.iter().filter(|pod| pod::is_active(pod)).collect();
    let seconds = world.get::<Deployment>(&key()).unwrap().spec.min_ready_seconds.unwrap_or(0);
    let available = active.iter().filter(|pod| pod::is_available(pod, seconds, world.now)).count() as i32;
    // The surge is of pods wanted, as upstream counts: an old set may still be taking its pods down.
    let wanted: i32 = world.all::<ReplicaSet>().iter().map(super::limits::wanted).sum();
    assert!(wanted <= most, "seed {seed}: {wanted} pods wanted, at most {most}");
    assert!(available >= least, "seed {seed}: {available} available, at least {least}");
}

#[test]
fn rollouts_stay_within_their_fences_whatever_the_order_of_events() {
    (0..100).for_each(check_rollout);
}

/// Interleaving is irrelevant: with pods killed and the size changed by chance, the end is always the same.
#[test]
fn whatever_happens_on_the_way_the_end_is_the_same() {
    for seed in 0..60 {
        let mut world = World::new(seed);
        world.create(node("n")).unwrap();
        world.create(deployment("web", 3, "v1", rolling(json!("25%"), json!("25%")))).unwrap();
        for _ in 0..400 {
            world.step(disturb);
        }
        world.edit::<Deployment>(&key(), |object| {
            object["spec"]["replicas"] = 4.into();
            object["spec"]["template"]["spec"]["containers"][0]["image"] = "last".into();
        });
        world.settle(|_| {});
        let status = world.get::<Deployment>(&key()).unwrap().status.unwrap();
        let counts = (
            status.replicas,
            status.updated_replicas,
            status.available_replicas,
            status.unavailable_replicas,
        );
        assert_eq!(counts, (Some(4), Some(4), Some(4), None), "seed {seed}");
        assert_eq!(world.plans_left(), [], "seed {seed}");
    }
}

fn disturb(world: &mut World) {
    let pods = world.all::<Pod>();
    let dice = world.random.below(12);
    if dice == 0 && !pods.is_empty() {
        let victim = Key::of(&pods[world.random.below(pods.len())].metadata);
        world.delete(&Pod::RESOURCE, &victim, None, false);
    } else if dice == 1 {
        let size = world.random.below(6);
        world.edit::<Deployment>(&key(), |object| object["spec"]["replicas"] = size.into());
    } else if dice == 2 {
        let image = format!("v{}", world.random.below(3));
        world.edit::<Deployment>(&key(), |object| {
            object["spec"]["template"]["spec"]["containers"][0]["image"] = image.into()
        });
    }
}
