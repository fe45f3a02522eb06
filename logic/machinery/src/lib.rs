//! Objects as the API sees them: metadata, selectors, field errors, patches, Status, printed tables.
//!
//! Where it stands: under `registry` (which knows the kinds) and `io/apiserver` (which serves them). Everything works
//! on plain JSON. It never asks for the time or for randomness (both are parameters), reads no file and panics on no input.

pub mod age;
pub mod apply;
pub mod cron;
pub mod field;
pub mod hash;
pub mod meta;
pub mod names;
pub mod partial;
pub mod patch;
pub mod quantity;
pub mod selector;
pub mod status;
pub mod strict;
pub mod table;
pub mod text;
pub mod time;

/// One API object as JSON, `apiVersion` and `kind` included.
pub type Object = serde_json::Value;

pub use field::{FieldError, Path};
pub use selector::{FieldSelector, LabelSelector};
pub use status::{Reason, Status};
