//! What the types look like: their fields, shapes and descriptions, and how apply owns them.
//!
//! One text (`schema/models.txt`) holds what the API's types are; [`facts`] adds what a type cannot say. [`shape`] is for
//! ownership, [`model`] for documents that describe the API. Never decides what is decoded: that are the types themselves.

mod facts;
mod models;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kelson_machinery::apply::{Field, Key, Keyed, Schema, Shape, Struct};

use crate::kind::Kind;
pub use facts::{List, is_atomic, list, map_type};
pub use models::{Model, Property, Type, fingerprint, model};

/// The schema of every kind, and where each kind's own type is in it.
struct Shapes {
    schema: Schema,
    places: BTreeMap<&'static str, usize>,
}

static SHAPES: LazyLock<Shapes> = LazyLock::new(|| {
    let mut shapes = Shapes { schema: Schema::default(), places: BTreeMap::new() };
    for kind in crate::kinds() {
        if let Some(model) = model(&model_name(kind.group, kind.version, kind.kind)) {
            shapes.place(&model);
        }
    }
    shapes
});

/// Upstream's name of a kind's model, for example `io.k8s.api.apps.v1.Deployment`.
pub fn model_name(group: &str, version: &str, kind: &str) -> String {
    let package = if group.is_empty() { "core" } else { group.split('.').next().unwrap_or(group) };
    format!("io.k8s.api.{package}.{version}.{kind}")
}

/// How objects of a kind are owned: the types, and the object's own shape.
pub fn shape(kind: &Kind) -> (&'static Schema, Shape) {
    let name = model_name(kind.group, kind.version, kind.kind);
    let place = SHAPES.places.get(name.as_str());
    (&SHAPES.schema, place.map_or(Shape::Map(Box::new(Shape::Leaf)), |place| Shape::Struct(*place)))
}

impl Shapes {
    /// The place of a model's struct, made with all it refers to when it is not there yet.
    fn place(&mut self, model: &Model) -> usize {
        if let Some(place) = self.places.get(model.name) {
            return *place;
        }
        let place = self.schema.structs.len();
        self.schema.structs.push(Struct::default());
        // Before its fields: types refer to themselves.
        self.places.insert(model.name, place);
        let mut fields: Vec<Field> = model.properties.iter().map(|p| self.field(model, p)).collect();
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        self.schema.structs[place].fields = fields;
        place
    }

    fn field(&mut self, model: &Model, property: &Property) -> Field {
        let shape = match (&property.r#type, list(model.name, property.name)) {
            (Type::List(_), List::Atomic) => Shape::Leaf,
            (Type::List(_), List::Set) => Shape::Set,
            (Type::List(item), List::Map(keys)) => self.keyed(item, keys),
            (Type::Map(_), _) if map_type(model.name, property.name).is_some() => Shape::Leaf,
            (other, _) => self.shape(other),
        };
        let by_value = matches!(shape, Shape::Struct(_)) && facts::is_by_value(property.name);
        Field { name: property.name.to_owned(), shape, by_value }
    }

    fn keyed(&mut self, item: &Type, keys: &[&str]) -> Shape {
        let mut keys: Vec<Key> = keys
            .iter()
            .map(|name| Key { name: (*name).to_owned(), default: facts::key_default(name).map(Into::into) })
            .collect();
        keys.sort_by(|a, b| a.name.cmp(&b.name));
        Shape::Keyed(Box::new(Keyed { keys, item: self.shape(item) }))
    }

    fn shape(&mut self, r#type: &Type) -> Shape {
        match r#type {
            Type::Model(name) if facts::is_atomic(name) => Shape::Leaf,
            Type::Model(name) => match model(name) {
                Some(model) if model.alias.is_none() => Shape::Struct(self.place(&model)),
                _ => Shape::Leaf,
            },
            Type::Map(item) => Shape::Map(Box::new(self.shape(item))),
            _ => Shape::Leaf,
        }
    }
}

#[cfg(test)]
mod tests;
