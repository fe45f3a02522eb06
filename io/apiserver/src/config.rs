//! What the API server is told before it opens anything.
//!
//! Every limit on what a client controls has its name and default here. Never reads the environment or a file.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The API server's configuration. Addresses and ranges are checked by [`crate::ApiServer::open`].
#[derive(Clone, Debug)]
pub struct Config {
    /// Holds `pki/`: the authority, the server's and the administrator's certificates.
    pub data_dir: PathBuf,
    /// Where TLS is served; its port is what the Service `kubernetes` points to.
    pub listen: SocketAddr,
    /// The address pods reach this server at: the one endpoint of the Service `kubernetes` (spec A11.3).
    pub advertise: IpAddr,
    /// The node's name, put into the server certificate beside the host's own name.
    pub node_name: String,
    /// The Service range, for example `10.96.0.0/16`.
    pub service_cidr: String,
    /// First and last NodePort (spec A6.1).
    pub node_port_range: (u16, u16),
    /// The cluster's DNS domain, for the server certificate.
    pub cluster_domain: String,
    /// Upstream's static token file, `token,user,uid,"group1,group2"` a line.
    pub token_auth_file: Option<PathBuf>,
    /// Further names or addresses of this server, put into its certificate.
    pub extra_sans: Vec<String>,
    /// Bounds on what clients may ask for.
    pub limits: Limits,
}

impl Config {
    /// The defaults of upstream's tutorials, for a server on this address.
    pub fn new(data_dir: impl Into<PathBuf>, listen: SocketAddr, advertise: IpAddr) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen,
            advertise,
            node_name: String::new(),
            service_cidr: "10.96.0.0/16".into(),
            node_port_range: (30000, 32767),
            cluster_domain: "cluster.local".into(),
            token_auth_file: None,
            extra_sans: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// Bounds on what a client controls; upstream's where upstream has one (spec I37).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request's body; more is 413.
    pub body_bytes: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// How long a request's head may take to arrive.
    pub header_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// Connections open at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Watches open at once; more is 429.
    pub watches: usize,
    /// Reads under way at once from the network; more is 429.
    pub reads_in_flight: usize,
    /// Writes under way at once from the network; more is 429.
    pub writes_in_flight: usize,
    /// Streams on one HTTP/2 connection.
    pub streams_per_connection: u32,
    /// A request that is no watch or stream is answered within this.
    pub request_timeout: Duration,
    /// A watch that names no timeout lives between this and twice this.
    pub watch_timeout: Duration,
    /// How often a watch that asked for bookmarks gets one.
    pub bookmark_interval: Duration,
    /// How long requests may go on after shutdown began.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 3 * 1024 * 1024,
            body_timeout: Duration::from_secs(60),
            header_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            connections: 4096,
            watches: 10_000,
            reads_in_flight: 400,
            writes_in_flight: 200,
            streams_per_connection: 250,
            request_timeout: Duration::from_secs(60),
            watch_timeout: Duration::from_secs(1800),
            bookmark_interval: Duration::from_secs(60),
            grace: Duration::from_secs(5),
        }
    }
}
