//! The two ways a write goes through ownership: an update takes what it changes, an apply states all it wants.
//!
//! Invariant: after an apply the applier owns exactly the fields of its configuration, and fields it owned alone and no
//! longer states are gone. After either, no owner holds a field another one changed.

use std::borrow::Cow;

use super::capacity::cap;
use super::compare::compare;
use super::element::Element;
use super::fields::fields;
use super::merge::merge;
use super::owners::{Identity, Operation, Owner, Owners};
use super::remove::remove;
use super::schema::{Schema, Shape};
use super::set::Set;
use crate::text::quote;
use crate::{Object, meta};

/// The annotation in which client-side apply keeps what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The applier that takes over from client-side apply.
const KUBECTL: &str = "kubectl";

/// Who owns what was there before ownership was kept.
const BEFORE: &str = "before-first-apply";

/// Nobody owns these: they are the object's identity, or the server's.
const UNOWNED: &[&[&str]] = &[
    &["apiVersion"],
    &["kind"],
    &["metadata"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "clusterName"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

/// Who writes, when, and what the place written to does not touch.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The field manager; `unknown` when the client names none.
    pub name: &'a str,
    /// The version of the kind.
    pub api_version: &'a str,
    /// The subresource; empty for the object itself.
    pub subresource: &'a str,
    /// Now, RFC 3339.
    pub now: &'a str,
    /// Fields this write cannot change, such as the status of a main resource.
    pub ignored: &'a Set,
}

impl Writer<'_> {
    fn identity(&self, operation: Operation) -> Identity {
        Identity {
            name: if self.name.is_empty() { "unknown" } else { self.name }.to_owned(),
            operation,
            api_version: self.api_version.to_owned(),
            subresource: self.subresource.to_owned(),
        }
    }
}

/// A field somebody else owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The owner.
    pub owner: Identity,
    /// The field's path.
    pub path: Vec<Element>,
}

impl Conflict {
    /// The path as messages show it: `.spec.replicas`.
    pub fn field(&self) -> String {
        self.path.iter().map(Element::to_string).collect()
    }

    /// `"kubectl-client-side-apply" using apps/v1`.
    pub fn with(&self) -> String {
        let Identity { name, operation, api_version, subresource } = &self.owner;
        let mut text = quote(name);
        if !subresource.is_empty() {
            text += &format!(" with subresource {}", quote(subresource));
        }
        if *operation == Operation::Update {
            text += &format!(" using {api_version}");
        }
        text
    }
}

/// Why an apply was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflicts(pub Vec<Conflict>);

/// Upstream's message.
impl std::fmt::Display for Conflicts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let [only] = self.0.as_slice() {
            return write!(
                f,
                "Apply failed with 1 conflict: conflict with {}: {}",
                only.with(),
                only.field()
            );
        }
        let mut lines: Vec<String> = Vec::new();
        let mut last = String::new();
        for conflict in &self.0 {
            let with = conflict.with();
            if with != last {
                lines.push(format!("conflicts with {with}:"));
                last = with;
            }
            lines.push(format!("- {}", conflict.field()));
        }
        write!(f, "Apply failed with {} conflicts: {}", self.0.len(), lines.join("\n"))
    }
}

/// Settles who owns what after `live` became `new` by an ordinary write, and writes it into `new`.
pub fn update(schema: &Schema, shape: &Shape, live: &Object, new: &mut Object, writer: &Writer<'_>) {
    let mut owners = owners_given(live, new, writer);
    let found = compare(schema, shape, live, new).without(writer.ignored);
    let changed = found.changed();
    let lost = changed.union(&found.removed);
    for owner in &mut owners.0 {
        owner.fields = owner.fields.difference(&lost);
    }
    let own = changed.difference(&Set::of_fields(UNOWNED));
    let quiet = own.is_empty();
    if !quiet {
        let identity = writer.identity(Operation::Update);
        match owners.0.iter_mut().find(|owner| owner.identity == identity) {
            Some(owner) => {
                owner.fields = owner.fields.union(&own);
                owner.time = writer.now.to_owned();
            }
            None => owners.0.push(Owner { identity, time: writer.now.to_owned(), fields: own }),
        }
    }
    cap(&mut owners);
    if quiet {
        owners = keep_times(live, owners);
    }
    owners.write(new);
}

/// The owners an update starts from: those it was sent with, where it may set them, or those of the live object.
fn owners_given(live: &Object, new: &Object, writer: &Writer<'_>) -> Owners {
    if writer.subresource.is_empty() {
        if Owners::are_reset(new) {
            return Owners::default();
        }
        if let Some(given) = Owners::of(new).filter(|given| !given.0.is_empty()) {
            return given;
        }
    }
    Owners::of(live).unwrap_or_default()
}

/// Ownership that did not change keeps its times, so that a write of nothing is none.
fn keep_times(live: &Object, owners: Owners) -> Owners {
    match Owners::of(live) {
        Some(before) if before.are_same(&owners) => before,
        _ => owners,
    }
}

