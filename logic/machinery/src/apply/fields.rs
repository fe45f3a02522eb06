//! Which fields a value says something about: what an applied configuration comes to own.
//!
//! Invariant: leaves and items of lists are in the set, structs and maps only when they are empty or entries of a map.

use serde_json::Value;

use super::element::Element;
use super::schema::{Schema, Shape};
use super::set::Set;

/// The paths `value` sets.
pub fn fields(schema: &Schema, shape: &Shape, value: &Value) -> Set {
    let mut set = Set::default();
    match (shape, value) {
        (Shape::Struct(_) | Shape::Map(_), Value::Object(members)) => {
            for (name, member) in members {
                visit(&mut set, schema, shape, name, member);
            }
        }
        (Shape::Set | Shape::Keyed(_), Value::Array(items)) => {
            for item in items {
                let element = Element::of(shape, item);
                // Items that cannot be told apart are owned whole.
                let twice = set.has(&element);
                set.insert_member(element.clone());
                let inside = if twice { Set::default() } else { fields(schema, shape.item(), item) };
                set.insert_below(element, inside);
            }
        }
        _ => {}
    }
    set
}

fn visit(set: &mut Set, schema: &Schema, shape: &Shape, name: &str, value: &Value) {
    let element = Element::field(name);
    let below = schema.member(shape, name);
    let declared = schema.field(shape, name).is_some();
    let empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
    if *below == Shape::Leaf || empty || !declared {
        set.insert_member(element.clone());
    }
    set.insert_below(element, fields(schema, below, value));
}
