//! The tracker: generations, syncing, and that neither the order of events nor their history shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kelson_model::{Revision, ServiceName, Snapshot};
use serde_json::json;

use super::{Tracker, Watched};

fn namespace(name: &str) -> Namespace {
    serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
}

fn service(name: &str, variant: u64) -> Service {
    let spec = match variant % 4 {
        0 => json!({"clusterIP": "10.96.0.1", "ports": [{"name": "http", "port": 80}]}),
        1 => json!({"clusterIP": "None", "ports": [{"name": "http", "port": 80}]}),
        2 => json!({"clusterIP": "10.96.0.1", "ports": [{"name": "http", "port": 80, "protocol": "UDP"}]}),
        _ => json!({"type": "ExternalName"}),
    };
    serde_json::from_value(json!({"metadata": {"namespace": "shop", "name": name}, "spec": spec})).unwrap()
}

fn slice(name: &str, of: &str, variant: u64) -> EndpointSlice {
    let ports = match variant % 3 {
        0 => json!([]),
        1 => json!([{"name": "http", "port": 8080}]),
        _ => json!([{"name": "http", "port": 8080}, {"name": "more", "port": 9090}]),
    };
    let ready = variant.is_multiple_of(2);
    serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": name, "labels": {"kubernetes.io/service-name": of}},
        "addressType": "IPv4", "ports": ports,
        "endpoints": [{"addresses": ["10.1.0.2"], "conditions": {"ready": ready}},
                      {"addresses": [format!("10.1.0.{}", 3 + variant % 5)]}]}))
    .unwrap()
}

/// What a snapshot says about the cluster, without how often it changed.
fn content(snapshot: &Snapshot) -> Snapshot {
    Snapshot { generation: 0, ..snapshot.clone() }
}

#[test]
fn synced_once_every_kind_was_listed_c1_6_d2_8() {
    let mut tracker = Tracker::new();
    assert_eq!((tracker.snapshot().generation, tracker.snapshot().synced), (0, false));
    tracker.services(Watched::Reset(&[]));
    tracker.slices(Watched::Reset(&[]));
    assert!(!tracker.snapshot().synced);
    tracker.namespaces(Watched::Reset(&[]));
    let snapshot = tracker.snapshot();
    assert_eq!((snapshot.generation, snapshot.synced), (1, true));
}

#[test]
fn generation_grows_with_changes_alone() {
    let mut tracker = Tracker::new();
    tracker.services(Watched::Applied(&service("cart", 0)));
    let first = tracker.snapshot();
    tracker.services(Watched::Applied(&service("cart", 0)));
    assert!(Arc::ptr_eq(&first, &tracker.snapshot()), "nothing changed");
    tracker.services(Watched::Deleted(&service("cart", 0)));
    let second = tracker.snapshot();
    assert_eq!((first.generation, second.generation), (1, 2));
    assert_eq!(first.services.len(), 1, "an older snapshot does not change");
    assert!(second.services.is_empty());
}

#[test]
fn a_revision_moves_on_though_nothing_changed_and_never_goes_back() {
    let mut tracker = Tracker::new();
    let revision = |services, endpoint_slices| Revision { services, endpoint_slices };
    tracker.services(Watched::Applied(&service("cart", 0)));
    tracker.reached(revision(7, 0));
    assert_eq!(tracker.snapshot().revision, revision(7, 0));
    tracker.services(Watched::Applied(&service("cart", 0)));
    tracker.reached(revision(9, 0));
    tracker.reached(revision(8, 3));
    let snapshot = tracker.snapshot();
    assert_eq!((snapshot.generation, snapshot.revision), (1, revision(9, 3)));
    assert!(Arc::ptr_eq(&snapshot, &tracker.snapshot()));
}

#[test]
fn a_slice_moves_to_another_service() {
    let mut tracker = Tracker::new();
    tracker.slices(Watched::Applied(&slice("s1", "cart", 1)));
    tracker.slices(Watched::Applied(&slice("s1", "till", 1)));
    let ports: Vec<_> = tracker.snapshot().endpoints.keys().map(ToString::to_string).collect();
    assert_eq!(ports, ["shop/till:http"]);
}

#[test]
fn a_bad_object_blinds_nothing_else_and_is_named() {
    let mut tracker = Tracker::new();
    tracker.services(Watched::Applied(&service("good", 0)));
    tracker.services(Watched::Applied(&service("bad", 3)));
    assert!(tracker.snapshot().services.contains_key(&ServiceName::new("shop", "good")));
    let warnings = tracker.take_warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("service shop/bad: spec.externalName is empty"), "{warnings:?}");
    tracker.services(Watched::Applied(&service("good", 3)));
    assert!(tracker.snapshot().services.is_empty(), "a Service that turned bad is not served as it was");
}

