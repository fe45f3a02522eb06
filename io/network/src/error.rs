//! What can go wrong with the pod network, each with the object it happened to and what to do about it.

use std::io;
use std::path::PathBuf;

/// A failed operation of the pod network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// A field of the configuration cannot be used.
    #[error("{field} {value:?} cannot be used: {reason}")]
    Config {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// Why not.
        reason: &'static str,
    },
    /// A netlink socket could not be had.
    #[error("cannot open a netlink socket (root and CAP_NET_ADMIN are needed)")]
    Socket(#[source] io::Error),
    /// The kernel refused a request.
    #[error("cannot {operation} {object}")]
    Netlink {
        /// What was tried.
        operation: &'static str,
        /// On what.
        object: String,
        /// The kernel's answer.
        #[source]
        source: rtnetlink::Error,
    },
    /// A link that must be there is not.
    #[error("link {0} is gone; somebody else deleted it")]
    LinkGone(String),
    /// Something that is not a bridge bears the bridge's name.
    #[error("link {0} exists and is no bridge; delete it or choose another bridge name")]
    NotABridge(String),
    /// A kernel setting could not be read or written.
    #[error("cannot set {key} to {value} (is /proc/sys writable?)")]
    Sysctl {
        /// The setting, as `sysctl` spells it.
        key: String,
        /// The value it should have.
        value: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A network namespace could not be made, entered or removed.
    #[error("cannot {operation} network namespace {}", path.display())]
    Namespace {
        /// What was tried.
        operation: &'static str,
        /// The file the namespace is bound to.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file of leases could not be read or written.
    #[error("cannot {operation} pod address leases {}", path.display())]
    LeaseFile {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The files of leases hold something else.
    #[error("pod address leases {} are damaged: {reason}; run `kelson down` and start again", path.display())]
    LeaseFileDamaged {
        /// Where they are.
        path: PathBuf,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// The leases belong to another pod range.
    #[error("{held} pods hold addresses of {old}, but the pod range is now {new}; run `kelson down` first")]
    RangeChanged {
        /// Pods that hold an address.
        held: usize,
        /// The range they were made for.
        old: String,
        /// The range asked for.
        new: String,
    },
    /// Every address of the range is held.
    #[error("all {held} addresses of {range} are held by pods; choose a larger --cluster-cidr")]
    Exhausted {
        /// The range.
        range: String,
        /// Addresses held.
        held: usize,
    },
}

/// Adds what was tried on what to an answer of the kernel.
pub(crate) trait Tried<T> {
    /// The error, with `operation` and `object`.
    fn tried(self, operation: &'static str, object: impl ToString) -> Result<T, NetworkError>;
}

impl<T> Tried<T> for Result<T, rtnetlink::Error> {
    fn tried(self, operation: &'static str, object: impl ToString) -> Result<T, NetworkError> {
        self.map_err(|source| NetworkError::Netlink { operation, object: object.to_string(), source })
    }
}

/// The positive errno of a kernel's answer, if it is one.
pub(crate) fn errno(error: &rtnetlink::Error) -> Option<i32> {
    match error {
        rtnetlink::Error::NetlinkError(message) => Some(message.raw_code().abs()),
        _ => None,
    }
}

/// Makes an answer that says the thing is already so a success.
pub(crate) fn unless(code: i32, answer: Result<(), rtnetlink::Error>) -> Result<(), rtnetlink::Error> {
    match answer {
        Err(error) if errno(&error) == Some(code) => Ok(()),
        other => other,
    }
}
