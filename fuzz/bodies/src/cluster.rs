//! A cluster's objects as another API server may hand them out: typed, but not validated by anybody here.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::serde::de::DeserializeOwned;
use kelson_index::{Tracker, Watched, host_ports};
use kelson_model::{Cidr, NodeView};
use kelson_tables::{Options, compile, diff};
use kelson_zones::ZoneConfig;
use serde_json::Value;

/// Most objects of one input.
const OBJECTS_MAX: usize = 16;

fn node() -> NodeView {
    let cidr = |text| Cidr::parse(text).expect("a range");
    NodeView {
        name: "here".into(),
        addresses: vec![[192, 0, 2, 1].into()],
        zone: Some("z1".into()),
        service_cidrs: vec![cidr("10.96.0.0/16"), cidr("fd00:96::/112")],
        pod_cidrs: vec![cidr("10.244.0.0/16")],
        host_ports: Arc::default(),
    }
}

/// An object a line; a line that begins with `-` takes that object away. After each, a node's tables and the zone are
/// compiled as they are on the way, and in the end anew: both ways lead to the same.
pub fn objects(bytes: &[u8]) {
    let mut tracker = Tracker::new();
    let (mut view, options) = (node(), Options::default());
    let mut tables = kelson_tables::Compiler::new(options.clone());
    let zones = || kelson_zones::Compiler::new(ZoneConfig::new("cluster.local")).expect("a domain");
    let mut zone = zones();
    let mut before = tables.compile(&tracker.snapshot(), &view);
    for line in bytes.split(|byte| *byte == b'\n').take(OBJECTS_MAX) {
        let (gone, line) = line.strip_prefix(b"-").map_or((false, line), |line| (true, line));
        let Ok(value) = serde_json::from_slice::<Value>(line) else { continue };
        fold(&mut tracker, &mut view, gone, value);
        let after = tables.compile(&tracker.snapshot(), &view);
        let _ = diff(&before, &after);
        before = after;
        let _ = zone.compile(&tracker.snapshot());
    }
    let snapshot = tracker.snapshot();
    assert_eq!(compile(&snapshot, &view, &options).0, before, "tables depend on the way to them");
    assert!(zone.compile(&snapshot) == zones().compile(&snapshot), "a zone depends on the way to it");
}

fn fold(tracker: &mut Tracker, view: &mut NodeView, gone: bool, value: Value) {
    let kind = value["kind"].as_str().unwrap_or_default().to_owned();
    match kind.as_str() {
        "Service" => read(value).into_iter().for_each(|it: Service| tracker.services(watched(gone, &it))),
        "EndpointSlice" => {
            read(value).into_iter().for_each(|it: EndpointSlice| tracker.slices(watched(gone, &it)));
        }
        "Namespace" => {
            read(value).into_iter().for_each(|it: Namespace| tracker.namespaces(watched(gone, &it)));
        }
        "Pod" => {
            let ports = read(value).map(|pod: Pod| host_ports(&pod)).filter(|_| !gone);
            view.host_ports = ports.unwrap_or_default().into();
        }
        _ => {}
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}

fn watched<T>(gone: bool, object: &T) -> Watched<'_, T> {
    if gone { Watched::Deleted(object) } else { Watched::Applied(object) }
}
