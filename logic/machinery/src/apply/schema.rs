//! What apply must know of the kinds' types: which parts are owned field by field, item by item, or whole.
//!
//! Invariant: atomic lists, maps and structs are `Leaf`, like scalars; what no type declares is a leaf too.

use serde_json::Value;

/// How one place of an object is owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A scalar, or something owned whole.
    Leaf,
    /// A struct of the schema, by its index; owned field by field.
    Struct(usize),
    /// A map, owned entry by entry.
    Map(Box<Shape>),
    /// A list of scalars, each owned by its value.
    Set,
    /// A list of structs, each owned by its keys.
    Keyed(Box<Keyed>),
}

/// A list whose items are told apart by some of their fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// The fields, in order of their names.
    pub keys: Vec<Key>,
    /// The shape of an item.
    pub item: Shape,
}

/// One field that tells items apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The field's name.
    pub name: String,
    /// What it is in an item that leaves it out.
    pub default: Option<Value>,
}

/// One field of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The field's name in JSON.
    pub name: String,
    /// The field's shape.
    pub shape: Shape,
    /// Upstream's type holds it by value: it is there (empty) whenever its parent is.
    pub by_value: bool,
}

/// A type whose fields are owned one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Struct {
    /// The fields, ordered by name.
    pub fields: Vec<Field>,
}

/// All the types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// The structs [`Shape::Struct`] points at.
    pub structs: Vec<Struct>,
}

impl Schema {
    /// The declared field of a struct.
    pub fn field(&self, shape: &Shape, name: &str) -> Option<&Field> {
        let Shape::Struct(index) = shape else { return None };
        let fields = &self.structs.get(*index)?.fields;
        fields.binary_search_by(|field| field.name.as_str().cmp(name)).ok().map(|at| &fields[at])
    }

    /// The shape of a member of a map or struct.
    pub fn member<'s>(&'s self, shape: &'s Shape, name: &str) -> &'s Shape {
        match shape {
            Shape::Map(item) => item,
            _ => self.field(shape, name).map_or(&Shape::Leaf, |field| &field.shape),
        }
    }

    /// The fields upstream holds by value.
    pub fn by_value<'s>(&'s self, shape: &Shape) -> impl Iterator<Item = &'s Field> {
        let fields = match shape {
            Shape::Struct(index) => self.structs.get(*index).map_or(&[][..], |s| &s.fields),
            _ => &[],
        };
        fields.iter().filter(|field| field.by_value)
    }
}

impl Shape {
    /// The shape of a list's items.
    pub fn item(&self) -> &Shape {
        match self {
            Shape::Keyed(keyed) => &keyed.item,
            _ => &Shape::Leaf,
        }
    }

    /// Whether it is a list owned item by item.
    pub fn is_list(&self) -> bool {
        matches!(self, Shape::Set | Shape::Keyed(_))
    }
}
