//! The streaming part of the kubelet API: logs, exec, attach, port-forward.
//!
//! The API server hands requests over as the user sent them, upgrade included. Here the bytes between the user and the
//! container are framed; which container, and whether it may be reached, is the [`StreamBackend`]'s to say.
//! Never done here: authorization, looking objects up.

mod channels;
mod cri_log;
mod file_changes;
mod forward;
pub mod fuzz;
mod log_options;
mod log_reader;
mod remote;
mod remote_spdy;
mod routes;
mod spdy;
mod tunnel;

pub use routes::router;

use kelson_machinery::status::{Reason, Status};
use kelson_runtime::{AttachConfig, ExecConfig, Session};
use std::path::PathBuf;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// A boxed future of a backend.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StreamError>> + Send + 'a>>;

/// A connection to a pod's port.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Which container is meant. `container` is empty when the request names none (port-forward).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub namespace: String,
    pub pod: String,
    pub container: String,
}

/// A container's log.
pub struct Log {
    /// The current CRI log file; its rotated predecessor is `<path>.1`. It may not exist: an empty log.
    pub path: PathBuf,
    /// False once the container has ended: following stops at the end of the file. A closed channel counts as false.
    pub running: watch::Receiver<bool>,
}

/// A refusal: the HTTP status code and upstream's words, which become a `Status`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StreamError {
    pub code: u16,
    pub message: String,
}

impl StreamError {
    /// The request cannot be served as it stands (400).
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self { code: 400, message: message.into() }
    }

    /// No such pod or container (404).
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { code: 404, message: message.into() }
    }

    /// The container engine failed (500). For exec and attach the user hears it over the upgraded connection.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { code: 500, message: message.into() }
    }

    fn status(&self) -> Status {
        match self.code {
            400 => Status::bad_request(self.message.clone()),
            404 => Status::new(404, Reason::NotFound, self.message.clone()),
            503 => Status::service_unavailable(self.message.clone()),
            _ => Status::internal(&self.message),
        }
    }
}

/// What the agent knows and the streams need.
pub trait StreamBackend: Send + Sync + 'static {
    /// The log of a container, or of the attempt before its current one. Refusals in upstream's words, such as
    /// `container "c" in pod "p" is waiting to start: ContainerCreating` (400).
    fn log<'a>(&'a self, target: &'a Target, previous: bool) -> Answer<'a, Log>;

    /// Starts a process in a running container. A command that cannot be executed is [`StreamError::internal`] with
    /// the runtime's words.
    fn exec<'a>(&'a self, target: &'a Target, exec: &'a ExecConfig) -> Answer<'a, Session>;

    /// Joins a running container's first process.
    fn attach<'a>(&'a self, target: &'a Target, attach: &'a AttachConfig) -> Answer<'a, Session>;

    /// Connects to a port on the loopback address of the pod's network namespace.
    fn dial<'a>(&'a self, target: &'a Target, port: u16) -> Answer<'a, Box<dyn Duplex>>;
}
