//! The TLS side of a connection: our certificate, the client's if it shows one, and who it names.
//!
//! TLS 1.3 alone. The handshake proves that the client holds the key of the certificate it shows; whether our authority
//! signed that certificate is asked afterwards, so that a stranger reads upstream's 401 and not a broken connection.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use tokio_rustls::TlsAcceptor;

use crate::authn::{self, User};
use crate::pki::{self, Pki};

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificates could not be read.
    #[error("could not read the server's certificate")]
    Pki(#[source] pki::Error),
    /// The TLS library refused them.
    #[error("could not set up TLS with the server's certificate")]
    Tls(#[source] rustls::Error),
    /// The authority cannot verify clients.
    #[error("could not set up the verification of client certificates")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
}

/// What a connection says about its client.
#[derive(Clone, Debug)]
pub(crate) enum Shown {
    /// No certificate.
    Nothing,
    /// A certificate of our authority.
    User(User),
    /// A certificate that names nobody we know.
    Stranger,
}

/// Both halves of TLS: the acceptor, and the judge of the certificates it let pass.
#[derive(Clone)]
pub(crate) struct Tls {
    pub acceptor: TlsAcceptor,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Tls {
    /// An acceptor that speaks HTTP/2 and HTTP/1.1 and asks for, but does not insist on, a client certificate.
    pub fn new(pki: &Pki) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (authority, _) = pki::der(&pki.authority).map_err(Error::Pki)?;
        let (certificate, key) = pki::der(&pki.server).map_err(Error::Pki)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority).map_err(Error::Tls)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(Error::Verifier)?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(Error::Tls)?
            .with_client_cert_verifier(Arc::new(Deferred(verifier.clone())))
            .with_single_cert(vec![certificate], key)
            .map_err(Error::Tls)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), verifier })
    }

    /// Who the certificates of a finished handshake name.
    pub fn judge(&self, chain: Option<&[CertificateDer<'_>]>) -> Shown {
        let Some((leaf, intermediates)) = chain.and_then(<[_]>::split_first) else { return Shown::Nothing };
        let trusted = self.verifier.verify_client_cert(leaf, intermediates, UnixTime::now()).is_ok();
        match authn::from_certificate(leaf).filter(|_| trusted) {
            Some(user) => Shown::User(user),
            None => Shown::Stranger,
        }
    }
}

/// Checks possession of the key during the handshake and leaves the chain to [`Tls::judge`].
#[derive(Debug)]
struct Deferred(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Deferred {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
