//! What can go wrong on the way into the kernel, with the likely cause.

use std::io;
use std::path::PathBuf;

/// A failure to translate at connect(); nftables goes on alone.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory, among them the bpffs and the control group.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The kernel refused the programs or their maps, or has no such thing.
    #[error(
        "the kernel does not load the programs: it takes Linux 5.11 or later with BPF, CAP_BPF and CAP_NET_ADMIN"
    )]
    Load(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The kernel does not attach a program.
    #[error("the kernel does not attach the program for {hook}()")]
    Attach {
        /// The system call it would serve.
        hook: &'static str,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A Service port cannot be changed, nor taken out.
    #[error("the kernel does not let go of an entry of the map {map}")]
    Map {
        /// Which map.
        map: &'static str,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    pub(crate) fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }

    pub(crate) fn load(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Load(Box::new(source))
    }
}
