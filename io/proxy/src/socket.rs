//! One netlink socket to netfilter: a batch with its verdict, and dumps.
//!
//! It stays open: when such a socket closes, the kernel waits for everything deleted so far to be freed, 10 to 30 ms;
//! with the socket open that happens aside, and a batch costs microseconds.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::Error;
use crate::attributes::{Message, Messages};

/// Room for one answer of the kernel; dumps come in pieces of at most this size.
const READ_BYTES: usize = 256 * 1024;
/// How long the kernel may take to say more of a dump.
const PATIENCE_S: i64 = 10;
/// The most messages one dump may have; more means a kernel that never ends one.
const DUMP_MESSAGES: usize = 4_000_000;

const ERROR: u16 = 2;
const DONE: u16 = 3;

/// What the kernel said of one message: its sequence number, and 0 or a positive error number.
pub(crate) struct Answer {
    pub sequence: u32,
    pub error: i32,
}

/// The socket, bound to the network namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl Socket {
    pub fn open() -> Result<Self, Error> {
        // SAFETY: socket(2) takes no pointers; the result is checked before it is owned.
        let fd = unsafe {
            libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_NETFILTER)
        };
        if fd < 0 {
            return Err(Error::Open(io::Error::last_os_error()));
        }
        // SAFETY: the descriptor is new and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let socket = Self { fd, buffer: vec![0; READ_BYTES] };
        let patience = libc::timeval { tv_sec: PATIENCE_S, tv_usec: 0 };
        socket.option(libc::SOL_SOCKET, libc::SO_RCVTIMEO, &patience).map_err(Error::Open)?;
        // Errors come without a copy of what they complain about; old kernels that cannot are no worse.
        let _ = socket.option(libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, &1i32);
        Ok(socket)
    }

    /// Sends `bytes` whole and returns what the kernel answered while it did.
    pub fn transact(&mut self, bytes: &[u8]) -> Result<Vec<Answer>, Error> {
        self.make_room(bytes.len());
        self.drain()?;
        self.send(bytes)?;
        let mut answers = Vec::new();
        while let Some(length) = self.receive(libc::MSG_DONTWAIT).map_err(Error::Receive)? {
            let read = Messages(&self.buffer[..length]).filter(|m| m.kind == ERROR);
            answers.extend(read.map(|m| Answer { sequence: m.sequence, error: error_of(&m) }));
        }
        Ok(answers)
    }

    /// Sends a dump request and hands every message of the answer to `each`.
    pub fn dump(&mut self, bytes: &[u8], mut each: impl FnMut(&Message)) -> Result<(), Error> {
        self.drain()?;
        self.send(bytes)?;
        for _ in 0..DUMP_MESSAGES {
            let Some(length) = self.receive(0).map_err(Error::Receive)? else {
                return Err(Error::Receive(io::ErrorKind::TimedOut.into()));
            };
            for message in Messages(&self.buffer[..length]) {
                match message.kind {
                    DONE => return Ok(()),
                    ERROR => return Err(Error::Receive(io::Error::from_raw_os_error(error_of(&message)))),
                    _ => each(&message),
                }
            }
        }
        Err(Error::Receive(io::ErrorKind::InvalidData.into()))
    }

    /// Discards what an earlier, interrupted exchange left behind.
    fn drain(&mut self) -> Result<(), Error> {
        while self.receive(libc::MSG_DONTWAIT).map_err(Error::Receive)?.is_some() {}
        Ok(())
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        // SAFETY: the pointer and length are those of a live slice, which send(2) only reads.
        let sent = unsafe { libc::send(self.fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        if sent < 0 {
            return Err(Error::Send { bytes: bytes.len(), source: io::Error::last_os_error() });
        }
        Ok(())
    }

    /// Reads once into the buffer; `None` when there is nothing (more) to read.
    fn receive(&mut self, flags: i32) -> io::Result<Option<usize>> {
        loop {
            // SAFETY: the pointer and length are those of the live buffer, which recv(2) writes within.
            let read = unsafe {
                libc::recv(self.fd.as_raw_fd(), self.buffer.as_mut_ptr().cast(), self.buffer.len(), flags)
            };
            if let Ok(length) = usize::try_from(read) {
                return Ok((length > 0).then_some(length));
            }
            match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            }
        }
    }

    /// Buffers that hold a batch of `bytes`, and an error for every message of it. Without the right to force them the
    /// kernel takes as much as it allows, and a batch too large fails with a clear error.
    fn make_room(&self, bytes: usize) {
        let room = i32::try_from(bytes.saturating_mul(2)).unwrap_or(i32::MAX / 2).max(1 << 20);
        for (force, ask) in [(libc::SO_SNDBUFFORCE, libc::SO_SNDBUF), (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF)]
        {
            if self.option(libc::SOL_SOCKET, force, &room).is_err() {
                let _ = self.option(libc::SOL_SOCKET, ask, &room);
            }
        }
    }

    fn option<T>(&self, level: i32, name: i32, value: &T) -> io::Result<()> {
        let length = libc::socklen_t::try_from(size_of::<T>()).expect("options are small");
        // SAFETY: the pointer and length are those of `value`, a plain C value that setsockopt(2) only reads.
        let result = unsafe {
            libc::setsockopt(self.fd.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), length)
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// The positive error number of an error message, 0 for an acknowledgement.
fn error_of(message: &Message) -> i32 {
    message.body.first_chunk().map_or(libc::EPROTO, |bytes| i32::from_ne_bytes(*bytes).saturating_neg())
}
