//! Replies of others, kept for as long as they say, within bounds. Time is handed in.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kelson_zones::rcode;

use crate::message::{Question, Received, code};

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
    /// How many of the kept replies say something, and how many that there is nothing.
    held: [usize; 2],
    /// How many of either went before their time.
    evicted: [u64; 2],
}

/// Whether a reply says that there is no such name, or nothing of that type.
pub(crate) fn is_denial(reply: &Received) -> bool {
    let bytes = reply.bytes();
    code(bytes) == rcode::NO_SUCH_NAME || bytes.get(6..8) == Some(&[0, 0])
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
        self.held[usize::from(is_denial(reply))] += 1;
        match self.entries.insert(question.clone(), entry) {
            Some(before) => self.held[usize::from(is_denial(&before.reply))] -= 1,
            None => self.order.push_back(question.clone()),
        }
        while self.order.len() > ENTRIES_MAX {
            let oldest = self.order.pop_front().expect("more than the bound are there");
            let entry = self.entries.remove(&oldest).expect("what is in order is kept");
            let kind = usize::from(is_denial(&entry.reply));
            self.held[kind] -= 1;
            self.evicted[kind] += 1;
        }
    }

    /// How many replies are kept, expired ones included: those that say something, those that deny.
    pub fn held(&self) -> [usize; 2] {
        self.held
    }

    /// How many of either went because there was no room.
    pub fn evicted(&self) -> [u64; 2] {
        self.evicted
    }
}

#[cfg(test)]
mod tests;
