//! A watch: one resource's changes in order, each whenever its reader gets round to it; cut at any moment.

use std::sync::Arc;

use kelson_plans::{Key, Resource};

use crate::api::{Api, Event, Stored, slot};
use crate::random::Random;

/// What a reader hears next.
#[derive(Clone, Debug)]
pub enum Heard {
    /// All there is; what was known before is void.
    Listed(Vec<Arc<Stored>>),
    Applied(Arc<Stored>),
    Deleted(Key),
}

/// A reader's place in a resource's log.
#[derive(Clone, Debug)]
pub struct Watch {
    pub resource: Resource,
    slot: usize,
    /// Only objects of this name.
    name: Option<&'static str>,
    /// Events heard; `None` before the first list.
    position: Option<usize>,
    /// The version of the last thing heard.
    pub version: u64,
}

impl Watch {
    pub fn new(resource: Resource) -> Self {
        Self { slot: slot(&resource), resource, name: None, position: None, version: 0 }
    }

    /// A watch that hears only of objects of this name.
    pub fn named(resource: Resource, name: &'static str) -> Self {
        Self { name: Some(name), ..Self::new(resource) }
    }

    /// Whether the resource was listed.
    pub fn is_synced(&self) -> bool {
        self.position.is_some()
    }

    /// Whether there is something to hear.
    pub fn is_behind(&self, api: &Api) -> bool {
        let left = self.position.map(|position| &api.log(self.slot)[position..]);
        left.is_none_or(|left| left.iter().any(|event| self.hears(&event.key)))
    }

    fn hears(&self, key: &Key) -> bool {
        self.name.is_none_or(|name| key.name == name)
    }

    /// The next thing to hear. A list shows the present, as lists do.
    pub fn next(&mut self, api: &Api) -> Option<Heard> {
        let log = api.log(self.slot);
        let Some(position) = self.position else {
            (self.position, self.version) = (Some(log.len()), api.version());
            let all = api.all(&self.resource).filter(|(key, _)| self.hears(key));
            return Some(Heard::Listed(all.map(|(_, object)| object.clone()).collect()));
        };
        let next = log[position..].iter().position(|event| self.hears(&event.key))?;
        let event: &Event = &log[position + next];
        (self.position, self.version) = (Some(position + next + 1), event.version);
        Some(match &event.object {
            Some(object) => Heard::Applied(object.clone()),
            None => Heard::Deleted(event.key.clone()),
        })
    }

    /// The connection broke: mostly the version is too old and everything is listed anew, sometimes the last event comes
    /// a second time.
    pub fn cut(&mut self, random: &mut Random) {
        self.position = match self.position {
            Some(position) if position > 0 && random.once_in(3) => Some(position - 1),
            _ => None,
        };
    }

    /// Whoever was reading begins anew.
    pub fn restart(&mut self) {
        (self.position, self.version) = (None, 0);
    }
}
