//! Which Events are one: counting repeats, combining what is alike, limiting what is too much.
//!
//! Pure part of `events`: time comes with the note. Every table is bounded; what falls out is merely told
//! anew.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use kelson_plans::Severity;

use super::{Note, Source};

/// Objects, sources and messages remembered at most.
const REMEMBERED: usize = 4096;
/// Different messages of one reason about one object, before they are combined.
const ALIKE: usize = 10;
/// How long messages count as alike.
const ALIKE_FOR: SignedDuration = SignedDuration::from_mins(10);
/// Events about one object from one source at once, and how long until one more is allowed.
const BURST: f64 = 25.0;
const REFILL: SignedDuration = SignedDuration::from_mins(5);

const COMBINED: &str = "(combined from similar events): ";

/// What to write.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Write {
    New { name: String, message: String, at: Timestamp },
    Again { name: String, count: i32, message: String, first: Timestamp },
}

impl Write {
    /// Name, count, message, and when it was first told.
    pub(super) fn parts(&self) -> (&str, i32, &str, Timestamp) {
        match self {
            Write::New { name, message, at } => (name, 1, message, *at),
            Write::Again { name, count, message, first } => (name, *count, message, *first),
        }
    }
}

/// Who told about what.
type Subject = (Source, Option<String>, Option<String>, Option<String>);
/// A subject, and what was said but for the message.
type Topic = (Subject, Option<String>, Severity, String);

struct Told {
    name: String,
    count: i32,
    first: Timestamp,
}

/// What was told so far.
#[derive(Default)]
pub(super) struct Correlator {
    told: Bounded<(Topic, Option<String>), Told>,
    alike: Bounded<Topic, (BTreeSet<String>, Timestamp)>,
    budget: Bounded<Subject, (f64, Timestamp)>,
    last_stamp: i128,
}

impl Correlator {
    /// What to write for a note; nothing if its source said too much about its object.
    pub(super) fn add(&mut self, note: &Note) -> Option<Write> {
        let regarding = &note.regarding;
        let subject: Subject = (
            note.source.as_ref().clone(),
            regarding.kind.clone(),
            regarding.uid.clone().or(regarding.name.clone()),
            regarding.namespace.clone(),
        );
        let topic: Topic =
            (subject.clone(), regarding.field_path.clone(), note.severity, note.reason.clone());
        let combined = self.is_combined(&topic, note);
        if !self.is_affordable(subject, note.at) {
            return None;
        }
        let message = if combined { format!("{COMBINED}{}", note.message) } else { note.message.clone() };
        let key = (topic, (!combined).then(|| note.message.clone()));
        if let Some(told) = self.told.get_mut(&key) {
            told.count = told.count.saturating_add(1);
            return Some(Write::Again {
                name: told.name.clone(),
                count: told.count,
                message,
                first: told.first,
            });
        }
        let name = self.name(note);
        self.told.insert(key, Told { name: name.clone(), count: 1, first: note.at });
        Some(Write::New { name, message, at: note.at })
    }

    fn is_combined(&mut self, topic: &Topic, note: &Note) -> bool {
        let fresh = (BTreeSet::new(), note.at);
        let (messages, last) = self.alike.get_or_insert(topic.clone(), fresh);
        if note.at.duration_since(*last) > ALIKE_FOR {
            messages.clear();
        }
        *last = note.at;
        if messages.len() < ALIKE {
            messages.insert(note.message.clone());
        }
        messages.len() >= ALIKE && !messages.contains(&note.message)
    }

    fn is_affordable(&mut self, subject: Subject, at: Timestamp) -> bool {
        let (tokens, last) = self.budget.get_or_insert(subject, (BURST, at));
        let passed = at.duration_since(*last).as_secs_f64().max(0.0);
        *tokens = (*tokens + passed / REFILL.as_secs_f64()).min(BURST);
        *last = at;
        let affordable = *tokens >= 1.0;
        if affordable {
            *tokens -= 1.0;
        }
        affordable
    }

    /// The object's name and the time in nanoseconds, as upstream names Events; never the same twice.
    fn name(&mut self, note: &Note) -> String {
        self.last_stamp = note.at.as_nanosecond().max(self.last_stamp + 1);
        format!("{}.{:x}", note.regarding.name.as_deref().unwrap_or_default(), self.last_stamp)
    }
}

/// A map that forgets the oldest entry when it is full.
struct Bounded<K, V> {
    entries: BTreeMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), order: VecDeque::new() }
    }
}

impl<K: Ord + Clone, V> Bounded<K, V> {
    fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }

    fn get_or_insert(&mut self, key: K, value: V) -> &mut V {
        if !self.entries.contains_key(&key) {
            self.insert(key.clone(), value);
        }
        self.entries.get_mut(&key).expect("it was there or was inserted just now")
    }
}

#[cfg(test)]
mod tests;
