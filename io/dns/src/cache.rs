//! Replies of others, kept for as long as they say, within bounds. Time is handed in.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::message::{Question, Received};

/// Most replies kept, as CoreDNS' cache has it.
const ENTRIES_MAX: usize = 9984;

/// Longest time a reply is kept, as kubeadm's Corefile has it (spec D3.2), in seconds.
const TTL_MAX: u32 = 30;

/// Longest reply kept, in bytes.
const LENGTH_MAX: usize = 4096;

#[derive(Debug)]
struct Entry {
    reply: Arc<Received>,
    received: Instant,
    expires: Instant,
}

/// Replies by question; the oldest goes when there is no room.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    entries: HashMap<Question, Entry>,
    /// In the order they came, each kept question once.
    order: VecDeque<Question>,
}

impl Cache {
    /// The reply to `question`, if one is kept, and its age in seconds.
    pub fn get(&self, question: &Question, now: Instant) -> Option<(Arc<Received>, u32)> {
        let entry = self.entries.get(question).filter(|entry| now < entry.expires)?;
        let age = now.saturating_duration_since(entry.received).as_secs();
        Some((entry.reply.clone(), u32::try_from(age).unwrap_or(u32::MAX)))
    }

    /// Keeps a reply, if it may be kept at all.
    pub fn put(&mut self, question: &Question, reply: &Arc<Received>, now: Instant) {
        let ttl = reply.ttl.min(TTL_MAX);
        if ttl == 0 || reply.bytes().len() > LENGTH_MAX {
            return;
        }
        let expires = now + Duration::from_secs(ttl.into());
        let entry = Entry { reply: reply.clone(), received: now, expires };
        if self.entries.insert(question.clone(), entry).is_none() {
            self.order.push_back(question.clone());
        }
        while self.order.len() > ENTRIES_MAX {
            let oldest = self.order.pop_front().expect("more than the bound are there");
            self.entries.remove(&oldest);
        }
    }

    /// How many replies are kept, expired ones included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests;
