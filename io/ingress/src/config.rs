//! What the ingress is told: where it listens, whom it serves, and the bound on everything a client or a backend controls.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use kelson_model::Cidr;
use kelson_routes::RouteConfig;

/// Who is asked for names outside the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameServers {
    /// The name servers of this `resolv.conf`, read at each question.
    ResolvConf(PathBuf),
    /// These.
    Fixed(Vec<SocketAddr>),
}

/// What the ingress runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which Ingresses are ours, in which cluster.
    pub routes: RouteConfig,
    /// Where plain HTTP is served; `None` is nowhere.
    pub http: Option<SocketAddr>,
    /// Where HTTPS is served; `None` is nowhere.
    pub https: Option<SocketAddr>,
    /// What the status of Ingresses says they are served on; empty leaves statuses alone.
    pub status_addresses: Vec<IpAddr>,
    /// Clients from here are proxies whose `X-Forwarded-*` are believed and added to; others' are replaced.
    pub trusted_proxies: Vec<Cidr>,
    /// Who is asked for names outside the cluster.
    pub name_servers: NameServers,
    /// Let an external name lead to loopback and link-local addresses, that is, to this machine's own services. Off
    /// unless whoever writes Services may reach those anyway.
    pub local_names: bool,
    /// How many threads serve, each with listeners and connections of its own. At least one.
    pub workers: usize,
    /// The bounds.
    pub limits: Limits,
}

impl Config {
    /// Class `kelson` of a cluster of this domain, on ports 80 and 443 of every address, statuses left alone; a worker for
    /// each core that this process may use.
    pub fn new(domain: impl Into<String>) -> Self {
        let everywhere = |port| Some(SocketAddr::from(([0, 0, 0, 0], port)));
        Self {
            routes: RouteConfig::new(domain),
            http: everywhere(80),
            https: everywhere(443),
            status_addresses: Vec::new(),
            trusted_proxies: Vec::new(),
            name_servers: NameServers::ResolvConf(PathBuf::from("/etc/resolv.conf")),
            local_names: false,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            limits: Limits::default(),
        }
    }
}

/// The bound on everything that a client or a backend controls. Bodies have none: they are passed on piece by piece and
/// never held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most client connections at once, plain and TLS together; more wait to be accepted.
    pub connections_max: usize,
    /// Most requests at once on their way to backends, tunnels among them; more get 503. Each has a connection of its own.
    pub requests_max: usize,
    /// Most bytes of a request's or response's head; a longer request gets 431.
    pub head_bytes_max: usize,
    /// Most header fields of a request or response; more get 431.
    pub headers_max: usize,
    /// Most requests at once on one HTTP/2 connection.
    pub streams_max: u32,
    /// How long a client may take for a TLS handshake.
    pub handshake_timeout: Duration,
    /// How long a client may take from the end of one HTTP/1.1 request to the end of the next one's head.
    pub head_timeout: Duration,
    /// How long a connection without a request may be silent.
    pub idle_timeout: Duration,
    /// How long a client may send nothing of a body it began, and a backend nothing of its own.
    pub body_timeout: Duration,
    /// How long a client may take nothing of what it is sent; longer than `response_timeout`, or it would cut that short.
    pub stall_timeout: Duration,
    /// How long a client may take nothing of one response while other things happen on its connection (HTTP/2).
    pub stream_timeout: Duration,
    /// How long connecting to a backend may take.
    pub connect_timeout: Duration,
    /// How long a backend may take from the end of a request to its response's head.
    pub response_timeout: Duration,
    /// How long an upgraded connection (a WebSocket) may be silent.
    pub tunnel_timeout: Duration,
    /// Most connections kept open to one endpoint while no request uses them; each worker has its part.
    pub spare_connections_max: usize,
    /// How long such a connection is kept.
    pub spare_timeout: Duration,
    /// How long an endpoint that could not be reached is passed over while there are others.
    pub avoid_timeout: Duration,
    /// How long open requests may take after shutdown began.
    pub drain_timeout: Duration,
}

/// Most clients, and most requests, where there are files enough.
const CONNECTIONS_MAX: usize = 8192;

/// Most header fields that hyper reads into room it has on the stack, which is what it does when told nothing.
const HEADERS_UNTOLD: usize = 100;

impl Limits {
    /// The bound on header fields as hyper is to be told it: not at all where it is its own, for then it makes room for
    /// them with each head anew.
    pub(crate) fn headers_told(&self) -> Option<usize> {
        (self.headers_max != HEADERS_UNTOLD).then_some(self.headers_max)
    }

    /// Keeps clients and requests to a quarter each of the files this process may open, so that strangers' connections,
    /// those to backends and the spare ones never take the files that everything else in the process needs.
    pub fn within_files(mut self, open_files_max: usize) -> Self {
        let quarter = (open_files_max / 4).max(1);
        self.connections_max = self.connections_max.min(quarter);
        self.requests_max = self.requests_max.min(quarter);
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            requests_max: CONNECTIONS_MAX,
            head_bytes_max: 64 * 1024,
            headers_max: 100,
            streams_max: 128,
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(90),
            stream_timeout: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(3),
            response_timeout: Duration::from_secs(60),
            tunnel_timeout: Duration::from_secs(3600),
            spare_connections_max: 128,
            spare_timeout: Duration::from_secs(30),
            avoid_timeout: Duration::from_secs(2),
            drain_timeout: Duration::from_secs(5),
        }
    }
}
