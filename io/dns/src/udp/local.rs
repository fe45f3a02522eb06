//! The address a query was sent to, for sockets that listen on all of them: the reply must leave from that one, or the
//! client takes it for a stranger's. The kernel tells it beside the datagram and takes it back with the reply.
//!
//! Without a wildcard nothing is asked and nothing is said.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};

use super::{length_of, set_option, to_raw};

/// Bytes for the kernel's message; the larger of the two it sends takes 40.
const ROOM: usize = 64;

/// Where the message's content begins: after its length, level and type.
const CONTENT: usize = size_of::<libc::cmsghdr>();

/// The kernel's message about one datagram; empty when it said nothing.
#[derive(Clone, Copy, Debug)]
#[repr(align(8))]
pub(crate) struct Local {
    bytes: [u8; ROOM],
    length: usize,
}

/// Asks the kernel to tell where datagrams were sent to.
pub(super) fn ask(socket: &OwnedFd, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
        }
        _ => Ok(()),
    }
}

impl Local {
    /// Nothing said.
    pub fn nothing() -> Self {
        Self { bytes: [0; ROOM], length: 0 }
    }

    /// Has the kernel write here when it receives into `header`.
    pub(super) fn receive(&mut self, header: &mut libc::msghdr) {
        header.msg_control = self.bytes.as_mut_ptr().cast();
        header.msg_controllen = ROOM as _;
    }

    /// Takes what it wrote. Which link the query came by is forgotten: the reply may leave by another.
    pub(super) fn received(&mut self, header: &libc::msghdr) {
        #[allow(clippy::unnecessary_cast, reason = "its type differs between C libraries")]
        let length = header.msg_controllen as usize;
        self.length = length.min(ROOM);
        if self.length == 0 {
            return;
        }
        let level = self.word(CONTENT - 8);
        let link = if level == libc::IPPROTO_IPV6 { CONTENT + 16 } else { CONTENT };
        self.bytes[link..link + 4].fill(0);
    }

    /// Says to the kernel what it told.
    pub(super) fn send(&mut self, header: &mut libc::msghdr) {
        if self.length > 0 {
            header.msg_control = self.bytes.as_mut_ptr().cast();
            header.msg_controllen = self.length as _;
        }
    }

    fn word(&self, at: usize) -> i32 {
        let bytes = &self.bytes[at..at + 4];
        i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }
}

/// Sends one reply from where its query was sent to.
pub(super) fn send_one(
    socket: &UdpSocket,
    reply: &[u8],
    peer: SocketAddr,
    mut local: Local,
) -> io::Result<()> {
    let (mut raw, _) = to_raw(peer);
    let mut vector = libc::iovec { iov_base: reply.as_ptr().cast_mut().cast(), iov_len: reply.len() };
    // SAFETY: a plain C structure for which all zeroes is a valid value.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_namelen = length_of(&raw);
    header.msg_name = (&raw mut raw).cast();
    local.send(&mut header);
    // SAFETY: the header points at one vector, one buffer, one address and one message that outlive the call, with their
    // lengths; the kernel only reads them.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
