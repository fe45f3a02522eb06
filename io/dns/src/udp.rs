//! UDP: a thread and a socket a core; a batch of queries a system call, a batch of replies a system call.
//!
//! The kernel spreads clients over the sockets (SO_REUSEPORT). Threads block in the kernel; shutting the socket down wakes
//! them. What others must be asked about leaves the thread at once, for a task, at most [`PENDING_MAX`] at a time; beyond
//! that clients try again. Nothing is allocated for a query answered from the zone.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use kelson_process::Shutdown;
use kelson_zones::{Transport, UDP_REPLY_MAX, Zone};
use tokio::sync::{Semaphore, watch};

use crate::forward::Forwarder;
use crate::metrics::Shard;
use crate::serve::{Pending, Served, finish, serve};

mod local;

use local::Local;

/// Queries taken from the kernel at once.
const BATCH: usize = 64;

/// Longest query taken, in bytes; longer ones are cut and so refused.
const QUERY_MAX: usize = 1500;

/// Bytes of queries the kernel keeps while a thread is busy.
const RECEIVE_BUFFER: i32 = 4 << 20;

/// Most queries of all clients waiting for others.
pub(crate) const PENDING_MAX: usize = 4096;

/// What a thread needs to serve its socket.
pub(crate) struct Worker {
    pub socket: Arc<UdpSocket>,
    pub zone: watch::Receiver<Arc<Zone>>,
    pub forwarder: Arc<Forwarder>,
    pub pending: Arc<Semaphore>,
    pub shard: Arc<Shard>,
    pub runtime: tokio::runtime::Handle,
    pub shutdown: Shutdown,
}

/// `count` sockets bound to `address`, which share its queries among them and with nobody else.
///
/// The first is bound alone and shared afterwards: bound as one to be shared it would also join sockets that somebody
/// else of this user left open, and lose queries to them.
pub(crate) fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<UdpSocket>> {
    (0..count.max(1)).map(|number| bind_one(address, number == 0)).collect()
}

fn bind_one(address: SocketAddr, is_first: bool) -> io::Result<UdpSocket> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: no pointers; the descriptor is checked before it is owned.
    let fd = unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let share = || set_option(&socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1);
    if !is_first {
        share()?;
    }
    if set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER).is_err() {
        set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, RECEIVE_BUFFER)?;
    }
    if address.is_ipv6() {
        set_option(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
    }
    local::ask(&socket, address)?;
    let (raw, length) = to_raw(address);
    // SAFETY: `raw` is an initialised address of at least `length` bytes that outlives the call.
    let answer = unsafe { libc::bind(socket.as_raw_fd(), (&raw const raw).cast(), length) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    share()?;
    Ok(socket.into())
}

/// Ends the threads that wait on `socket`: they wake and see that it is over.
pub(crate) fn wake(socket: &UdpSocket) {
    // SAFETY: no pointers; an unconnected socket answers ENOTCONN and wakes its readers all the same.
    unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RD) };
}

impl Worker {
    /// Serves until shutdown, whatever a query does: a thread that died would leave its clients without replies.
    pub fn run(mut self) {
        while catch_unwind(AssertUnwindSafe(|| self.serve())).is_err() {
            tracing::error!("a DNS query made its thread panic; the thread goes on without that batch");
            self.shard.panicked();
        }
    }

