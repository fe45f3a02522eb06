//! A set of paths, as `managedFields[].fieldsV1` writes it.
//!
//! Invariant: no child is empty; a path is in the set exactly when its last element is a member where its others lead.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::element::Element;
use super::schema::{Schema, Shape};

/// Paths that begin at the same place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    members: BTreeSet<Element>,
    children: BTreeMap<Element, Set>,
}

impl Set {
    /// A set of these paths of field names.
    pub fn of_fields(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            set.insert(&path.iter().map(|name| Element::field(name)).collect::<Vec<_>>());
        }
        set
    }

    /// Puts a path in; the empty path is not one.
    pub fn insert(&mut self, path: &[Element]) {
        match path {
            [] => {}
            [last] => drop(self.members.insert(last.clone())),
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Puts one element in.
    pub fn insert_member(&mut self, element: Element) {
        self.members.insert(element);
    }

    /// Puts in what lies below an element.
    pub fn insert_below(&mut self, element: Element, below: Set) {
        if !below.is_empty() {
            self.children.insert(element, below);
        }
    }

    /// Whether an element alone is a path of the set.
    pub fn has(&self, element: &Element) -> bool {
        self.members.contains(element)
    }

    /// What the set says below an element, if anything.
    pub fn below(&self, element: &Element) -> Option<&Set> {
        self.children.get(element)
    }

    /// Whether there is no path.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Set::is_empty)
    }

    /// Paths of either.
    pub fn union(&self, other: &Set) -> Set {
        let mut union = self.clone();
        union.members.extend(other.members.iter().cloned());
        for (element, below) in &other.children {
            let child = union.children.entry(element.clone()).or_default();
            *child = child.union(below);
        }
        union
    }

    /// Paths of both.
    pub fn intersection(&self, other: &Set) -> Set {
        let members = self.members.intersection(&other.members).cloned().collect();
        let both = |(element, below): (&Element, &Set)| {
            let below = below.intersection(other.children.get(element)?);
            (!below.is_empty()).then(|| (element.clone(), below))
        };
        Set { members, children: self.children.iter().filter_map(both).collect() }
    }

    /// Paths of this one that are not in the other.
    pub fn difference(&self, other: &Set) -> Set {
        self.subtract(other, false)
    }

    /// Paths of this one that are neither in the other nor below one of its paths.
    pub fn recursive_difference(&self, other: &Set) -> Set {
        self.subtract(other, true)
    }

    fn subtract(&self, other: &Set, recursive: bool) -> Set {
        let members = self.members.difference(&other.members).cloned().collect();
        let left = |(element, below): (&Element, &Set)| {
            if recursive && other.members.contains(element) {
                return None;
            }
            let below = match other.children.get(element) {
                Some(others) => below.subtract(others, recursive),
                None => below.clone(),
            };
            (!below.is_empty()).then(|| (element.clone(), below))
        };
        Set { members, children: self.children.iter().filter_map(left).collect() }
    }

    /// Every path, in order.
    pub fn paths(&self) -> Vec<Vec<Element>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    fn collect(&self, prefix: &mut Vec<Element>, paths: &mut Vec<Vec<Element>>) {
        let elements: BTreeSet<&Element> = self.members.iter().chain(self.children.keys()).collect();
        for element in elements {
            prefix.push(element.clone());
            if self.members.contains(element) {
                paths.push(prefix.clone());
            }
            if let Some(below) = self.children.get(element) {
                below.collect(prefix, paths);
            }
            prefix.pop();
        }
    }

    /// The set with every declared field on the way to one of its paths: whoever owns what is inside a struct's field
    /// holds that field too.
    pub fn with_parents(&self, schema: &Schema, shape: &Shape) -> Set {
        let mut with = Set { members: self.members.clone(), children: BTreeMap::new() };
        for (element, below) in &self.children {
            let shape = match element {
                Element::Field(name) => {
                    if schema.field(shape, name).is_some() {
                        with.members.insert(element.clone());
                    }
                    schema.member(shape, name)
                }
                _ => shape.item(),
            };
            with.children.insert(element.clone(), below.with_parents(schema, shape));
        }
        with
    }

    /// As `fieldsV1`.
    pub fn to_json(&self) -> Value {
        let mut map = Map::new();
        for element in &self.members {
            if !self.children.contains_key(element) {
                map.insert(element.text(), Value::Object(Map::new()));
            }
        }
        for (element, below) in &self.children {
            let mut inside = below.to_json();
            if let Value::Object(inside) = &mut inside
                && self.members.contains(element)
            {
                inside.insert(".".to_owned(), Value::Object(Map::new()));
            }
            map.insert(element.text(), inside);
        }
        Value::Object(map)
    }

    /// From `fieldsV1`; `None` when it is none.
    pub fn from_json(value: &Value) -> Option<Set> {
        let mut set = Set::default();
        for (text, inside) in value.as_object()?.iter().filter(|(text, _)| *text != ".") {
            let (element, fields) = (Element::parse(text)?, inside.as_object()?);
            if fields.is_empty() || fields.contains_key(".") {
                set.members.insert(element.clone());
            }
            set.insert_below(element, Set::from_json(inside)?);
        }
        Some(set)
    }
}
