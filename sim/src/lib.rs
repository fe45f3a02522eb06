//! A whole cluster in one thread, from one seed: the decisions of `logic/` as they are, the world faked beneath them.
//!
//! ```text
//! User ─┐                       ┌─ Controllers (every plan)
//!       ├─► Api (the registry) ─┤    ▲ watches that lag, are cut, and start anew
//! Chaos ┘                       └─ Node: pods' lives, tables, zone, routes
//! ```
//!
//! `run` takes steps by chance until the user is done, lets the world come to rest, and checks what must hold then
//! (`check`); what must hold at every moment is judged write by write (`always`). Each component has a clock of its own.
//! The same seed gives the same run. Nothing in here decides anything about Services or pods, and nothing knows the
//! machine's clock, a thread or a socket.

mod always;
mod api;
mod carry;
mod chaos;
mod check;
mod clock;
mod controllers;
mod lookup;
mod node;
mod plane;
mod random;
mod runtime;
mod user;
mod watch;
mod world;

pub use random::Random;
pub use world::{Failure, Length, Report, run};
