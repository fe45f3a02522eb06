//! A watch: one resource's changes in order, each whenever its reader gets round to it; cut at any moment.

use std::sync::Arc;

use kelson_plans::{Key, Resource};
use serde_json::Value;

use crate::api::Api;

/// What a reader hears next.
#[derive(Clone, Debug)]
pub enum Heard {
    /// All there is; what was known before is void.
    Listed(Vec<Arc<Value>>),
    Applied(Arc<Value>),
    Deleted(Key),
}

/// A reader's place in a resource's log.
#[derive(Clone, Debug)]
pub struct Watch {
    pub resource: Resource,
    /// Events heard; `None` before the first list.
    position: Option<usize>,
    /// The version of the last thing heard.
    pub version: u64,
}

impl Watch {
    pub fn new(resource: Resource) -> Self {
        Self { resource, position: None, version: 0 }
    }

    /// Whether the resource was listed.
    pub fn is_synced(&self) -> bool {
        self.position.is_some()
    }

    /// Whether there is something to hear.
    pub fn is_behind(&self, api: &Api) -> bool {
        self.position.is_none_or(|position| position < api.log(&self.resource).len())
    }

    /// The next thing to hear. A list shows the present, as lists do.
    pub fn next(&mut self, api: &Api) -> Option<Heard> {
        let log = api.log(&self.resource);
        let Some(position) = self.position else {
            (self.position, self.version) = (Some(log.len()), api.version());
            return Some(Heard::Listed(api.all(&self.resource).map(|(_, object)| object.clone()).collect()));
        };
        let event = log.get(position)?;
        (self.position, self.version) = (Some(position + 1), event.version);
        Some(match &event.object {
            Some(object) => Heard::Applied(object.clone()),
            None => Heard::Deleted(event.key.clone()),
        })
    }

    /// The connection broke and the version is too old: everything is listed anew.
    pub fn cut(&mut self) {
        self.position = None;
    }
}
