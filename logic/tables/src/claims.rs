//! Who holds a key when several Service ports ask for it: the first by rank, whatever order they came in.
//!
//! Holds exactly one winner a key in a persistent map, and the losers aside until the winner leaves.

use std::sync::Arc;

use imbl::OrdMap;

use kelson_model::ServicePortName;

use crate::{Frontend, FrontendKind, Warning};

/// A claim's rank: a ClusterIP is never lost to somebody's externalIP; then the Service's name decides.
type Rank = (FrontendKind, ServicePortName);

/// The losers of one key.
type Losers = OrdMap<Rank, Arc<Frontend>>;

/// Winners and losers by key.
#[derive(Clone, Debug)]
pub(crate) struct Claims<K: Ord + Clone> {
    /// The winner of every claimed key.
    pub held: OrdMap<K, Arc<Frontend>>,
    contested: OrdMap<K, Losers>,
}

impl<K: Ord + Clone> Default for Claims<K> {
    fn default() -> Self {
        Self { held: OrdMap::new(), contested: OrdMap::new() }
    }
}

impl<K: Ord + Clone + std::fmt::Display> Claims<K> {
    /// Adds a claim; claiming again with the same rank replaces the earlier claim.
    pub fn claim(&mut self, key: K, frontend: Arc<Frontend>) {
        match self.held.get(&key) {
            Some(holder) if rank(holder) < rank(&frontend) => self.lose(key, frontend),
            Some(holder) if rank(holder) > rank(&frontend) => {
                let holder = holder.clone();
                self.lose(key.clone(), holder);
                self.held.insert(key, frontend);
            }
            _ => {
                self.held.insert(key, frontend);
            }
        }
    }

    /// Withdraws a claim; the best of the losers takes its place.
    pub fn release(&mut self, key: &K, frontend: &Frontend) {
        let rank_gone = rank(frontend);
        let mut losers = self.contested.get(key).cloned().unwrap_or_default();
        if self.held.get(key).is_some_and(|holder| rank(holder) == rank_gone) {
            let (next, rest) = losers.without_min();
            losers = rest;
            match next {
                Some(next) => self.held.insert(key.clone(), next),
                None => self.held.remove(key),
            };
        } else {
            losers.remove(&rank_gone);
        }
        self.keep(key.clone(), losers);
    }

    /// A warning for every claim that lost.
    pub fn warnings(&self) -> impl Iterator<Item = Warning> + '_ {
        self.contested.iter().flat_map(|(key, losers)| {
            let winner = &self.held[key].service;
            losers.values().map(move |loser| lost(loser, key.to_string(), winner.clone()))
        })
    }

    fn lose(&mut self, key: K, frontend: Arc<Frontend>) {
        let mut losers = self.contested.get(&key).cloned().unwrap_or_default();
        losers.insert(rank(&frontend), frontend);
        self.keep(key, losers);
    }

    fn keep(&mut self, key: K, losers: Losers) {
        if !losers.is_empty() {
            self.contested.insert(key, losers);
        } else if self.contested.contains_key(&key) {
            self.contested.remove(&key);
        }
    }
}

fn lost(loser: &Frontend, frontend: String, winner: ServicePortName) -> Warning {
    let name = loser.service.clone();
    match loser.kind {
        FrontendKind::HostPort => Warning::HostPortTaken { host_port: name, frontend, winner },
        _ => Warning::Contested { service: name, frontend, winner },
    }
}

fn rank(frontend: &Frontend) -> Rank {
    (frontend.kind, frontend.service.clone())
}
