//! Cells that many kinds share. A cell is what `kubectl get` prints under one column.

use crate::walk::{entries, int, items, or, present, text};
use jiff::Timestamp;
use kelson_machinery::{Object, age, meta};
use serde_json::Value;

/// The cells of `printed::NAME` and `printed::AGE`.
pub fn name_and_age(object: &Object, now: Timestamp) -> Vec<Value> {
    vec![name(object), aged(object, now)]
}

/// The object's name.
pub fn name(object: &Object) -> Value {
    meta::name(object).into()
}

/// How long ago the object was made.
pub fn aged(object: &Object, now: Timestamp) -> Value {
    age::cell(meta::creation_timestamp(object), now).into()
}

/// `a=1,b=2`, or `<none>`.
pub fn label_map(map: &Value) -> Value {
    let pairs: Vec<String> = entries(map).map(|(key, value)| format!("{key}={}", text(value))).collect();
    joined_or_none(&pairs)
}

/// A `metav1.LabelSelector` as text: `a=1,b in (x,y),!c`; `<none>` when it has no term.
pub fn selector(selector: &Value) -> Value {
    selector_text(selector).map_or_else(|| "<none>".into(), Value::from)
}

/// As `selector`; `None` when the selector is missing or has no term.
pub fn selector_text(selector: &Value) -> Option<String> {
    let mut terms: Vec<(String, String)> = entries(&selector["matchLabels"])
        .map(|(key, value)| (key.to_owned(), format!("{key}={}", text(value))))
        .collect();
    terms.extend(
        items(&selector["matchExpressions"])
            .iter()
            .map(|term| (text(&term["key"]).to_owned(), expression(term))),
    );
    terms.sort_by(|a, b| a.0.cmp(&b.0));
    let terms: Vec<String> = terms.into_iter().map(|(_, term)| term).collect();
    (!terms.is_empty()).then(|| terms.join(","))
}

fn expression(term: &Value) -> String {
    let key = text(&term["key"]);
    let mut values: Vec<&str> = items(&term["values"]).iter().map(text).collect();
    values.sort_unstable();
    let values = values.join(",");
    match text(&term["operator"]) {
        "In" => format!("{key} in ({values})"),
        "NotIn" => format!("{key} notin ({values})"),
        "DoesNotExist" => format!("!{key}"),
        _ => key.to_owned(),
    }
}

/// Names of a pod template's containers, then their images.
pub fn containers_and_images(template: &Value) -> [Value; 2] {
    let containers = items(&template["spec"]["containers"]);
    let join = |field: &str| containers.iter().map(|c| text(&c[field])).collect::<Vec<_>>().join(",");
    [join("name").into(), join("image").into()]
}

/// Joined by commas, `<none>` when there is nothing.
pub fn joined_or_none(parts: &[String]) -> Value {
    if parts.is_empty() { "<none>".into() } else { parts.join(",").into() }
}

/// The text, or `<none>`.
pub fn or_none(value: &Value) -> Value {
    if present(value) { text(value).into() } else { "<none>".into() }
}

/// At most `max` parts joined by commas, then ` + N more...`.
pub fn joined_up_to(parts: &[String], max: usize) -> String {
    match parts.len() > max {
        true => format!("{} + {} more...", parts[..max].join(","), parts.len() - max),
        false => parts.join(","),
    }
}

/// An integer field, 0 when it is missing.
pub fn number(value: &Value) -> Value {
    int(value).into()
}

/// Addresses of a load balancer's status, by IP or by host name, sorted and each once.
pub fn balancer_addresses(object: &Object) -> String {
    let ingress = items(&object["status"]["loadBalancer"]["ingress"]);
    let mut addresses: Vec<&str> = ingress
        .iter()
        .map(|entry| text(or(&entry["ip"], &entry["hostname"])))
        .filter(|address| !address.is_empty())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.join(",")
}
