//! What holds for every pod: a converged pod asks for nothing, and the order of reports does not matter.

use super::world::World;
use crate::{Action, Report};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

fn specs() -> Vec<Value> {
    let c = |name: &str| json!({"name": name, "image": "x:1"});
    let sidecar = json!({"name": "s", "image": "x:1", "restartPolicy": "Always"});
    vec![
        json!({"containers": [c("a")]}),
        json!({"containers": [c("a"), c("b"), c("d")]}),
        json!({"initContainers": [c("i"), sidecar], "containers": [c("a"), c("b")]}),
        json!({"restartPolicy": "Never", "initContainers": [c("i")], "containers": [c("a"), c("b")]}),
        json!({"restartPolicy": "OnFailure", "containers": [c("a"), c("b")]}),
        json!({"hostNetwork": true, "containers": [c("a")]}),
    ]
}

fn world(spec: Value) -> World {
    let mut world = World::new(spec);
    world.exits.insert("i".to_owned(), vec![0]);
    world
}

#[test]
fn a_converged_pod_asks_for_nothing() {
    for spec in specs() {
        let mut world = world(spec);
        world.settle();
        assert_eq!(world.step().actions, []);
        assert_eq!(world.step().reasons, []);
        let before = world.last.status.clone();
        world.tell_runs();
        assert_eq!(world.step().status, before, "hearing the same again changes nothing");
        world.delete(30);
        world.settle();
        assert!(world.last.finished);
    }
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}

/// The status without the times at which things happened to be noticed.
fn timeless(world: &World) -> String {
    let mut status = world.last.status.clone();
    for condition in status.conditions.iter_mut().flatten() {
        condition.last_transition_time = None;
    }
    status.start_time = Some(Time(Timestamp::UNIX_EPOCH));
    serde_json::to_string(&status).expect("serializes")
}

#[test]
fn any_order_of_reports_ends_in_the_same_status() {
    for spec in specs() {
        let mut straight = world(spec.clone());
        straight.settle();
        for seed in 0..60 {
            let mut dice = Dice(seed);
            let mut world = world(spec.clone());
            for _ in 0..150 {
                // Answer an action at random, repeat what is known, or step without news.
                match dice.below(4) {
                    0 | 1 if !world.pending.is_empty() => {
                        let action = world.pending.remove(dice.below(world.pending.len()));
                        world.answer(action);
                    }
                    2 => world.tell_runs(),
                    _ => {
                        world.step();
                    }
                }
            }
            world.settle();
            assert_eq!(timeless(&world), timeless(&straight), "seed {seed}, {spec}");
        }
    }
}

#[test]
fn only_two_runs_of_a_container_are_kept() {
    let mut world = world(json!({"containers": [{"name": "a", "image": "x:1"}]}));
    world.exits.insert("a".to_owned(), vec![1; 6]);
    world.settle();
    for _ in 0..6 {
        world.pass(300);
    }
    assert_eq!(world.runs.keys().map(String::as_str).collect::<Vec<_>>(), ["a-5", "a-6"]);
    assert_eq!(world.status("a").restart_count, 6);
    assert!(world.status("a").last_state.as_ref().is_some_and(|it| it.terminated.is_some()));
}

#[test]
fn deletion_at_any_moment_ends_in_nothing_left() {
    for spec in specs() {
        for moment in 0..12 {
            let mut world = world(spec.clone());
            for _ in 0..moment {
                world.step();
                if !world.pending.is_empty() {
                    let action = world.pending.remove(0);
                    world.answer(action);
                }
            }
            world.delete(30);
            world.settle();
            assert!(world.last.finished, "moment {moment}, {spec}");
            assert!(world.runs.values().all(|run| run.exit().is_some()));
            let held = world.last.actions.iter().any(|it| matches!(it, Action::Start { .. }));
            assert!(!held);
            world.report(Report::Gone);
            assert!(world.step().finished);
        }
    }
}
