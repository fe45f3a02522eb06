//! Certificates: Secrets of type `kubernetes.io/tls` become what a TLS handshake shows, chosen by the name the client asks
//! for (spec G2.7).
//!
//! Looked up in the table of the moment, so that a changed Secret counts from the next handshake on. A host without a
//! usable certificate shows one of our own that no client trusts: it sees why, and other hosts are served.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kelson_routes::SecretName;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::error::IngressError;
use crate::routing::Routing;

/// The keys of a Secret that are read (spec G2.7).
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// What the fallback certificate says it is.
const FALLBACK_NAME: &str = "kelson ingress default certificate";

/// Most certificates of one chain.
const CHAIN_MAX: usize = 16;

/// Protocols offered, the best first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why a Secret cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    #[error("has no {0}")]
    Missing(&'static str),
    #[error("its tls.crt is no PEM certificate chain")]
    Chain(#[source] rustls::pki_types::pem::Error),
    #[error("its tls.crt holds no certificate")]
    Empty,
    #[error("its tls.key is no PEM private key")]
    Key(#[source] rustls::pki_types::pem::Error),
    #[error("its tls.key does not belong to its tls.crt, or cannot be used")]
    Pair(#[source] rustls::Error),
}

/// The certificates by Secret.
pub(crate) type Certificates = BTreeMap<SecretName, Arc<CertifiedKey>>;

/// Reads a Secret of type `kubernetes.io/tls`.
pub(crate) fn read(secret: &Secret) -> Result<Arc<CertifiedKey>, CertificateError> {
    let value = |key: &'static str| {
        let value = secret.data.as_ref().and_then(|values| values.get(key));
        value.map(|value| value.0.as_slice()).ok_or(CertificateError::Missing(key))
    };
    let (chain, key) = (value(CERTIFICATE)?, value(KEY)?);
    let chain = CertificateDer::pem_slice_iter(chain).take(CHAIN_MAX).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(CertificateError::Chain)?;
    if chain.is_empty() {
        return Err(CertificateError::Empty);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(CertificateError::Key)?;
    CertifiedKey::from_der(chain, key, &provider()).map(Arc::new).map_err(CertificateError::Pair)
}

fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

/// Shows each client the certificate of the host it asks for.
struct BySni {
    routing: watch::Receiver<Arc<Routing>>,
    fallback: Arc<CertifiedKey>,
}

impl std::fmt::Debug for BySni {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BySni").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let routing = self.routing.borrow();
        let shown = routing.certificate(hello.server_name().unwrap_or_default());
        Some(shown.unwrap_or(&self.fallback).clone())
    }
}

/// An acceptor that shows the certificates of the table of the moment.
pub(crate) fn acceptor(routing: watch::Receiver<Arc<Routing>>) -> Result<TlsAcceptor, IngressError> {
    let fallback = fallback()?;
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .map_err(IngressError::Tls)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(BySni { routing, fallback }));
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn fallback() -> Result<Arc<CertifiedKey>, IngressError> {
    let key = rcgen::KeyPair::generate().map_err(IngressError::Fallback)?;
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).map_err(IngressError::Fallback)?;
    parameters.distinguished_name.push(rcgen::DnType::CommonName, FALLBACK_NAME);
    let certificate = parameters.self_signed(&key).map_err(IngressError::Fallback)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let pair = CertifiedKey::from_der(vec![certificate.der().clone()], key, &provider());
    pair.map(Arc::new).map_err(IngressError::Tls)
}

#[cfg(test)]
mod tests;
