//! Puts what is wanted into the slices there are, and into as few new ones as it takes (B1.10–B1.12).
//!
//! Pure leaf of `endpoint_slice`. Slices that must be written anyway are filled first, the fullest first;
//! then the untouched slice that comes closest to full; then new ones. Nothing is ever rebalanced.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use super::Frame;
use super::desired::{self, Group, Ports, Wanted};
use crate::plan::Action;
use crate::service;

/// A slice as it should be, beside what it was.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    pub before: Option<Arc<EndpointSlice>>,
    pub after: EndpointSlice,
    triggers: Vec<Option<Timestamp>>,
}

impl Slice {
    fn of(before: &Arc<EndpointSlice>) -> Self {
        Self { before: Some(before.clone()), after: before.as_ref().clone(), triggers: Vec::new() }
    }

    fn len(&self) -> usize {
        self.after.endpoints.as_ref().map_or(0, Vec::len)
    }

    fn is_altered(&self) -> bool {
        self.before.as_deref() != Some(&self.after)
    }

    fn add(&mut self, wanted: Wanted) {
        self.after.endpoints.get_or_insert_default().push(wanted.endpoint);
        self.triggers.push(wanted.trigger);
    }

    /// What it takes to make it so: nothing, if nothing but a note of an earlier change would differ.
    pub(super) fn action(mut self, service: &Service) -> Option<Action> {
        if !self.is_altered() {
            return None;
        }
        let created = service.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let first = if self.before.is_none() { created } else { None };
        let trigger = self.triggers.iter().copied().flatten().min().or(first);
        service::note_trigger(&mut self.after.metadata.annotations, trigger);
        match &self.before {
            Some(before) => Action::patch(before.as_ref(), &self.after),
            None => Some(Action::create(&self.after)),
        }
    }
}

/// The slices that should be, and those that should not.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub wanted: Vec<Slice>,
    pub unwanted: Vec<Arc<EndpointSlice>>,
}

pub(super) fn fill(
    groups: BTreeMap<Ports, Group>,
    existing: &[&Arc<EndpointSlice>],
    frame: &Frame<'_>,
    limit: usize,
) -> Filled {
    let mut by_ports: BTreeMap<Ports, Vec<&Arc<EndpointSlice>>> = BTreeMap::new();
    for slice in existing {
        by_ports.entry(desired::key_of(slice.ports.as_ref())).or_default().push(slice);
    }
    let mut filled = Filled::default();
    for (ports, group) in groups {
        let slices = by_ports.remove(&ports).unwrap_or_default();
        fill_group(&ports, group, &slices, frame, limit, &mut filled);
    }
    if filled.wanted.is_empty() {
        let placeholder = by_ports.remove(&Ports::new()).unwrap_or_default();
        keep_placeholder(&placeholder, frame, &mut filled);
    }
    filled.unwanted.extend(by_ports.into_values().flatten().cloned());
    reuse_unwanted(&mut filled, frame);
    filled
}

/// The endpoints of one set of ports.
fn fill_group(
    ports: &Ports,
    mut group: Group,
    existing: &[&Arc<EndpointSlice>],
    frame: &Frame<'_>,
    limit: usize,
    filled: &mut Filled,
) {
    let mut altered = Vec::new();
    let mut untouched = Vec::new();
    for slice in existing {
        let kept = keep(slice, &mut group, frame);
        match kept {
            kept if kept.len() == 0 => filled.unwanted.push((*slice).clone()),
            kept if kept.is_altered() => altered.push(kept),
            kept => untouched.push(kept),
        }
    }
    altered.sort_by_key(|slice| Reverse(slice.len()));
    let mut rest = group.into_values();
    for slice in &mut altered {
        top_up(slice, &mut rest, limit);
    }
    while rest.len() > 0 {
        let mut slice = match best_fit(&untouched, rest.len(), limit) {
            Some(index) => untouched.remove(index),
            None => new_slice(ports, frame),
        };
        top_up(&mut slice, &mut rest, limit);
        altered.push(slice);
    }
    filled.wanted.extend(altered);
    filled.wanted.extend(untouched);
}

/// The slice with what is still wanted of it, brought up to date; what it holds is taken from `group`.
fn keep(slice: &Arc<EndpointSlice>, group: &mut Group, frame: &Frame<'_>) -> Slice {
    let mut kept = Slice::of(slice);
    let mut endpoints = Vec::new();
    for present in slice.endpoints.iter().flatten() {
        let Some(wanted) = group.remove(&desired::identity(present)) else { continue };
        if !same(present, &wanted.endpoint) {
            kept.triggers.push(wanted.trigger);
        }
        endpoints.push(with_hints_of(wanted.endpoint, present));
    }
    if slice.endpoints.as_ref().is_some_and(|present| *present != endpoints) {
        kept.after.endpoints = Some(endpoints);
    }
    frame.dress(&mut kept.after);
    kept
}

/// Hints are compared after they have been worked out anew, so they do not count here.
fn same(present: &Endpoint, wanted: &Endpoint) -> bool {
    let bare = |endpoint: &Endpoint| Endpoint { hints: None, ..endpoint.clone() };
    bare(present) == bare(wanted)
}

fn with_hints_of(wanted: Endpoint, present: &Endpoint) -> Endpoint {
    Endpoint { hints: present.hints.clone(), ..wanted }
}

fn top_up(slice: &mut Slice, rest: &mut impl Iterator<Item = Wanted>, limit: usize) {
    let room = limit.saturating_sub(slice.len());
    rest.take(room).for_each(|wanted| slice.add(wanted));
}

/// The untouched slice that the rest fills best without running over.
fn best_fit(untouched: &[Slice], rest: usize, limit: usize) -> Option<usize> {
    let fits = untouched.iter().enumerate().filter(|(_, slice)| rest < limit && slice.len() + rest <= limit);
    fits.max_by_key(|(index, slice)| (slice.len(), Reverse(*index))).map(|(index, _)| index)
}

fn new_slice(ports: &Ports, frame: &Frame<'_>) -> Slice {
    let mut after = frame.empty();
    after.ports = Some(desired::from_key(ports));
    after.endpoints = Some(Vec::new());
    Slice { before: None, after, triggers: Vec::new() }
}

/// A Service with nothing behind it still has a slice that says so (B1.11).
fn keep_placeholder(existing: &[&Arc<EndpointSlice>], frame: &Frame<'_>, filled: &mut Filled) {
    let mut existing = existing.iter();
    let slice = match existing.next() {
        Some(present) => keep(present, &mut Group::new(), frame),
        None => new_slice(&Ports::new(), frame),
    };
    filled.wanted.push(slice);
    filled.unwanted.extend(existing.map(|slice| (*slice).clone()));
}

/// Where one slice would be deleted and another made, the one becomes the other (B1.12).
fn reuse_unwanted(filled: &mut Filled, frame: &Frame<'_>) {
    for slice in filled.wanted.iter_mut().filter(|slice| slice.before.is_none()) {
        let Some(spare) = filled.unwanted.pop() else { return };
        let mut after = spare.as_ref().clone();
        after.ports.clone_from(&slice.after.ports);
        after.endpoints.clone_from(&slice.after.endpoints);
        frame.dress(&mut after);
        slice.before = Some(spare);
        slice.after = after;
    }
}