/// A small generator of numbers, the same for every run of a seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// The objects of a cluster as a watch would have left them.
#[derive(Default)]
struct World {
    services: BTreeMap<String, Arc<Service>>,
    slices: BTreeMap<String, Arc<EndpointSlice>>,
    namespaces: BTreeMap<String, Arc<Namespace>>,
}

impl World {
    /// Changes something and tells `tracker`, now and then by a relist.
    fn step(&mut self, numbers: &mut Numbers, tracker: &mut Tracker) {
        let name = format!("o{}", numbers.below(4));
        let variant = numbers.below(60);
        match numbers.below(9) {
            0 | 1 => {
                let object = service(&name, variant);
                tracker.services(Watched::Applied(&object));
                self.services.insert(name, Arc::new(object));
            }
            2 => {
                if let Some(object) = self.services.remove(&name) {
                    tracker.services(Watched::Deleted(&object));
                }
            }
            3 | 4 => {
                let object = slice(&name, &format!("o{}", numbers.below(4)), variant);
                tracker.slices(Watched::Applied(&object));
                self.slices.insert(name, Arc::new(object));
            }
            5 => {
                if let Some(object) = self.slices.remove(&name) {
                    tracker.slices(Watched::Deleted(&object));
                }
            }
            6 => {
                let object = namespace(&name);
                tracker.namespaces(Watched::Applied(&object));
                self.namespaces.insert(name, Arc::new(object));
            }
            7 => {
                if let Some(object) = self.namespaces.remove(&name) {
                    tracker.namespaces(Watched::Deleted(&object));
                }
            }
            _ => drop(self.list(tracker)),
        }
    }

    /// Lists everything, as a relist does.
    fn list(&self, tracker: &mut Tracker) -> Arc<Snapshot> {
        tracker.slices(Watched::Reset(&self.slices.values().cloned().collect::<Vec<_>>()));
        tracker.services(Watched::Reset(&self.services.values().cloned().collect::<Vec<_>>()));
        tracker.namespaces(Watched::Reset(&self.namespaces.values().cloned().collect::<Vec<_>>()));
        tracker.snapshot()
    }
}

#[test]
fn incremental_equals_rebuild() {
    for seed in 0..200 {
        let (mut numbers, mut tracker, mut world) = (Numbers(seed), Tracker::new(), World::default());
        world.list(&mut tracker);
        for step in 0..60 {
            world.step(&mut numbers, &mut tracker);
            if numbers.below(3) == 0 {
                let rebuilt = world.list(&mut Tracker::new());
                assert_eq!(content(&tracker.snapshot()), content(&rebuilt), "seed {seed} step {step}");
            }
        }
    }
}

#[test]
fn interleaving_is_irrelevant() {
    for seed in 0..200 {
        let mut numbers = Numbers(seed);
        let services: Vec<_> = (0..4).map(|i| service(&format!("o{i}"), numbers.below(60))).collect();
        let slices: Vec<_> =
            (0..6).map(|i| slice(&format!("s{i}"), &format!("o{}", i % 4), numbers.below(60))).collect();
        let fold = |order: &[usize]| {
            let mut tracker = Tracker::new();
            for &i in order {
                match i.checked_sub(services.len()) {
                    None => tracker.services(Watched::Applied(&services[i])),
                    Some(i) => tracker.slices(Watched::Applied(&slices[i])),
                }
                if i % 3 == 0 {
                    tracker.snapshot();
                }
            }
            content(&tracker.snapshot())
        };
        let mut order: Vec<usize> = (0..10).collect();
        let straight = fold(&order);
        for i in (1..order.len()).rev() {
            order.swap(i, usize::try_from(numbers.below(i as u64 + 1)).unwrap());
        }
        assert_eq!(straight, fold(&order), "seed {seed}, {order:?}");
    }
}

#[test]
fn b1_16_the_youngest_trigger_of_a_services_slices_is_known() {
    let triggered = |name: &str, time: &str| {
        let mut slice = slice(name, "web", 1);
        let noted = ("endpoints.kubernetes.io/last-change-trigger-time".to_owned(), time.to_owned());
        slice.metadata.annotations = Some([noted].into());
        slice
    };
    let mut tracker = Tracker::new();
    let (early, late) = ("1970-01-01T00:00:01Z", "1970-01-01T00:00:02.5Z");
    let mut check = |changed: Watched<'_, EndpointSlice>, expected: Option<u64>| {
        tracker.slices(changed);
        let snapshot = tracker.snapshot();
        assert_eq!(snapshot.triggered_ms.get(&ServiceName::new("shop", "web")).copied(), expected);
    };
    check(Watched::Applied(&triggered("a", early)), Some(1_000));
    check(Watched::Applied(&triggered("b", late)), Some(2_500));
    check(Watched::Deleted(&triggered("b", late)), Some(1_000));
    check(Watched::Applied(&triggered("a", "yesterday")), None);
}
