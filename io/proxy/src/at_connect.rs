//! Translation at connect(), kept at what nftables holds: the same tables, one step behind it in the same round.
//!
//! Where it cannot be had, or fails, every trace of it is removed and nftables goes on alone, until kelson starts again.
//! A round counts as programmed only when both hold it, or when this one is gone: what an earlier process attached goes on
//! serving what it served then, until this one takes over or removes it.

use std::net::SocketAddrV4;
use std::sync::Arc;

use kelson_sockets::{Loaded, Maps, Place};
use kelson_tables::connect::{self, Backends};
use kelson_tables::{Change, Tables};
use tracing::{info, warn};

use crate::Error;
use crate::run::chain;

type Changes = Vec<Change<SocketAddrV4, Backends>>;

/// The translation of one node.
#[derive(Debug)]
pub(crate) struct AtConnect {
    place: Option<Place>,
    state: State,
    /// What the maps are kept at.
    tables: Arc<Tables>,
    warned: bool,
}

#[derive(Debug)]
enum State {
    /// Nothing was tried; an earlier process may have left something at work.
    New,
    /// It serves.
    On(Box<Maps>),
    /// It must go.
    Leaving,
    /// nftables is alone.
    Off,
}

impl AtConnect {
    /// At `place`; without one there is none, and nothing is looked for.
    pub fn new(place: Option<Place>) -> Self {
        let state = if place.is_some() { State::New } else { State::Off };
        Self { place, state, tables: Arc::default(), warned: false }
    }

    /// Brings it to `tables`. Fails only if something stale is at work and cannot be removed.
    pub fn follow(&mut self, tables: &Arc<Tables>) -> Result<(), Error> {
        let Some(place) = self.place.clone() else { return Ok(()) };
        if matches!(self.state, State::Off) {
            return Ok(());
        }
        let changes = connect::update(&self.tables, tables);
        self.state = match std::mem::replace(&mut self.state, State::Leaving) {
            State::New => self.start(&place, changes),
            State::On(maps) => self.go_on(maps, changes),
            other => other,
        };
        self.tables = tables.clone();
        if matches!(self.state, State::Leaving) {
            kelson_sockets::remove(&place.pins).map_err(Error::Leftover)?;
            self.state = State::Off;
        }
        Ok(())
    }

    fn start(&mut self, place: &Place, changes: Changes) -> State {
        let start = Loaded::load(place).and_then(|mut loaded| {
            let left_out = loaded.maps().apply(changes.into_iter().map(entry))?;
            loaded.attach().map(|maps| (maps, left_out))
        });
        match start {
            Ok((maps, left_out)) => {
                info!(services = maps.len(), "pods' connections to Services are translated at connect()");
                self.tell(left_out);
                State::On(Box::new(maps))
            }
            Err(error) => {
                info!(
                    reason = chain(&error),
                    "no translation at connect(); the packet filter translates alone"
                );
                State::Leaving
            }
        }
    }

    fn go_on(&mut self, mut maps: Box<Maps>, changes: Changes) -> State {
        match maps.apply(changes.into_iter().map(entry)) {
            Ok(left_out) => {
                self.tell(left_out);
                State::On(maps)
            }
            Err(error) => {
                warn!(
                    error = chain(&error),
                    "translation at connect() failed; the packet filter goes on alone"
                );
                State::Leaving
            }
        }
    }

    fn tell(&mut self, left_out: usize) {
        if left_out > 0 && !self.warned {
            self.warned = true;
            warn!(
                services = left_out,
                "no room to translate all Services at connect(); the packet filter translates the rest"
            );
        }
    }
}

fn entry(change: Change<SocketAddrV4, Backends>) -> kelson_sockets::Change {
    (change.key, change.new)
}
