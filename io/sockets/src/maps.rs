//! The two maps the programs look into, and how a Service port changes in them without ever being half-changed.
//!
//! New backends are written under an id that was never used; then one write makes the Service port lead to them; then the
//! old ones go. A reader in between finds the one or the other, or nothing, and then nftables serves it.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::sync::Arc;

use aya::maps::{HashMap as KernelMap, Map, MapData, MapError};

use crate::Error;
use crate::layout::{Choice, Endpoint, Slot};

/// The most backends of all Service ports together; the kernel's map has room for one port's exchange besides.
const BACKENDS_MAX: usize = 122_880;

/// A Service port and its backends from now on; `None` leaves it to nftables.
pub type Change = (SocketAddrV4, Option<Arc<[SocketAddrV4]>>);

/// The maps of the programs, with what this process wrote into them.
#[derive(Debug)]
pub struct Maps {
    services: KernelMap<MapData, Endpoint, Choice>,
    backends: KernelMap<MapData, Slot, Endpoint>,
    held: HashMap<SocketAddrV4, Choice>,
    backends_held: usize,
    next_id: u64,
}

impl Maps {
    /// Over two maps that are empty.
    pub(crate) fn new(services: Map, backends: Map) -> Result<Self, MapError> {
        Ok(Self {
            services: services.try_into()?,
            backends: backends.try_into()?,
            held: HashMap::new(),
            backends_held: 0,
            next_id: 1,
        })
    }

    /// Carries the changes out, and returns how many Service ports found no room and are nftables' now. On an error the
    /// programs may lead to backends that are gone, and must be removed.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = Change>) -> Result<usize, Error> {
        let mut left_out = 0;
        for (at, backends) in changes {
            match backends {
                Some(backends) if self.set(at, &backends)? => {}
                Some(_) => {
                    left_out += 1;
                    self.withdraw(at)?;
                }
                None => self.withdraw(at)?,
            }
        }
        Ok(left_out)
    }

    /// How many Service ports are translated.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether there was room; without, everything is as before.
    fn set(&mut self, at: SocketAddrV4, backends: &[SocketAddrV4]) -> Result<bool, Error> {
        let count = u32::try_from(backends.len()).unwrap_or(u32::MAX);
        let choice = Choice::new(self.next_id, count);
        self.next_id += 1;
        if backends.is_empty() || self.backends_held + backends.len() > BACKENDS_MAX {
            return Ok(false);
        }
        let written = self.write(choice, backends).and_then(|()| {
            // One element is exchanged for another at one instant.
            self.services.insert(Endpoint::from(at), choice, 0)
        });
        if written.is_err() {
            self.erase(choice)?;
            return Ok(false);
        }
        self.backends_held += backends.len();
        match self.held.insert(at, choice) {
            Some(old) => self.forget(old).map(|()| true),
            None => Ok(true),
        }
    }

    fn withdraw(&mut self, at: SocketAddrV4) -> Result<(), Error> {
        let Some(old) = self.held.get(&at).copied() else { return Ok(()) };
        gone("services", self.services.remove(&Endpoint::from(at)))?;
        self.held.remove(&at);
        self.forget(old)
    }

    fn write(&mut self, choice: Choice, backends: &[SocketAddrV4]) -> Result<(), MapError> {
        let mut pairs = choice.slots().zip(backends);
        pairs.try_for_each(|(slot, backend)| self.backends.insert(slot, Endpoint::from(*backend), 0))
    }

    fn forget(&mut self, old: Choice) -> Result<(), Error> {
        self.backends_held -= usize::try_from(old.count).unwrap_or_default();
        self.erase(old)
    }

    fn erase(&mut self, old: Choice) -> Result<(), Error> {
        old.slots().try_for_each(|slot| gone("backends", self.backends.remove(&slot)))
    }
}

/// What is not there is gone.
fn gone(map: &'static str, removed: Result<(), MapError>) -> Result<(), Error> {
    match removed {
        Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        Err(MapError::KeyNotFound) => Ok(()),
        other => other.map_err(|source| Error::Map { map, source: Box::new(source) }),
    }
}
