//! Event: what happened to an object, for people. Served as v1 and as events.k8s.io/v1.

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind};
use crate::metadata;
use crate::older;
use crate::printed::NAME;
use crate::walk::{int, or, present, text};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, age, meta};
use serde_json::Value;

pub const KIND: Kind = Kind {
    short_names: &["ev"],
    older: older::EVENT,
    columns: &[
        Column::text("Last Seen", "The time at which the most recent occurrence of this event was recorded."),
        Column::text("Type", "Type of this event (Normal, Warning), new types could be added in the future"),
        Column::text("Reason", "This should be a short, machine understandable string that gives the reason for the transition into the object's current status."),
        Column::text("Object", "The object that this event is about."),
        Column::text("Subobject", "If referring to a piece of an object instead of an entire object, this string should contain a valid JSON/Go field access statement.").wide(),
        Column::text("Source", "The component reporting this event. Should be a short machine understandable string.").wide(),
        Column::text("Message", "A human-readable description of the status of this operation."),
        Column::text("First Seen", "The time at which the event was first recorded. (Time of server receipt is in TypeMeta.)").wide(),
        Column::text("Count", "The number of times this event has occurred.").wide(),
        NAME.wide(),
    ],
    cells: print,
    validate,
    selectable: &[
        "involvedObject.apiVersion",
        "involvedObject.fieldPath",
        "involvedObject.kind",
        "involvedObject.name",
        "involvedObject.namespace",
        "involvedObject.resourceVersion",
        "involvedObject.uid",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ],
    select,
    selected_from: &[("source", &["source.component", "reportingComponent"])],
    create_on_update: true,
    ..base::<Event>("event")
};

fn print(event: &Object, now: Timestamp) -> Vec<Value> {
    let seen = |time: &Value| age::cell(time.as_str().filter(|time| !time.is_empty()), now);
    let first = or(&event["firstTimestamp"], &event["eventTime"]);
    let series = &event["series"];
    let (last, count) = match series.is_object() {
        true => (&series["lastObservedTime"], int(&series["count"])),
        false => (or(&event["lastTimestamp"], first), int(&event["count"]).max(1)),
    };
    vec![
        seen(last).into(),
        text(&event["type"]).into(),
        text(&event["reason"]).into(),
        target(&event["involvedObject"]).into(),
        text(&event["involvedObject"]["fieldPath"]).into(),
        source(event).into(),
        text(&event["message"]).trim().into(),
        seen(first).into(),
        count.into(),
        cells::name(event),
    ]
}

fn target(object: &Value) -> String {
    let kind = text(&object["kind"]).to_lowercase();
    match text(&object["name"]) {
        "" => kind,
        name => format!("{kind}/{name}"),
    }
}

fn source(event: &Object) -> String {
    let (component, host) = match present(&event["source"]["component"]) {
        true => (&event["source"]["component"], &event["source"]["host"]),
        false => (&event["reportingComponent"], &event["reportingInstance"]),
    };
    match text(host) {
        "" => text(component).to_owned(),
        host => format!("{}, {host}", text(component)),
    }
}

/// Events about cluster-scoped objects live in `default` (or `kube-system`).
fn validate(event: &Object) -> Vec<FieldError> {
    let mut errors = metadata::namespaced(event);
    let (about, own) = (text(&event["involvedObject"]["namespace"]), meta::namespace(event));
    let fits = if about.is_empty() { ["default", "kube-system"].contains(&own) } else { about == own };
    if !fits {
        let path = Path::new("involvedObject.namespace");
        errors.push(FieldError::invalid(&path, about, "does not match event.namespace"));
    }
    errors
}

fn select(event: &Object, field: &str) -> Option<String> {
    if !KIND.selectable.contains(&field) {
        return None;
    }
    let value = match field.split_once('.') {
        Some((object, name)) => &event[object][name],
        // Either place may hold the component.
        None if field == "source" => or(&event["source"]["component"], &event["reportingComponent"]),
        None => &event[field],
    };
    Some(text(value).to_owned())
}
