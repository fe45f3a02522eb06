//! Images on a node: imported or pulled, unpacked once, mounted as root file systems of containers.
//!
//! Where it stands: `io/agent` asks for an image and a mounted root file system, `kelson image` imports and pulls.
//! On disk, under one directory: `images.json` (what is there), `blobs/` (configurations), `layers/` (each unpacked once,
//! named by its content, in overlayfs' lower format), `uses/` (who has which layers mounted), `tmp/`.
//! Invariant: what comes from an image is never trusted: digests are checked, and no layer writes outside its own
//! directory. A crash leaves no half a layer under its final name.

mod archive;
mod binary;
mod blob;
mod catalogue;
mod config;
mod error;
pub mod fuzz;
mod images;
mod layer;
mod name;
mod overlay;
mod pull;
mod shelf;
mod tar_stream;

#[cfg(test)]
mod tests;

pub use catalogue::Image;
pub use config::ImageConfig;
pub use error::{ImageError, NameError};
pub use images::{Images, ImportOptions};
pub use layer::{Bounds, unpack as unpack_layer};
pub use name::{Name, normalize};
pub use overlay::Root;
pub use pull::{Auth, PullOptions, Tell};
