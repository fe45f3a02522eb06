//! The store against its contract: preconditions, revisions, lists, watches, the file.

mod contract;
mod directory;
mod file;
mod properties;
