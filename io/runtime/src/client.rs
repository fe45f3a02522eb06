//! One connection to a shim, seen from kelson: greet, ask, be answered.

use crate::error::Error;
use crate::protocol::{Greeting, OLDEST, PROTOCOL, Reply, Request};
use crate::wire::{Inbox, Outbox};
use serde::de::DeserializeOwned;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// The shim's socket, inside the pod's directory.
pub(crate) const SOCKET: &str = "shim.sock";

/// A shim turns to everybody within milliseconds; one that does not greet by then hangs in the kernel or was stopped.
const GREETING_WAIT: Duration = Duration::from_secs(3);

/// How long one request may take, a container's start among them, as long as upstream gives its runtime. What goes on
/// after the answer (a session, its end) is not bounded here.
const ANSWER_WAIT: Duration = Duration::from_secs(120);

/// A greeted connection.
pub(crate) struct Connection {
    uid: String,
    stream: UnixStream,
    inbox: Inbox,
    /// What the shim speaks.
    pub protocol: u32,
}

impl Connection {
    /// `Error::Gone` when no shim listens there any more.
    pub async fn open(uid: &str, pod_dir: &Path) -> Result<Self, Error> {
        let stream = connect(pod_dir).await.map_err(|source| match source.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Error::Gone { uid: uid.into() },
            _ => Error::Connection { uid: uid.into(), source },
        })?;
        let mut connection = Self { uid: uid.into(), stream, inbox: Inbox::default(), protocol: 0 };
        let greeting: Greeting = match tokio::time::timeout(GREETING_WAIT, connection.receive()).await {
            Ok(greeting) => greeting?,
            Err(_) => return Err(connection.lost(ErrorKind::TimedOut.into())),
        };
        if !(OLDEST..=PROTOCOL).contains(&greeting.protocol) {
            return Err(Error::Protocol { uid: uid.into(), theirs: greeting.protocol, ours: PROTOCOL });
        }
        connection.protocol = greeting.protocol;
        Ok(connection)
    }

    /// Sends a request with its descriptors and waits for the first answer; a refusal is an error.
    pub async fn ask(&mut self, request: &Request, fds: Vec<OwnedFd>) -> Result<Reply, Error> {
        let asked = async {
            self.send(request, fds).await?;
            self.answer().await
        };
        match tokio::time::timeout(ANSWER_WAIT, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Silent { uid: self.uid.clone(), seconds: ANSWER_WAIT.as_secs() }),
        }
    }

    /// The next answer; a refusal is an error.
    pub async fn answer(&mut self) -> Result<Reply, Error> {
        match self.receive().await? {
            Reply::Failed { reason } => Err(Error::Refused(reason)),
            Reply::Unknown { id } => Err(Error::NotFound(id)),
            reply => Ok(reply),
        }
    }

    pub async fn send(&mut self, request: &Request, fds: Vec<OwnedFd>) -> Result<(), Error> {
        let mut outbox = Outbox::default();
        outbox.push(request, fds).map_err(|source| self.lost(source))?;
        loop {
            self.stream.writable().await.map_err(|source| self.lost(source))?;
            let flushed =
                self.stream.try_io(Interest::WRITABLE, || match outbox.flush(self.stream.as_fd())? {
                    true => Ok(()),
                    false => Err(ErrorKind::WouldBlock.into()),
                });
            match flushed {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(source) => return Err(self.lost(source)),
            }
        }
    }

    /// Descriptors that came with the answers so far.
    pub fn take_fds(&mut self) -> Vec<OwnedFd> {
        self.inbox.take_fds()
    }

    async fn receive<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        loop {
            if let Some(message) = self.inbox.next().map_err(|source| self.lost(source))? {
                return Ok(message);
            }
            self.stream.readable().await.map_err(|source| self.lost(source))?;
            let inbox = &mut self.inbox;
            match self.stream.try_io(Interest::READABLE, || inbox.fill(self.stream.as_fd())) {
                Ok(0) => return Err(self.lost(ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(source) => return Err(self.lost(source)),
            }
        }
    }

    /// A connection that breaks because the shim ended is told apart from one that merely failed.
    fn lost(&self, source: io::Error) -> Error {
        match source.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                Error::Gone { uid: self.uid.clone() }
            }
            _ => Error::Connection { uid: self.uid.clone(), source },
        }
    }
}

/// Connects through the directory's descriptor: a socket's address holds 107 bytes, a path may hold more.
async fn connect(pod_dir: &Path) -> io::Result<UnixStream> {
    let dir = std::fs::File::open(pod_dir)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd())).await
}
