//! Thresholds, conditions and their transition, who goes first, and what is said.

use super::*;
use crate::tests::world::{World, pod, single};
use crate::{Action, Report};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

const MI: i64 = 1 << 20;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("a time in range")
}

fn thresholds(text: &str) -> Thresholds {
    Thresholds::parse(text).expect("thresholds")
}

fn seen(all: &[(Signal, i64, i64)]) -> Observations {
    all.iter()
        .map(|(signal, available, capacity)| {
            (*signal, Observation { available: *available, capacity: *capacity })
        })
        .collect()
}

#[test]
fn thresholds_are_read_as_upstream_writes_them() {
    let all =
        thresholds("nodefs.available<10%, memory.available<100Mi,pid.available<1k,nodefs.available<12.5%");
    let hundred = Quantity::parse("100Mi").expect("a quantity");
    let thousand = Quantity::parse("1k").expect("a quantity");
    let of = |signal, amount| Threshold { signal, amount };
    let expected = [
        of(Signal::MemoryAvailable, Amount::Quantity(hundred)),
        of(Signal::NodeFsAvailable, Amount::Share(0.125)),
        of(Signal::PidAvailable, Amount::Quantity(thousand)),
    ];
    assert_eq!(format!("{all:?}"), format!("Thresholds({expected:?})"));
    assert!(thresholds("").is_empty() && thresholds("nodefs.available<0%,imagefs.available<100%").is_empty());
}

