//! Explain: a question about a Service, and the cluster's objects, become a walk from the name to the pod that says in
//! words what holds and what is the first thing wrong.
//!
//! ```text
//! World (objects, facts) + Question ─ explain ► Explanation { steps } ─ text ► what a user reads
//! ```
//!
//! The walk judges by the very values DNS and the data plane are made of: names by `kelson-zones`, packets by
//! `kelson_tables::trace`. What cannot be known from objects (does the program listen? does that outside name resolve?)
//! is asked for by [`wanted`] and handed in as a fact; without it the walk says less, never something else. Never talks
//! to the cluster, and never guesses: a step that cannot be judged is left out.

mod alias;
mod asker;
mod context;
mod endpoints;
mod labels;
mod missing;
mod name;
mod near;
mod outside;
mod packet;
mod pods;
mod port;
mod question;
mod reason;
mod selector;
mod service;
mod step;
mod target;
mod text;
mod walk;
mod words;
mod world;

pub use question::{Asker, BadQuestion, PortAsked, PortName, Question, Target};
pub use step::{Explanation, Step, StepName, Verdict};
pub use text::{Colour, text};
pub use walk::{Wanted, explain, wanted};
pub use world::{Connect, Facts, Resolved, Unseen, Workload, World};

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