/// What applying `config` makes of `live` (an empty object where there is none), owners included.
pub fn apply(
    schema: &Schema,
    shape: &Shape,
    live: &Object,
    config: &Object,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Object, Conflicts> {
    let live = &claimed(schema, shape, live, writer);
    match state(schema, shape, live, config, writer, force) {
        Err(conflicts) if writer.name == KUBECTL => {
            let allowed = last_applied(schema, shape, live);
            let left: Vec<Conflict> = conflicts.0.into_iter().filter(|c| !holds(&allowed, &c.path)).collect();
            match left.is_empty() {
                true => state(schema, shape, live, config, writer, true),
                false => Err(Conflicts(left)),
            }
        }
        other => other,
    }
    .map(|mut object| {
        if writer.name == KUBECTL && meta::annotation(live, LAST_APPLIED).is_some() {
            meta::set_annotation(&mut object, LAST_APPLIED, &format!("{config}\n"));
        }
        object
    })
}

/// An object nobody owns, from before ownership was kept, belongs to whoever was there before.
fn claimed<'o>(schema: &Schema, shape: &Shape, live: &'o Object, writer: &Writer<'_>) -> Cow<'o, Object> {
    if !meta::get_list(live, &["metadata", "managedFields"]).is_empty() {
        return Cow::Borrowed(live);
    }
    let mut owned = live.clone();
    let before = Writer { name: BEFORE, subresource: "", ..*writer };
    update(schema, shape, &Object::Object(Default::default()), &mut owned, &before);
    Cow::Owned(owned)
}

fn state(
    schema: &Schema,
    shape: &Shape,
    live: &Object,
    config: &Object,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Object, Conflicts> {
    let mut owners = Owners::of(live).unwrap_or_default();
    let identity = writer.identity(Operation::Apply);
    let unowned = Set::of_fields(UNOWNED);
    let own = fields(schema, shape, config).recursive_difference(writer.ignored).difference(&unowned);
    let last = owners.find(&identity).map(|owner| owner.fields.clone()).unwrap_or_default();
    owners.0.retain(|owner| !owner.identity.is_same(&identity));

    let merged = merge(schema, shape, live, config);
    let mut new = match last.is_empty() {
        true => merged,
        false => prune(schema, shape, merged, &last, &own, &owners),
    };
    let found = compare(schema, shape, live, &new).without(writer.ignored);
    let changed = found.changed();
    if !force {
        refuse(&owners, &changed)?;
    }
    let lost = changed.union(&found.removed);
    for owner in &mut owners.0 {
        owner.fields = owner.fields.difference(&lost);
    }
    owners.0.push(Owner { identity, time: writer.now.to_owned(), fields: own });
    if found.is_empty() {
        owners = keep_times(live, owners);
    }
    owners.write(&mut new);
    Ok(new)
}

/// `merged` without what the applier owned before and nobody owns now.
fn prune(schema: &Schema, shape: &Shape, merged: Object, last: &Set, own: &Set, owners: &Owners) -> Object {
    let whole = |set: &Set| set.with_parents(schema, shape);
    let shown = |object: &Object| whole(&fields(schema, shape, object));
    let without = |gone: &Set| remove(schema, shape, &merged, gone).unwrap_or_else(|| merged.clone());

    let pruned = without(&whole(last));
    // What somebody else owns, or the applier still states, comes back.
    let held = owners.0.iter().fold(own.clone(), |held, owner| held.union(&owner.fields));
    let all = shown(&merged);
    let pruned = without(&all.difference(&shown(&pruned).union(&whole(&held))));
    // So does what was lost with its parents, though the applier never owned it.
    without(&all.difference(&shown(&pruned)).intersection(&whole(last)))
}

fn refuse(owners: &Owners, changed: &Set) -> Result<(), Conflicts> {
    let mut conflicts = Vec::new();
    for owner in &owners.0 {
        for path in owner.fields.intersection(changed).paths() {
            conflicts.push(Conflict { owner: owner.identity.clone(), path });
        }
    }
    conflicts.sort_by_key(Conflict::with);
    if conflicts.is_empty() { Ok(()) } else { Err(Conflicts(conflicts)) }
}

/// Fields client-side apply set and that are as it set them: `kubectl` may take those over.
fn last_applied(schema: &Schema, shape: &Shape, live: &Object) -> Set {
    let Some(text) = meta::annotation(live, LAST_APPLIED) else { return Set::default() };
    let Ok(config) = serde_json::from_str::<Object>(text) else { return Set::default() };
    let set = fields(schema, shape, &config);
    let differing = compare(schema, shape, live, &config).changed();
    let mut allowed = set.recursive_difference(&differing);
    allowed.insert(&[
        Element::field("metadata"),
        Element::field("annotations"),
        Element::field(LAST_APPLIED),
    ]);
    allowed
}

fn holds(set: &Set, path: &[Element]) -> bool {
    match path {
        [] => false,
        [last] => set.has(last),
        [first, rest @ ..] => set.below(first).is_some_and(|below| holds(below, rest)),
    }
}
