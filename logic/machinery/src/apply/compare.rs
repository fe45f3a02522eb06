//! What changed between two objects, field by field: what a write comes to own, and what its others lose.
//!
//! Invariant: `compare(x, x)` is empty. A field upstream's type holds by value is there, empty, whenever its parent is.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::element::Element;
use super::schema::{Schema, Shape};
use super::set::Set;

/// The difference between two objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Paths only the new one has, with every container on the way that is new.
    pub added: Set,
    /// Leaves that differ.
    pub modified: Set,
    /// Paths only the old one had.
    pub removed: Set,
}

impl Comparison {
    /// Paths the new object says something new about.
    pub fn changed(&self) -> Set {
        self.added.union(&self.modified)
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// Without these paths and what is below them.
    pub fn without(self, ignored: &Set) -> Self {
        Self {
            added: self.added.recursive_difference(ignored),
            modified: self.modified.recursive_difference(ignored),
            removed: self.removed.recursive_difference(ignored),
        }
    }
}

/// Compares two objects of one kind.
pub fn compare(schema: &Schema, shape: &Shape, old: &Value, new: &Value) -> Comparison {
    let mut walk = Walk { schema, path: Vec::new(), found: Comparison::default() };
    walk.inside(shape, Some(old), Some(new));
    walk.found
}

struct Walk<'s> {
    schema: &'s Schema,
    path: Vec<Element>,
    found: Comparison,
}

/// A struct held by value that nothing was said about.
static EMPTY: LazyLock<Value> = LazyLock::new(|| Value::Object(Map::new()));

impl Walk<'_> {
    /// One place, one side of which may be missing.
    fn place(&mut self, element: Element, shape: &Shape, old: Option<&Value>, new: Option<&Value>) {
        if old == new {
            return;
        }
        self.path.push(element);
        match self.is_leaf(shape, old, new) {
            true => self.leaf(old, new),
            false => {
                self.inside(shape, old, new);
                match (old, new) {
                    (None, _) => self.found.added.insert(&self.path),
                    (_, None) => self.found.removed.insert(&self.path),
                    _ => {}
                }
            }
        }
        self.path.pop();
    }

    /// Whether both sides together are one leaf: by shape, or because neither has anything inside.
    fn is_leaf(&self, shape: &Shape, old: Option<&Value>, new: Option<&Value>) -> bool {
        let hollow = |side: Option<&Value>| side.is_none_or(|value| size(shape, value) == 0);
        *shape == Shape::Leaf || hollow(old) && hollow(new)
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, _) => self.found.added.insert(&self.path),
            (_, None) => self.found.removed.insert(&self.path),
            _ => self.found.modified.insert(&self.path),
        }
    }

    fn inside(&mut self, shape: &Shape, old: Option<&Value>, new: Option<&Value>) {
        match shape {
            Shape::Leaf => {}
            Shape::Struct(_) | Shape::Map(_) => self.members(shape, old, new),
            Shape::Set | Shape::Keyed(_) => self.items(shape, old, new),
        }
    }

    fn members(&mut self, shape: &Shape, old: Option<&Value>, new: Option<&Value>) {
        let schema = self.schema;
        let mut sides: BTreeMap<&str, [Option<&Value>; 2]> = BTreeMap::new();
        for (side, value) in [old, new].into_iter().enumerate() {
            if value.is_some() {
                for field in schema.by_value(shape) {
                    sides.entry(&field.name).or_default()[side] = Some(&EMPTY);
                }
            }
            for (name, member) in value.and_then(Value::as_object).into_iter().flatten() {
                sides.entry(name).or_default()[side] = Some(member);
            }
        }
        for (name, [old, new]) in sides {
            self.place(Element::field(name), schema.member(shape, name), old, new);
        }
    }

    fn items(&mut self, shape: &Shape, old: Option<&Value>, new: Option<&Value>) {
        let mut sides: BTreeMap<Element, [Vec<&Value>; 2]> = BTreeMap::new();
        for (side, value) in [old, new].into_iter().enumerate() {
            for item in value.and_then(Value::as_array).into_iter().flatten() {
                sides.entry(Element::of(shape, item)).or_default()[side].push(item);
            }
        }
        for (element, [old, new]) in sides {
            match (old.as_slice(), new.as_slice()) {
                ([] | [_], [] | [_]) => {
                    self.place(element, shape.item(), old.first().copied(), new.first().copied());
                }
                (old, new) if old != new => {
                    // Items that cannot be told apart change together.
                    self.path.push(element);
                    self.leaf(old.first().copied(), new.first().copied());
                    self.path.pop();
                }
                _ => {}
            }
        }
    }
}

/// How many parts a value of this shape has.
fn size(shape: &Shape, value: &Value) -> usize {
    match (shape, value) {
        (Shape::Struct(_) | Shape::Map(_), Value::Object(members)) => members.len(),
        (Shape::Set | Shape::Keyed(_), Value::Array(items)) => items.len(),
        _ => 0,
    }
}
