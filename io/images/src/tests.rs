//! Images end to end: names, archives, mounts, a registry. Mounting needs root, and fails without it.

mod archives;
pub mod build;
mod mounts;
mod names;
mod registry;
