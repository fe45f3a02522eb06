//! The packet socket: ARP of every link comes in, with the link it came by; frames go out by the link they name.
//!
//! One socket for all links, so that a link that comes or goes needs nothing here. The only unsafe code of the crate.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use libc::{c_int, c_void, sock_filter, sock_fprog, sockaddr_ll, socklen_t};
use tokio::io::unix::AsyncFd;

use crate::Error;
use crate::arp::{Hardware, LENGTH};

/// The Ethernet protocol, in network order as the kernel wants it.
const ARP: u16 = (libc::ETH_P_ARP as u16).to_be();

/// Bytes that arrived, and the number of the link they arrived by.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub link: u32,
    pub bytes: [u8; LENGTH],
    pub length: usize,
}

/// The open socket.
pub struct Socket(AsyncFd<OwnedFd>);

impl Socket {
    /// A socket in the calling thread's network namespace that hears nothing until it gets another `program`.
    pub fn open(program: &[sock_filter]) -> Result<Self, Error> {
        let failed = |operation| move |source| Error::Socket { operation, source };
        let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: plain numbers. Without a protocol nothing is queued before the filter is there.
        let descriptor = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        check(descriptor).map_err(failed("open"))?;
        // SAFETY: just opened, and nobody else's.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        attach(&descriptor, program).map_err(failed("filter"))?;
        let everywhere = address(0, [0; 6]);
        // SAFETY: the address is of the size that is said.
        let bound =
            unsafe { libc::bind(descriptor.as_raw_fd(), (&raw const everywhere).cast(), size_of_address()) };
        check(bound).map_err(failed("bind"))?;
        // SAFETY: the descriptor is owned, stays the same and is open until it is dropped with its registration.
        let registered = unsafe { AsyncFd::register(descriptor) };
        registered.map(Self).map_err(|error| failed("watch")(error.into()))
    }

    /// Hears what `program` lets through from now on.
    pub fn filter(&self, program: &[sock_filter]) -> Result<(), Error> {
        attach(self.0.get_ref(), program).map_err(|source| Error::Socket { operation: "filter", source })
    }

    /// The next packet that somebody else sent to this machine or to everybody.
    pub async fn receive(&self) -> io::Result<Arrival> {
        loop {
            let mut ready = self.0.readable().await?;
            if let Ok(outcome) = ready.try_io(|socket| receive(socket.get_ref())) {
                match outcome {
                    Ok(Some(arrival)) => return Ok(arrival),
                    Ok(None) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Sends one packet; never waits: what the link cannot take is lost, as on any link.
    pub fn send(&self, link: u32, to: Hardware, bytes: &[u8; LENGTH]) -> io::Result<()> {
        let address = address(link, to);
        let (start, flags) = (bytes.as_ptr().cast::<c_void>(), libc::MSG_DONTWAIT);
        // SAFETY: bytes and address outlive the call and have the sizes that are said.
        let sent = unsafe {
            let socket = self.0.as_raw_fd();
            libc::sendto(socket, start, LENGTH, flags, (&raw const address).cast(), size_of_address())
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

fn attach(socket: &OwnedFd, program: &[sock_filter]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    let size = size_of::<sock_fprog>() as socklen_t;
    let (level, option) = (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER);
    // SAFETY: the kernel copies the program, which has the length that is said, and writes nothing.
    let attached = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const program).cast::<c_void>(), size)
    };
    check(attached).map(drop)
}

/// `None` for what this machine sent itself or only overheard.
fn receive(socket: &OwnedFd) -> io::Result<Option<Arrival>> {
    let mut bytes = [0; LENGTH];
    let mut from = address(0, [0; 6]);
    let mut size = size_of_address();
    let start = bytes.as_mut_ptr().cast::<c_void>();
    // SAFETY: buffer and address outlive the call and have the sizes that are said; more is cut off by the kernel.
    let received = unsafe {
        libc::recvfrom(socket.as_raw_fd(), start, LENGTH, 0, (&raw mut from).cast(), &raw mut size)
    };
    let length = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    let for_us = [libc::PACKET_HOST, libc::PACKET_BROADCAST, libc::PACKET_MULTICAST];
    let link = u32::try_from(from.sll_ifindex).ok().filter(|_| for_us.contains(&from.sll_pkttype));
    Ok(link.map(|link| Arrival { link, bytes, length }))
}

fn address(link: u32, to: Hardware) -> sockaddr_ll {
    let mut sll_addr = [0; 8];
    sll_addr[..6].copy_from_slice(&to);
    sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: ARP,
        sll_ifindex: link as c_int,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr,
    }
}

fn size_of_address() -> socklen_t {
    size_of::<sockaddr_ll>() as socklen_t
}

fn check(answer: c_int) -> io::Result<c_int> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}