#[test]
fn a_threshold_that_cannot_be_read_says_what_is_wrong() {
    let check = |text: &str, expected: &str| assert_eq!(Thresholds::parse(text), Err(expected.to_owned()));
    check("memory.available", "malformed pair, expect string<string: memory.available");
    check("memory.available>1Gi", "malformed pair, expect string<string: memory.available>1Gi");
    check("swap.available<1Gi", "unsupported eviction signal swap.available");
    check("memory.available<-1Gi", "eviction threshold memory.available must be positive: -1Gi");
    check("memory.available<0", "eviction threshold memory.available must be positive: 0");
    check("nodefs.available<-5%", "eviction percentage threshold nodefs.available must be >= 0%: -5%");
    check("nodefs.available<101%", "eviction percentage threshold nodefs.available must be <= 100%: 101%");
    check("nodefs.available<x%", "nodefs.available<x%: \"x\" is not a number of per cent");
    check("nodefs.available<nan%", "nodefs.available<nan%: \"nan\" is not a number of per cent");
    check(
        "memory.available<1Q",
        "memory.available<1Q: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    );
}

#[test]
fn a_condition_holds_until_its_threshold_was_not_met_for_five_minutes() {
    let mut pressure = Pressure::new(thresholds("memory.available<100Mi,nodefs.available<10%"));
    let fine = seen(&[(Signal::MemoryAvailable, 200 * MI, 1000 * MI), (Signal::NodeFsAvailable, 50, 100)]);
    let short = seen(&[(Signal::MemoryAvailable, 99 * MI, 1000 * MI), (Signal::NodeFsAvailable, 9, 100)]);
    let names = |verdict: &Verdict| verdict.conditions.iter().map(|it| it.name()).collect::<Vec<_>>();
    assert_eq!(pressure.observe(&fine, at(0)), Verdict::default());
    let verdict = pressure.observe(&short, at(10));
    assert_eq!(names(&verdict), ["MemoryPressure", "DiskPressure"]);
    assert_eq!(verdict.starved.expect("short").signal, Signal::MemoryAvailable, "memory comes first");
    let verdict = pressure.observe(&fine, at(309));
    assert_eq!((names(&verdict).len(), verdict.starved), (2, None));
    assert_eq!(pressure.observe(&fine, at(310)), Verdict::default());
    assert_eq!(
        pressure.observe(&seen(&[]), at(400)),
        Verdict::default(),
        "what is not measured is not short"
    );
}

#[test]
fn exactly_the_threshold_is_enough() {
    let mut pressure = Pressure::new(thresholds("memory.available<100Mi"));
    let of = |bytes| seen(&[(Signal::MemoryAvailable, bytes, 1000 * MI)]);
    assert_eq!(pressure.observe(&of(100 * MI), at(0)).starved, None);
    assert!(pressure.observe(&of(100 * MI - 1), at(0)).starved.is_some());
}

/// A pod named `name` of `priority`, whose container c asks for `memory` and uses `used`, both in Mi.
fn candidate(name: &str, priority: i32, memory: i64, used: i64) -> Candidate<Box<Pod>> {
    let requests = json!({"memory": format!("{memory}Mi"), "ephemeral-storage": format!("{memory}Mi")});
    let container = json!({"name": "c", "image": "x:1", "resources": {"requests": requests}});
    let mut pod = pod(json!({"priority": priority, "containers": [container]}));
    pod.metadata.name = Some(name.to_owned());
    let containers = vec![ContainerUsage { name: "c".to_owned(), memory: used * MI, storage: used * MI }];
    let usage = Usage { containers, inodes: used, processes: used, ..Usage::default() };
    Candidate { pod: Box::new(pod), usage }
}

#[test]
fn who_uses_more_than_he_asked_for_goes_first_then_the_least_important_then_the_greediest() {
    let mut all = vec![
        candidate("modest", -10, 100, 90),
        candidate("important", 10, 10, 500),
        candidate("greedy", 0, 10, 60),
        candidate("greedier", 0, 100, 160),
        candidate("small", -1, 1, 2),
    ];
    let order = |resource, all: &mut Vec<Candidate<Box<Pod>>>| {
        rank(resource, all);
        let names = all.iter().map(|it| it.pod.metadata.name.clone().expect("a name"));
        names.collect::<Vec<_>>().join(" ")
    };
    let expected = "small greedier greedy important modest";
    assert_eq!(order(Resource::Memory, &mut all), expected);
    assert_eq!(order(Resource::Storage, &mut all), expected);
    assert_eq!(order(Resource::Pids, &mut all), "modest small greedier greedy important");
}

#[test]
fn volumes_count_as_storage_and_init_containers_may_ask_for_more() {
    let mut all = vec![candidate("a", 0, 10, 20), candidate("b", 0, 10, 15)];
    all[1].usage.volumes = 100 * MI;
    rank(Resource::Storage, &mut all);
    assert_eq!(all[0].pod.metadata.name.as_deref(), Some("b"));
    let requests = json!({"ephemeral-storage": "1Gi"});
    let init = json!([{"name": "i", "image": "x:1", "resources": {"requests": requests}}]);
    let spec = all[0].pod.spec.as_mut().expect("a spec");
    spec.init_containers = serde_json::from_value(init).expect("containers");
    rank(Resource::Storage, &mut all);
    assert_eq!(all[0].pod.metadata.name.as_deref(), Some("a"));
}

#[test]
fn the_message_names_what_is_short_and_who_uses_more_than_he_asked_for() {
    let check = |flag: &str, observed, used: &Candidate<Box<Pod>>, expected: &str| {
        let starved = Pressure::new(thresholds(flag)).observe(&observed, at(0)).starved.expect("short");
        assert_eq!(message(&starved, &used.pod, &used.usage), expected);
    };
    let used = candidate("a", 0, 10, 60);
    check(
        "memory.available<100Mi",
        seen(&[(Signal::MemoryAvailable, 50 * MI + 4096, 1000 * MI)]),
        &used,
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 51204Ki. Container c was using 60Mi, request is 10Mi, has larger consumption of memory. ",
    );
    check(
        "nodefs.available<10%",
        seen(&[(Signal::NodeFsAvailable, 9_999_999, 1000 * MI)]),
        &candidate("a", 0, 100, 60),
        "The node was low on resource: ephemeral-storage. Threshold quantity: 104857601, available: 9999999. ",
    );
    check(
        "nodefs.inodesFree<5%",
        seen(&[(Signal::NodeFsInodesFree, 12_000, 1_000_000)]),
        &used,
        "The node was low on resource: inodes. Threshold quantity: 50000, available: 12k. ",
    );
    check(
        "pid.available<1k",
        seen(&[(Signal::PidAvailable, 7, 32_768)]),
        &used,
        "The node was low on resource: pids. Threshold quantity: 1k, available: 7. ",
    );
}

#[test]
fn who_asked_for_nothing_is_said_to_have_asked_for_nothing() {
    let plain = pod(single());
    let containers = vec![ContainerUsage { name: "c".to_owned(), memory: 5, storage: 0 }];
    let usage = Usage { containers, ..Usage::default() };
    let starved = Starved {
        signal: Signal::MemoryAvailable,
        threshold: Quantity::bytes(9),
        available: Quantity::bytes(1),
    };
    assert_eq!(
        message(&starved, &plain, &usage),
        "The node was low on resource: memory. Threshold quantity: 9, available: 1. Container c was using 5, request is 0, has larger consumption of memory. "
    );
}

#[test]
fn the_cluster_keeps_what_it_cannot_do_without() {
    let check = |spec: Value, annotation: Option<(&str, &str)>, expected: bool| {
        let mut pod = pod(spec);
        pod.metadata.annotations = annotation.map(|(key, value)| [(key.to_owned(), value.to_owned())].into());
        assert_eq!(is_critical(&pod), expected);
    };
    let of = |priority: i32| json!({"priority": priority, "containers": [{"name": "c", "image": "x:1"}]});
    check(of(2_000_001_000), None, true);
    check(of(2_000_000_000), None, true);
    check(of(1_999_999_999), None, false);
    check(single(), None, false);
    check(single(), Some(("kubernetes.io/config.mirror", "x")), true);
    check(single(), Some(("kubernetes.io/config.source", "file")), true);
    check(single(), Some(("kubernetes.io/config.source", "api")), false);
}

#[test]
fn a_node_under_pressure_takes_only_whom_it_can_bear() {
    let asks =
        json!({"containers": [{"name": "c", "image": "x:1", "resources": {"requests": {"memory": "1Mi"}}}]});
    let tolerates = |key: &str| json!({"containers": [{"name": "c", "image": "x:1"}], "tolerations": [{"key": key, "operator": "Exists", "effect": "NoSchedule"}]});
    let critical = json!({"priority": 2_000_000_000, "containers": [{"name": "c", "image": "x:1"}]});
    let check = |conditions: &[Condition], spec: &Value, expected: Option<&str>| {
        let conditions = conditions.iter().copied().collect();
        assert_eq!(refusal(&conditions, &pod(spec.clone())).as_deref(), expected, "{spec}");
    };
    let memory = Some("The node had condition: [MemoryPressure]. ");
    check(&[], &single(), None);
    check(&[Condition::Memory], &single(), memory);
    check(&[Condition::Memory], &asks, None);
    check(&[Condition::Memory], &tolerates("node.kubernetes.io/memory-pressure"), None);
    check(&[Condition::Memory], &tolerates("node.kubernetes.io/disk-pressure"), memory);
    check(&[Condition::Memory], &critical, None);
    check(&[Condition::Disk], &asks, Some("The node had condition: [DiskPressure]. "));
    check(
        &[Condition::Disk],
        &tolerates("node.kubernetes.io/disk-pressure"),
        Some("The node had condition: [DiskPressure]. "),
    );
    let both = Some("The node had condition: [MemoryPressure DiskPressure]. ");
    check(&[Condition::Disk, Condition::Memory], &asks, both);
    check(&[Condition::Pid, Condition::Disk], &critical, None);
}

#[test]
fn who_writes_more_than_he_may_has_to_go() {
    let of = |limit: Option<&str>| {
        let limits = limit.map(|limit| json!({"limits": {"ephemeral-storage": limit}}));
        json!({"name": "c", "image": "x:1", "resources": limits.unwrap_or(json!({}))})
    };
    let check = |limits: [Option<&str>; 2], used: [i64; 2], volumes: i64, expected: Option<&str>| {
        let [a, mut b] = limits.map(of);
        b["name"] = json!("d");
        let pod = pod(json!({"containers": [a, b]}));
        let usage = |(name, used): (&str, i64)| ContainerUsage {
            name: name.to_owned(),
            storage: used * MI,
            ..ContainerUsage::default()
        };
        let containers = ["c", "d"].into_iter().zip(used).map(usage).collect();
        let usage = Usage { containers, volumes: volumes * MI, ..Usage::default() };
        assert_eq!(overrun(&pod, &usage).as_deref(), expected, "{limits:?} {used:?} {volumes}");
        assert_eq!(is_limited(&pod), limits != [None, None]);
    };
    check([None, None], [900, 900], 900, None);
    check([Some("10Mi"), Some("20Mi")], [10, 20], 0, None);
    let own = "Container c exceeded its local ephemeral storage limit \"10Mi\". ";
    check([Some("10Mi"), Some("20Mi")], [11, 1], 0, Some(own));
    let whole = "Pod ephemeral local storage usage exceeds the total limit of containers 30Mi. ";
    check([Some("10Mi"), Some("20Mi")], [5, 5], 21, Some(whole));
    let others = "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ";
    check([Some("10Mi"), None], [1, 10], 0, Some(others));
}

#[test]
fn a_displaced_pod_fails_within_a_second_and_says_that_it_was_not_its_doing() {
    let mut world = World::new(single());
    world.settle();
    let message = "The node was low on resource: memory. ";
    world.report(Report::Displaced(message.to_owned()));
    world.step();
    assert_eq!((world.phase(), world.last.status.reason.as_deref()), ("Failed", Some("Evicted")));
    assert_eq!(world.last.status.message.as_deref(), Some(message));
    assert_eq!(world.condition("DisruptionTarget"), format!("True TerminationByKubelet {}", message.trim()));
    assert!(world.events().contains(&format!("Evicted: {message}")));
    assert!(matches!(world.pending[..], [Action::Signal { .. }]), "{:?}", world.pending);
    world.pending.clear();
    world.now = world.now.checked_add(SignedDuration::from_secs(2)).expect("a time in range");
    world.step();
    let killed = |action: &Action| matches!(action, Action::Signal { signal: crate::StopSignal::Kill, .. });
    assert!(world.pending.iter().any(killed), "not after the pod's own thirty: {:?}", world.pending);
    world.settle();
    assert_eq!(world.phase(), "Failed");
    let conditions = world.last.status.conditions.iter().flatten();
    assert_eq!(conditions.filter(|it| it.type_ == "DisruptionTarget").count(), 1);
    // One that is on its way out anyway is not told to go.
    let mut world = World::new(single());
    world.settle();
    world.delete(30);
    world.step();
    world.report(Report::Displaced(message.to_owned()));
    world.settle();
    assert_eq!(world.last.status.reason, None);
}
