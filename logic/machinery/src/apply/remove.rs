//! An object without the fields of a set.
//!
//! Invariant: what is not in the set stays; a map or list that loses all it had goes with it.

use serde_json::Value;

use super::element::Element;
use super::schema::{Schema, Shape};
use super::set::Set;

/// `value` without `gone`; `None` when nothing is left of a value that had something.
pub fn remove(schema: &Schema, shape: &Shape, value: &Value, gone: &Set) -> Option<Value> {
    match (shape, value) {
        (Shape::Struct(_) | Shape::Map(_), Value::Object(members)) if !members.is_empty() => {
            let kept = members.iter().filter_map(|(name, member)| {
                let below = schema.member(shape, name);
                Some((name.clone(), part(schema, below, &Element::field(name), member, gone)?))
            });
            let kept: serde_json::Map<String, Value> = kept.collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        (Shape::Set | Shape::Keyed(_), Value::Array(items)) if !items.is_empty() => {
            let kept = items
                .iter()
                .filter_map(|item| part(schema, shape.item(), &Element::of(shape, item), item, gone));
            let kept: Vec<Value> = kept.collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        _ => Some(value.clone()),
    }
}

fn part(schema: &Schema, shape: &Shape, element: &Element, value: &Value, gone: &Set) -> Option<Value> {
    if gone.has(element) {
        return None;
    }
    match gone.below(element) {
        Some(below) => remove(schema, shape, value, below),
        None => Some(value.clone()),
    }
}