    fn serve(&mut self) {
        let mut queries = vec![[0_u8; QUERY_MAX]; BATCH];
        let mut replies = vec![[0_u8; UDP_REPLY_MAX]; BATCH];
        let mut peers = Peers::new();
        let mut random = kelson_process::random_u64() | 1;
        let mut zone = self.zone.borrow_and_update().clone();
        while !self.shutdown.is_cancelled() {
            let lengths = match receive(&self.socket, &mut queries, &mut peers) {
                Ok(lengths) => lengths,
                Err(error) => {
                    tracing::debug!(%error, "receiving queries");
                    continue;
                }
            };
            let began = Instant::now();
            if self.zone.has_changed().unwrap_or(false) {
                zone = self.zone.borrow_and_update().clone();
            }
            let mut outgoing = Outgoing::default();
            for (number, &length) in lengths.as_slice().iter().enumerate() {
                random = next_random(random);
                let packet = &queries[number][..length];
                let out = &mut replies[outgoing.count];
                match serve(&zone, packet, Transport::Udp, random, out, &self.shard) {
                    Served::Reply(length) => outgoing.push(length, number),
                    Served::Pending(pending) => {
                        self.later(packet, peers.address(number), peers.local(number), pending)
                    }
                    Served::Nothing => {}
                }
            }
            send(&self.socket, &mut replies, &mut peers, &outgoing);
            let share = began.elapsed() / u32::try_from(lengths.count.max(1)).unwrap_or(1);
            self.shard.took(true, share, outgoing.count as u64);
        }
    }

    /// Asks others in a task that sends the reply; drops the query when too many wait already.
    fn later(&self, packet: &[u8], peer: Option<SocketAddr>, local: Local, pending: Pending) {
        let (Some(peer), Ok(permit)) = (peer, self.pending.clone().try_acquire_owned()) else { return };
        let (packet, forwarder) = (packet.to_vec(), self.forwarder.clone());
        let (socket, shard) = (self.socket.clone(), self.shard.clone());
        drop(self.runtime.spawn(async move {
            let reply = finish(&forwarder, &packet, pending, Transport::Udp, &shard).await;
            if let Err(error) = local::send_one(&socket, &reply, peer, local) {
                tracing::debug!(%peer, %error, "sending a reply");
            }
            drop(permit);
        }));
    }
}

/// A step of xorshift: to spread answers, not to hide anything.
fn next_random(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^ (state << 17)
}

/// The clients of a batch, as the kernel writes addresses, and which of ours each asked.
struct Peers {
    addresses: Vec<libc::sockaddr_storage>,
    locals: Vec<Local>,
}

impl Peers {
    fn new() -> Self {
        // SAFETY: `sockaddr_storage` is plain data for which all zeroes is a valid value.
        let addresses = vec![unsafe { std::mem::zeroed() }; BATCH];
        Self { addresses, locals: vec![Local::nothing(); BATCH] }
    }

    fn address(&self, number: usize) -> Option<SocketAddr> {
        from_raw(self.addresses.get(number)?)
    }

    fn local(&self, number: usize) -> Local {
        self.locals.get(number).copied().unwrap_or_else(Local::nothing)
    }
}

/// Lengths of the queries received.
struct Lengths {
    lengths: [usize; BATCH],
    count: usize,
}

impl Lengths {
    fn as_slice(&self) -> &[usize] {
        &self.lengths[..self.count]
    }
}

/// Replies to be sent: their lengths and whose query each answers.
#[derive(Debug)]
struct Outgoing {
    replies: [(usize, usize); BATCH],
    count: usize,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self { replies: [(0, 0); BATCH], count: 0 }
    }
}

impl Outgoing {
    fn push(&mut self, length: usize, number: usize) {
        self.replies[self.count] = (length, number);
        self.count += 1;
    }
}

/// Waits for one query and takes what else is there.
fn receive(socket: &UdpSocket, queries: &mut [[u8; QUERY_MAX]], peers: &mut Peers) -> io::Result<Lengths> {
    // SAFETY: both are plain C structures for which all zeroes is a valid value.
    let (mut vectors, mut headers): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    for (number, query) in queries.iter_mut().enumerate().take(BATCH) {
        vectors[number] = libc::iovec { iov_base: query.as_mut_ptr().cast(), iov_len: query.len() };
        let header = &mut headers[number].msg_hdr;
        header.msg_iov = &raw mut vectors[number];
        header.msg_iovlen = 1;
        header.msg_name = (&raw mut peers.addresses[number]).cast();
        header.msg_namelen = ADDRESS_LENGTH;
        peers.locals[number].receive(header);
    }
    // SAFETY: every header points at one vector, one buffer and one address that outlive the call, with their lengths.
    let count = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            BATCH as u32,
            libc::MSG_WAITFORONE,
            std::ptr::null_mut(),
        )
    };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    let mut lengths = [0; BATCH];
    for ((length, local), header) in lengths.iter_mut().zip(&mut peers.locals).zip(&headers).take(count) {
        *length = (header.msg_len as usize).min(QUERY_MAX);
        local.received(&header.msg_hdr);
    }
    Ok(Lengths { lengths, count: count.min(BATCH) })
}

