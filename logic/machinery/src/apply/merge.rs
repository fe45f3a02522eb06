//! A live object with a configuration laid over it.
//!
//! Invariant: what the configuration says holds in the result; what it does not speak of is as it was. The order of items
//! both have is the configuration's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::element::Element;
use super::schema::{Schema, Shape};

/// The configuration over the live object.
pub fn merge(schema: &Schema, shape: &Shape, live: &Value, config: &Value) -> Value {
    match (shape, live, config) {
        (Shape::Struct(_) | Shape::Map(_), Value::Object(live), Value::Object(config)) => {
            let mut merged = live.clone();
            for (name, value) in config {
                let below = schema.member(shape, name);
                let value = match live.get(name) {
                    Some(old) => merge(schema, below, old, value),
                    None => value.clone(),
                };
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Shape::Set | Shape::Keyed(_), Value::Array(live), Value::Array(config)) => {
            Value::Array(lists(schema, shape, live, config))
        }
        // An empty container says nothing about what is in it.
        (Shape::Struct(_) | Shape::Map(_) | Shape::Set | Shape::Keyed(_), live, Value::Null) => live.clone(),
        _ => config.clone(),
    }
}

/// Items of both lists: those of the configuration in its order; the others stay before the shared item they stood before.
fn lists(schema: &Schema, shape: &Shape, live: &[Value], config: &[Value]) -> Vec<Value> {
    let elements = |items: &[Value]| items.iter().map(|item| Element::of(shape, item)).collect::<Vec<_>>();
    let (left, right) = (elements(live), elements(config));
    let mut old: BTreeMap<&Element, &Value> = BTreeMap::new();
    for (element, item) in left.iter().zip(live) {
        old.entry(element).or_insert(item);
    }
    let wanted: BTreeSet<&Element> = right.iter().collect();
    let mut shared = right.iter().filter(|element| old.contains_key(element)).peekable();
    let mut merged = Vec::with_capacity(live.len().max(config.len()));
    let (mut at, mut next) = (0, 0);
    while at < left.len() || next < right.len() {
        let here = left.get(at);
        match here {
            // Only the server has it: it stays where it is.
            Some(element) if !wanted.contains(element) => {
                merged.push(live[at].clone());
                at += 1;
                continue;
            }
            // Shared, but its turn comes later, or came already.
            Some(element) if shared.peek() != Some(&element) => {
                at += 1;
                continue;
            }
            _ => {}
        }
        // The live side stands at the next shared item, or is at its end: take the configuration's up to it.
        let Some(element) = right.get(next) else { break };
        merged.push(match old.get(element) {
            Some(item) => merge(schema, shape.item(), item, &config[next]),
            None => config[next].clone(),
        });
        next += 1;
        if shared.peek() == Some(&element) {
            shared.next();
            at += usize::from(here == Some(element));
        }
    }
    merged
}
