//! How much a namespace's objects use, and what ResourceQuotas and LimitRanges have against one more.
//!
//! Objects → what they use ([`usage`]) → a quota's status ([`count`]) or its refusal ([`charge`]); a pod or claim → what
//! LimitRanges give it and hold against it ([`limits`]). Asked by `io/apiserver` before it commits and by the plan that
//! keeps the statuses. Invariant: a status counts exactly what charges charged, so nothing is lost or counted twice.
//! Pure: the time is a parameter. Texts are upstream's.

pub mod amounts;
pub mod charge;
pub mod count;
pub mod demand;
pub mod limits;
mod scope;
pub mod usage;

pub use amounts::Amounts;
pub use charge::charge;
pub use count::{Counted, Tally, counted};
pub use usage::Subject;