/// Sends all replies; what the kernel refuses to take is lost, as datagrams are.
fn send(socket: &UdpSocket, replies: &mut [[u8; UDP_REPLY_MAX]], peers: &mut Peers, outgoing: &Outgoing) {
    // SAFETY: both are plain C structures for which all zeroes is a valid value.
    let (mut vectors, mut headers): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    for (index, (length, number)) in outgoing.replies[..outgoing.count].iter().enumerate() {
        vectors[index] = libc::iovec { iov_base: replies[index].as_mut_ptr().cast(), iov_len: *length };
        let peer = &mut peers.addresses[*number];
        let header = &mut headers[index].msg_hdr;
        header.msg_iov = &raw mut vectors[index];
        header.msg_iovlen = 1;
        header.msg_namelen = length_of(peer);
        header.msg_name = (peer as *mut libc::sockaddr_storage).cast();
        peers.locals[*number].send(header);
    }
    let mut sent = 0;
    while sent < outgoing.count {
        let rest = &mut headers[sent..outgoing.count];
        // SAFETY: as above; `rest` holds as many headers as its length says.
        let answer = unsafe {
            libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as u32, libc::MSG_DONTWAIT)
        };
        // The first one left is the one that failed: a client that is gone must not cost the others their replies.
        sent += usize::try_from(answer).unwrap_or(0).max(1);
    }
}

/// Bytes of an address buffer.
const ADDRESS_LENGTH: libc::socklen_t = size_of::<libc::sockaddr_storage>() as libc::socklen_t;

fn length_of(raw: &libc::sockaddr_storage) -> libc::socklen_t {
    let length = match i32::from(raw.ss_family) {
        libc::AF_INET => size_of::<libc::sockaddr_in>(),
        _ => size_of::<libc::sockaddr_in6>(),
    };
    libc::socklen_t::try_from(length).unwrap_or(ADDRESS_LENGTH)
}

fn from_raw(raw: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(raw.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says what the kernel wrote, and the storage is large enough for it.
            let v4 = unsafe { &*(raw as *const libc::sockaddr_storage).cast::<libc::sockaddr_in>() };
            let address = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some((address, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*(raw as *const libc::sockaddr_storage).cast::<libc::sockaddr_in6>() };
            let address = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(std::net::SocketAddrV6::new(address, port, 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn to_raw(address: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: plain data for which all zeroes is a valid value.
    let mut raw: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    match address {
        SocketAddr::V4(v4) => {
            // SAFETY: the storage is large enough and aligned for every kind of address.
            let to = unsafe { &mut *(&raw mut raw).cast::<libc::sockaddr_in>() };
            to.sin_family = libc::AF_INET as libc::sa_family_t;
            to.sin_port = v4.port().to_be();
            to.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
        }
        SocketAddr::V6(v6) => {
            // SAFETY: as above.
            let to = unsafe { &mut *(&raw mut raw).cast::<libc::sockaddr_in6>() };
            to.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            to.sin6_port = v6.port().to_be();
            to.sin6_addr.s6_addr = v6.ip().octets();
            to.sin6_scope_id = v6.scope_id();
        }
    }
    let length = length_of(&raw);
    (raw, length)
}

fn set_option(socket: &OwnedFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(4);
    // SAFETY: the value outlives the call, and its length is given.
    let answer =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), length) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
