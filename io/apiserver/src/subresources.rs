//! What is served below an object's path; one file a subresource with rules of its own.

pub(crate) mod binding;
pub(crate) mod eviction;
pub(crate) mod finalize;
pub(crate) mod node;
pub(crate) mod proxy;
pub(crate) mod scale;
pub(crate) mod token;
