//! A running exec or attach, seen from kelson: its streams, and the control beside them.
//!
//! The streams are the process's own pipes or its terminal: their bytes do not pass through the shim.
//! Dropping a session closes them and leaves the process alone.

use crate::client::Connection;
use crate::error::Error;
use crate::fd_stream::FdStream;
use crate::protocol::{Reply, Request};
use std::os::fd::{AsRawFd, OwnedFd};

/// The streams that were asked for. With a tty, `stdin` and `stdout` are the terminal and `stderr` is absent.
pub struct Session {
    /// Drop it to let the process read end of file (a terminal has no such thing).
    pub stdin: Option<FdStream>,
    pub stdout: Option<FdStream>,
    pub stderr: Option<FdStream>,
    pub control: Control,
}

/// What can be asked of the process while its streams are elsewhere.
pub struct Control {
    pub(crate) connection: Connection,
    pub(crate) terminal: Option<OwnedFd>,
    pub(crate) pid: i32,
}

impl Session {
    /// See [`Control::resize`].
    pub fn resize(&self, columns: u16, rows: u16) -> std::io::Result<()> {
        self.control.resize(columns, rows)
    }

    /// See [`Control::wait`].
    pub async fn wait(&mut self) -> Result<i32, Error> {
        self.control.wait().await
    }
}

impl Control {
    /// Tells the terminal its size; nothing happens without a terminal.
    pub fn resize(&self, columns: u16, rows: u16) -> std::io::Result<()> {
        let Some(terminal) = &self.terminal else { return Ok(()) };
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: TIOCSWINSZ reads one winsize, which outlives the call.
        match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    }

    /// Waits for the end: the exec'd process's exit code, or for an attach the container's (128 + signal when killed).
    /// Output may still be in the pipes: read them to their end too. Cancel-safe.
    pub async fn wait(&mut self) -> Result<i32, Error> {
        loop {
            if let Reply::Ended { code } = self.connection.answer().await? {
                return Ok(code);
            }
        }
    }

    /// Signals the exec'd process; ignored once it ended.
    pub async fn kill(&mut self, signal: i32) -> Result<(), Error> {
        self.connection.send(&Request::Kill { signal }, Vec::new()).await
    }

    /// In kelson's pid namespace.
    pub fn pid(&self) -> i32 {
        self.pid
    }
}
