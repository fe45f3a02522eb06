//! Why an image could not be had. Registry errors read as containerd words them, because kubectl shows them to users.

use std::path::PathBuf;

/// An error of this crate; the source says the rest.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The name is no image reference.
    #[error("failed to parse image reference {name:?}: {reason}")]
    Name { name: String, reason: String },
    /// A file of the store or of an import could not be used.
    #[error("failed to {operation} {}", path.display())]
    File { operation: &'static str, path: PathBuf, source: std::io::Error },
    /// The archive is not what it seems.
    #[error("{}: {reason}", path.display())]
    Archive { path: PathBuf, reason: String },
    /// A layer contains something it must not, or is damaged.
    #[error("layer {layer}: {reason}")]
    Layer { layer: String, reason: String },
    /// What arrived is not what its digest promised.
    #[error("{what} has digest {found}, expected {expected}: it was damaged or changed on the way")]
    Digest { what: String, found: String, expected: String },
    /// The registry has no such image.
    #[error(
        "failed to pull and unpack image {image:?}: failed to resolve reference {image:?}: {image}: not found"
    )]
    NotFound { image: String },
    /// The registry could not be asked, or refused.
    #[error("failed to pull and unpack image {image:?}: {operation}")]
    Registry { image: String, operation: String, source: Box<oci_client::errors::OciDistributionError> },
    /// The kernel would not mount the layers.
    #[error("failed to mount the root at {}: overlayfs is needed", path.display())]
    Mount { path: PathBuf, source: std::io::Error },
}

/// Puts the operation and the path to an I/O error.
pub(crate) fn file<'a>(
    operation: &'static str,
    path: &'a std::path::Path,
) -> impl FnOnce(std::io::Error) -> ImageError + 'a {
    move |source| ImageError::File { operation, path: path.to_owned(), source }
}
