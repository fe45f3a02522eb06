//! What `kubectl get services` shows (I5).

use crate::cells;
use crate::walk::{int, items, text, texts};
use jiff::Timestamp;
use kelson_machinery::Object;
use serde_json::Value;

/// One cell a column.
pub fn cells(service: &Object, now: Timestamp) -> Vec<Value> {
    let spec = &service["spec"];
    let address = match text(&spec["clusterIPs"][0]) {
        "" => "<none>",
        address => address,
    };
    vec![
        cells::name(service),
        text(&spec["type"]).into(),
        address.into(),
        external_ip(service).into(),
        ports(spec).into(),
        cells::aged(service, now),
        cells::label_map(&spec["selector"]),
    ]
}

fn external_ip(service: &Object) -> String {
    let spec = &service["spec"];
    let external = texts(&spec["externalIPs"]).join(",");
    let or_none = |text: String| if text.is_empty() { "<none>".to_owned() } else { text };
    match text(&spec["type"]) {
        "LoadBalancer" => load_balancer(&cells::balancer_addresses(service), external),
        "ExternalName" => or_none(text(&spec["externalName"]).to_owned()),
        _ => or_none(external),
    }
}

fn load_balancer(addresses: &str, external: String) -> String {
    match (external.is_empty(), addresses.is_empty()) {
        (false, true) => external,
        (false, false) => format!("{addresses},{external}"),
        (true, false) => addresses.to_owned(),
        (true, true) => "<pending>".to_owned(),
    }
}

fn ports(spec: &Value) -> String {
    let parts: Vec<String> = items(&spec["ports"])
        .iter()
        .map(|port| {
            let (number, protocol) = (int(&port["port"]), text(&port["protocol"]));
            match int(&port["nodePort"]) {
                0 => format!("{number}/{protocol}"),
                node => format!("{number}:{node}/{protocol}"),
            }
        })
        .collect();
    if parts.is_empty() { "<none>".to_owned() } else { parts.join(",") }
}
