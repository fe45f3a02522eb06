//! Server-side apply: who owns which field of an object, what an apply makes of it, and whom it disagrees with.
//!
//! Where it stands: `registry` describes the kinds' shapes, `io/apiserver` calls [`update`] or [`apply`] on every write.
//! The rules are those of upstream's structured merge: leaves are owned one by one, items of keyed lists by their keys,
//! atomic things whole. Pure: the time comes in as text, and nothing panics on any JSON.

mod capacity;
mod compare;
mod element;
mod fields;
mod merge;
mod owners;
mod remove;
mod schema;
mod set;
mod shown;
mod write;

pub use compare::{Comparison, compare};
pub use element::Element;
pub use fields::fields;
pub use merge::merge;
pub use owners::{Identity, Operation, Owner, Owners};
pub use remove::remove;
pub use schema::{Field, Key, Keyed, Schema, Shape, Struct};
pub use set::Set;
pub use shown::shown;
pub use write::{Conflict, Conflicts, Writer, apply, update};

#[cfg(test)]
mod tests;
