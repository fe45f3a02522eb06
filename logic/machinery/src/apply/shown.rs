//! Paths of strict decoding (`spec.containers[0].imag`) as apply's messages show them (`.spec.containers[name="c"].imag`).

use serde_json::Value;

use super::element::Element;
use super::schema::{Schema, Shape};

/// A path with the items of keyed lists shown by their keys.
pub fn shown(schema: &Schema, shape: &Shape, value: &Value, path: &str) -> String {
    let (mut shape, mut value, mut text) = (shape, value, String::new());
    for step in path.split('.') {
        let (name, indices) = step.split_once('[').map_or((step, ""), |(name, rest)| (name, rest));
        text += &Element::field(name).to_string();
        shape = schema.member(shape, name);
        value = &value[name];
        for index in indices.split('[').filter_map(|index| index.strip_suffix(']')?.parse::<usize>().ok()) {
            let item = value.get(index).unwrap_or(&Value::Null);
            let element = match shape {
                Shape::Keyed(_) => Element::of(shape, item),
                _ => Element::Index(i64::try_from(index).unwrap_or(i64::MAX)),
            };
            text += &element.to_string();
            (shape, value) = (shape.item(), item);
        }
    }
    text
}
