//! Frames over a unix stream socket: a length, JSON, and file descriptors beside them.
//!
//! No call here blocks; both the shim's poll loop and kelson's async side drive the same two buffers. A frame over
//! [`FRAME_MAX`] or more than [`DESCRIPTORS_MAX`] waiting descriptors end the connection: nothing is ever half read.

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The longest frame: a container's configuration with the largest environment the kernel executes (2 MiB) fits.
pub const FRAME_MAX: usize = 4 << 20;
/// Descriptors received and not yet claimed by a frame's reader.
pub const DESCRIPTORS_MAX: usize = 8;
const HEADER: usize = 4;

/// Frames on their way out.
#[derive(Default)]
pub struct Outbox {
    frames: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
    sent: usize,
}

impl Outbox {
    /// Queues one message; `fds` travel with its first byte.
    pub fn push(&mut self, message: &impl Serialize, fds: Vec<OwnedFd>) -> io::Result<()> {
        let mut frame = vec![0; HEADER];
        serde_json::to_writer(&mut frame, message)?;
        let length = frame.len() - HEADER;
        if length > FRAME_MAX {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!("a message of {length} bytes is too long"),
            ));
        }
        frame[..HEADER].copy_from_slice(&(length as u32).to_be_bytes());
        self.frames.push_back((frame, fds));
        Ok(())
    }

    /// How many frames wait.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Sends what the socket takes now. True when nothing is left.
    pub fn flush(&mut self, socket: BorrowedFd<'_>) -> io::Result<bool> {
        while let Some((frame, fds)) = self.frames.front_mut() {
            match send(socket, &frame[self.sent..], fds) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            fds.clear();
            if self.sent == frame.len() {
                self.frames.pop_front();
                self.sent = 0;
            }
        }
        Ok(true)
    }
}

fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[OwnedFd]) -> io::Result<usize> {
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    Ok(sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], control, flags, None)?)
}

/// Bytes and descriptors that came in.
#[derive(Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    fds: VecDeque<OwnedFd>,
}

impl Inbox {
    /// Reads what is there now; 0 bytes mean the peer closed.
    pub fn fill(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let mut chunk = [0u8; 16 << 10];
        let mut space = nix::cmsg_space!([RawFd; DESCRIPTORS_MAX]);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let mut parts = [IoSliceMut::new(&mut chunk)];
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
        let count = message.bytes;
        let received: Vec<RawFd> = message.cmsgs()?.flat_map(rights).collect();
        // SAFETY: the kernel just made these descriptors for us; nobody else owns them.
        self.fds.extend(received.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        if self.fds.len() > DESCRIPTORS_MAX {
            return Err(io::Error::new(ErrorKind::InvalidData, "too many descriptors"));
        }
        self.bytes.extend_from_slice(&chunk[..count]);
        Ok(count)
    }

    /// The next whole message, if it has arrived.
    pub fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some(header) = self.bytes.first_chunk::<HEADER>() else { return Ok(None) };
        let length = u32::from_be_bytes(*header) as usize;
        if length > FRAME_MAX {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                format!("a frame of {length} bytes is too long"),
            ));
        }
        let Some(body) = self.bytes.get(HEADER..HEADER + length) else { return Ok(None) };
        let message = serde_json::from_slice(body)?;
        self.bytes.drain(..HEADER + length);
        Ok(Some(message))
    }

    /// The descriptors received so far.
    pub fn take_fds(&mut self) -> Vec<OwnedFd> {
        self.fds.drain(..).collect()
    }
}

fn rights(message: ControlMessageOwned) -> Vec<RawFd> {
    match message {
        ControlMessageOwned::ScmRights(fds) => fds,
        _ => Vec::new(),
    }
}
