//! Names outside the cluster: what an ExternalName that leads out of it leads to, by the node's name servers.
//!
//! Asked when a request needs it and kept as long as the answer says, within bounds; an answer that cannot be renewed goes
//! on to count, so that a name server's outage is not ours. Invariant: a name leads to this machine itself only where the
//! configuration says so, because whoever may write a Service could reach the node's own services by it otherwise.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};

use crate::balance::Balance;
use crate::config::{Config, NameServers};
use crate::upstream::Upstreams;

/// How long one name server may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Most bytes of an answer by UDP; longer ones come cut, and are asked for by TCP.
const UDP_ANSWER_MAX: usize = 4096;
/// Most name servers asked, one after the other.
const SERVERS_MAX: usize = 3;
/// Most addresses of one name.
const ADDRESSES_MAX: usize = 32;
/// The shortest and longest an answer is kept, whatever it says.
const KEPT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How long after a failure the next question waits.
const RETRY: Duration = Duration::from_secs(3);

/// Why a name leads nowhere.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum NameError {
    #[error("{0} is no domain name")]
    NoName(String),
    #[error("no name server is known; resolv.conf names none")]
    NoServer,
    #[error("no name server answered for {0}")]
    NoAnswer(String),
    #[error("{0} has no address")]
    NoAddress(String),
    #[error("{0} leads to this machine itself, which external names may not")]
    Local(String),
}

/// Asks name servers.
pub(crate) struct Resolver {
    servers: NameServers,
    local_names: bool,
}

/// The addresses of a name, and how long they may be kept.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    addresses: Vec<IpAddr>,
    ttl_seconds: u32,
}

impl Resolver {
    pub(crate) fn new(config: &Config) -> Self {
        Self { servers: config.name_servers.clone(), local_names: config.local_names }
    }

    async fn resolve(&self, name: &str) -> Result<Answer, NameError> {
        let parsed = Name::from_ascii(format!("{name}.")).map_err(|_| NameError::NoName(name.to_owned()))?;
        let servers = self.servers().await;
        let mut answer = self.ask(&servers, &parsed, RecordType::A).await?;
        if answer.addresses.is_empty() {
            answer = self.ask(&servers, &parsed, RecordType::AAAA).await?;
        }
        if answer.addresses.is_empty() {
            return Err(NameError::NoAddress(name.to_owned()));
        }
        answer.addresses.retain(|address| self.local_names || !is_local(*address));
        if answer.addresses.is_empty() {
            return Err(NameError::Local(name.to_owned()));
        }
        Ok(answer)
    }

    async fn servers(&self) -> Vec<SocketAddr> {
        let mut servers = match &self.servers {
            NameServers::Fixed(servers) => servers.clone(),
            NameServers::ResolvConf(path) => {
                name_servers(&tokio::fs::read_to_string(path).await.unwrap_or_default())
            }
        };
        servers.truncate(SERVERS_MAX);
        servers
    }

    async fn ask(&self, servers: &[SocketAddr], name: &Name, kind: RecordType) -> Result<Answer, NameError> {
        if servers.is_empty() {
            return Err(NameError::NoServer);
        }
        for server in servers {
            if let Some(answer) = ask_one(*server, name, kind).await {
                return Ok(answer);
            }
        }
        Err(NameError::NoAnswer(name.to_utf8()))
    }
}

/// The name servers of a `resolv.conf`; what is no address is skipped.
fn name_servers(text: &str) -> Vec<SocketAddr> {
    let values = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let addresses = values.filter_map(|value| value.trim().parse::<IpAddr>().ok());
    addresses.map(|address| SocketAddr::new(address, 53)).collect()
}

/// Addresses by which a machine reaches itself or its link alone, the cloud's metadata among them.
fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_unspecified()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
        }
        IpAddr::V6(v6) => {
            v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local() || v6.is_multicast()
        }
    }
}

/// What one server says; `None` when it says nothing that can be used, so that the next is asked.
async fn ask_one(server: SocketAddr, name: &Name, kind: RecordType) -> Option<Answer> {
    #[expect(clippy::cast_possible_truncation, reason = "a message id is 16 of the random bits")]
    let mut query = Message::new(kelson_process::random_u64() as u16, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(name.clone(), kind));
    let wire = query.to_vec().ok()?;
    let answer = timeout(ANSWER_TIMEOUT, by_udp(server, &wire, &query)).await.ok()??;
    let answer = match answer.metadata.truncation {
        true => timeout(ANSWER_TIMEOUT, by_tcp(server, &wire, &query)).await.ok()??,
        false => answer,
    };
    read(&answer, kind)
}

async fn by_udp(server: SocketAddr, wire: &[u8], query: &Message) -> Option<Message> {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect(server).await.ok()?;
    socket.send(wire).await.ok()?;
    let mut buffer = [0; UDP_ANSWER_MAX];
    loop {
        let length = socket.recv(&mut buffer).await.ok()?;
        // What does not answer the question may be forged: the real answer is still awaited.
        if let Some(answer) = answering(&buffer[..length], query) {
            return Some(answer);
        }
    }
}

