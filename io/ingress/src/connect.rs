//! Connecting to a backend: TCP, and TLS where its Service's port says so.
//!
//! A pod's certificate is not verified, as other ingresses do not unless told: it is for a name that the ingress does not
//! know, signed by somebody it does not know either. TLS here keeps what is sent from being read on the way, no more.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::Limits;

/// What is to be spoken over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// One request at a time.
    Http1,
    /// Many at once.
    Http2,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("connecting to {0}")]
    Refused(SocketAddr, #[source] std::io::Error),
    #[error("connecting to {0} took too long")]
    Timeout(SocketAddr),
    #[error("speaking TLS to {0}; its service port's appProtocol says so")]
    Tls(SocketAddr, #[source] std::io::Error),
    #[error("speaking HTTP to {0}")]
    Handshake(SocketAddr, #[source] hyper::Error),
}

/// Bytes to and from a backend.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection to `address`.
pub(crate) async fn tcp(address: SocketAddr, limits: &Limits) -> Result<TcpStream, ConnectError> {
    let stream = timeout(limits.connect_timeout, TcpStream::connect(address)).await;
    let stream = stream.map_err(|_| ConnectError::Timeout(address))?;
    let stream = stream.map_err(|error| ConnectError::Refused(address, error))?;
    // Without it the last packet of a request may wait for an acknowledgement; worth no error.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// A connection to `address` that is encrypted.
pub(crate) async fn tls(
    address: SocketAddr,
    version: Version,
    limits: &Limits,
) -> Result<Box<dyn Stream>, ConnectError> {
    let stream = tcp(address, limits).await?;
    let connector = TlsConnector::from(CLIENTS[usize::from(version == Version::Http2)].clone());
    let handshake = connector.connect(ServerName::IpAddress(address.ip().into()), stream);
    match timeout(limits.connect_timeout, handshake).await {
        Err(_) => Err(ConnectError::Timeout(address)),
        Ok(Err(error)) => Err(ConnectError::Tls(address, error)),
        Ok(Ok(stream)) => Ok(Box::new(stream)),
    }
}

/// How TLS is spoken, for HTTP/1.1 and HTTP/2.
static CLIENTS: LazyLock<[Arc<rustls::ClientConfig>; 2]> =
    LazyLock::new(|| [client(b"http/1.1"), client(b"h2")]);

fn client(protocol: &[u8]) -> Arc<rustls::ClientConfig> {
    let mut config = kelson_tls::trusting();
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}
