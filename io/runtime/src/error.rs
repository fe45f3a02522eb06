//! What can go wrong between the agent and a pod's shim.

use std::path::PathBuf;

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("invalid {field}: {reason}")]
    Invalid { field: &'static str, reason: String },
    #[error("could not {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("could not start the shim of pod {uid}: {reason}")]
    Shim { uid: String, reason: String },
    #[error("the shim of pod {uid} is gone; its containers have ended")]
    Gone { uid: String },
    #[error("lost the connection to the shim of pod {uid}")]
    Connection {
        uid: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the shim of pod {uid} has not answered within {seconds} s")]
    Silent { uid: String, seconds: u64 },
    #[error("the shim of pod {uid} speaks protocol {theirs}, this kelson {ours}")]
    Protocol { uid: String, theirs: u32, ours: u32 },
    /// The shim's own words: a container that cannot be started, a wrong id.
    #[error("{0}")]
    Refused(String),
    #[error("container {0} not found")]
    NotFound(String),
}

impl Error {
    /// True when there is nothing (left) to act on.
    pub fn is_gone(&self) -> bool {
        matches!(self, Error::Gone { .. } | Error::NotFound(_))
    }
}

/// Adds what was attempted to an I/O error.
pub(crate) trait During<T> {
    fn during(self, action: &'static str, path: &std::path::Path) -> Result<T, Error>;
}

impl<T> During<T> for std::io::Result<T> {
    fn during(self, action: &'static str, path: &std::path::Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io { action, path: path.to_owned(), source })
    }
}