async fn by_tcp(server: SocketAddr, wire: &[u8], query: &Message) -> Option<Message> {
    let mut stream = TcpStream::connect(server).await.ok()?;
    let length = u16::try_from(wire.len()).ok()?.to_be_bytes();
    stream.write_all(&[&length, wire].concat()).await.ok()?;
    let length = stream.read_u16().await.ok()?;
    let mut buffer = vec![0; length.into()];
    stream.read_exact(&mut buffer).await.ok()?;
    answering(&buffer, query)
}

/// The message in `bytes` if it answers `query`.
fn answering(bytes: &[u8], query: &Message) -> Option<Message> {
    let answer = Message::from_vec(bytes).ok()?;
    let is_answer = answer.metadata.id == query.metadata.id
        && answer.metadata.message_type == MessageType::Response
        && answer.queries == query.queries;
    is_answer.then_some(answer)
}

/// The addresses of an answer; a name that does not exist has none. `None` when the server failed.
fn read(answer: &Message, kind: RecordType) -> Option<Answer> {
    match answer.metadata.response_code {
        ResponseCode::NoError => {}
        ResponseCode::NXDomain => return Some(Answer { addresses: Vec::new(), ttl_seconds: 0 }),
        _ => return None,
    }
    let records = answer.answers.iter().filter(|record| record.record_type() == kind);
    let addresses = records.filter_map(|record| match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    });
    let addresses = addresses.take(ADDRESSES_MAX).collect();
    // An alias on the way bounds how long the addresses behind it count.
    let ttl_seconds = answer.answers.iter().map(|record| record.ttl).min().unwrap_or(0);
    Some(Answer { addresses, ttl_seconds })
}

/// A name and a port outside the cluster, and what they led to last.
pub(crate) struct External {
    name: Arc<str>,
    port: u16,
    is_tls: bool,
    resolver: Arc<Resolver>,
    upstreams: Arc<Upstreams>,
    known: RwLock<Known>,
    /// Held by whoever asks, so that one asks for all.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Known {
    balance: Option<Arc<Balance>>,
    addresses: Vec<IpAddr>,
    error: Option<NameError>,
    until: Instant,
}

impl External {
    /// `port`, and whether it is spoken to by TLS.
    pub(crate) fn new(
        name: Arc<str>,
        (port, is_tls): (u16, bool),
        resolver: Arc<Resolver>,
        upstreams: Arc<Upstreams>,
    ) -> Self {
        let known = Known { balance: None, addresses: Vec::new(), error: None, until: Instant::now() };
        Self {
            name,
            port,
            is_tls,
            resolver,
            upstreams,
            known: RwLock::new(known),
            asking: Default::default(),
        }
    }

    /// The addresses to send requests to; asks when what is known is too old. Whoever comes while another asks takes what
    /// was known before, if anything.
    pub(crate) async fn balance(&self) -> Result<Arc<Balance>, NameError> {
        if let Some(known) = self.fresh() {
            return known;
        }
        let _turn = match (self.asking.try_lock(), self.known().balance) {
            (Ok(turn), _) => turn,
            (Err(_), Some(balance)) => return Ok(balance),
            (Err(_), None) => self.asking.lock().await,
        };
        if let Some(known) = self.fresh() {
            return known;
        }
        let answer = self.resolver.resolve(&self.name).await;
        self.learn(answer)
    }

    fn fresh(&self) -> Option<Result<Arc<Balance>, NameError>> {
        let known = self.known();
        let is_fresh = Instant::now() < known.until;
        match (known.balance, known.error) {
            _ if !is_fresh => None,
            (Some(balance), _) => Some(Ok(balance)),
            (None, error) => error.map(Err),
        }
    }

    fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, answer: Result<Answer, NameError>) -> Result<Arc<Balance>, NameError> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(answer) => {
                if answer.addresses != known.addresses || known.balance.is_none() {
                    let sockets: Vec<SocketAddr> =
                        answer.addresses.iter().map(|ip| SocketAddr::new(*ip, self.port)).collect();
                    known.balance = Balance::new(self.upstreams.of(&sockets, self.is_tls), 0).map(Arc::new);
                    known.addresses = answer.addresses;
                    tracing::info!(name = %self.name, addresses = ?known.addresses, "external name resolved");
                }
                known.error = None;
                let ttl = Duration::from_secs(answer.ttl_seconds.into());
                known.until = Instant::now() + ttl.clamp(KEPT.0, KEPT.1);
            }
            Err(error) => {
                tracing::warn!(name = %self.name, %error, "cannot resolve an external name");
                known.error = Some(error);
                known.until = Instant::now() + RETRY;
            }
        }
        let failure = || known.error.clone().unwrap_or_else(|| NameError::NoAddress(self.name.to_string()));
        known.balance.clone().ok_or_else(failure)
    }
}

#[cfg(test)]
mod tests;
