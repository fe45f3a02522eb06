//! What can go wrong with images. Where kubectl shows the message, it is worded as containerd words it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci_client::errors::OciDistributionError;

/// Why a text names no image; the texts are upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not of the form `[registry/]repository[:tag][@digest]`.
    #[error("couldn't parse image name {name:?}: invalid reference format")]
    Format {
        /// The text.
        name: String,
    },
    /// The repository has upper-case letters.
    #[error(
        "couldn't parse image name {name:?}: invalid reference format: repository name ({repository}) must be lowercase"
    )]
    Uppercase {
        /// The text.
        name: String,
        /// The repository in it.
        repository: String,
    },
}

/// Why an operation on images failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ImageError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A file system operation failed.
    #[error("cannot {operation} {path}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Arc<io::Error>,
    },
    /// The archive is none we know, or is broken.
    #[error("{path} is not an image archive that can be imported: {why}")]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The configuration of an image cannot be used.
    #[error("the configuration of image {what} cannot be used: {why}")]
    Config {
        /// The image.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A layer is broken or tries what no layer may.
    #[error("layer {layer} cannot be unpacked: {why}")]
    Layer {
        /// Its digest, or where it came from.
        layer: String,
        /// What is wrong with it.
        why: String,
    },
    /// Content is not what its name says.
    #[error("content of {what} has digest {found}, expected {expected}")]
    Digest {
        /// What was read.
        what: String,
        /// The digest it has.
        found: String,
        /// The digest it should have.
        expected: String,
    },
    /// `images.json` is unreadable.
    #[error("the list of images {path} is damaged; move it away and import or pull the images again")]
    Catalogue {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<serde_json::Error>,
    },
    /// The registry does not have the image.
    #[error(
        "failed to pull and unpack image {name:?}: failed to resolve reference {name:?}: {name}: not found"
    )]
    NotFound {
        /// The full name.
        name: String,
    },
    /// The registry does not let us have the image.
    #[error(
        "failed to pull and unpack image {name:?}: failed to resolve reference {name:?}: pull access denied, repository does not exist or may require authorization"
    )]
    Denied {
        /// The full name.
        name: String,
    },
    /// The registry has it for other platforms only.
    #[error("failed to pull and unpack image {name:?}: no match for platform in manifest: not found")]
    Platform {
        /// The full name.
        name: String,
    },
    /// Talking to the registry failed.
    #[error("failed to pull and unpack image {name:?}")]
    Registry {
        /// The full name.
        name: String,
        /// Why.
        #[source]
        source: Arc<OciDistributionError>,
    },
    /// Unpacking what was pulled failed.
    #[error("failed to pull and unpack image {name:?}")]
    Unpack {
        /// The full name.
        name: String,
        /// Why.
        #[source]
        source: Arc<ImageError>,
    },
    /// The executable cannot run alone in an image.
    #[error("{path} cannot be an image of its own: {why}")]
    Binary {
        /// The executable.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// There is no such image here.
    #[error("no such image: {name}")]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// The container's directory is mounted already.
    #[error("a root file system is already mounted in {path}")]
    Mounted {
        /// The container's directory.
        path: PathBuf,
    },
    /// The work was cut short: the runtime is shutting down.
    #[error("the work on image {name} was cut short")]
    Stopped {
        /// The image.
        name: String,
    },
}

impl ImageError {
    /// The whole chain in one line, for where only one text can be shown (a pod's status, an event).
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }

    /// Names the operation and the path of an I/O error.
    pub(crate) fn io(operation: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { operation, path, source: Arc::new(source) }
    }
}

/// Shorthand within the crate.
pub(crate) type Result<T> = std::result::Result<T, ImageError>;
