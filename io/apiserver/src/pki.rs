//! The cluster's own certificates in `<data_dir>/pki`: made once, kept across restarts, renewed in time.
//!
//! Keys are ECDSA P-256, files 0600 in a directory 0700. A certificate is made again when it is missing, was signed by
//! another authority, nears its end, or (the server's) no longer names every address it must. Never overwrites an
//! authority it cannot read: losing it would lock every client out, so that is an error for a person.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// The user name of the administrator's certificate.
pub const ADMIN_NAME: &str = "kubernetes-admin";
/// The group that may do everything.
pub const ADMIN_GROUP: &str = "system:masters";

/// The authority's life in days.
const AUTHORITY_DAYS: i64 = 3650;
/// A leaf certificate's life in days.
const LEAF_DAYS: i64 = 365;
/// A certificate with less than this many days left is made again.
const RENEW_BEFORE_DAYS: i64 = 90;

/// Why the certificates could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("could not {operation} {path}, which holds the cluster's certificates")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file is there but is not what it should be.
    #[error(
        "{path} is not a {expected}: {detail}; restore it, or remove {path} and its partner to start anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// A certificate could not be made.
    #[error("could not make the certificate of {subject}")]
    Make {
        /// Whose certificate.
        subject: String,
        /// What the certificate library says.
        source: rcgen::Error,
    },
}

/// A certificate and its private key, both PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its private key (PKCS #8).
    pub key: String,
}

/// Everything in `<data_dir>/pki`.
#[derive(Clone)]
pub struct Pki {
    /// The authority every certificate here was signed by.
    pub authority: Pair,
    /// What the TLS listener shows.
    pub server: Pair,
    /// The administrator's client certificate.
    pub admin: Pair,
    /// The key ServiceAccount tokens are to be signed with (PKCS #8 PEM, P-256).
    pub service_account_key: String,
}

impl Pki {
    /// Reads what is there and makes what is missing or stale. `names` are the server's DNS names and addresses.
    pub fn open(data_dir: &Path, names: &BTreeSet<String>, now: Timestamp) -> Result<Self, Error> {
        let dir = data_dir.join("pki");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(io("create", &dir))?;
        fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .map_err(io("protect", &dir))?;
        let authority = authority(&dir, now)?;
        let server = leaf(
            &dir,
            "apiserver",
            &authority,
            now,
            |cert| names_of(cert) == *names,
            || server_params(names),
        )?;
        let admin = leaf(&dir, "admin", &authority, now, |_| true, || Ok(admin_params()))?;
        let service_account_key = service_account_key(&dir)?;
        Ok(Self { authority, server, admin, service_account_key })
    }

    /// A kubeconfig whose one context is the administrator at `server_url`.
    pub fn kubeconfig(&self, server_url: &str) -> String {
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: kelson\n  cluster:\n    server: {server_url}\n    \
             certificate-authority-data: {ca}\nusers:\n- name: {ADMIN_NAME}\n  user:\n    \
             client-certificate-data: {cert}\n    client-key-data: {key}\ncontexts:\n- name: kelson\n  context:\n    \
             cluster: kelson\n    user: {ADMIN_NAME}\ncurrent-context: kelson\npreferences: {{}}\n",
            ca = encode(&self.authority.certificate),
            cert = encode(&self.admin.certificate),
            key = encode(&self.admin.key),
        )
    }
}

/// The names the server's certificate must carry: the fixed ones, the host's, and those of the configuration.
pub fn server_names(
    host: &str,
    node: &str,
    domain: &str,
    addresses: &[IpAddr],
    extra: &[String],
) -> BTreeSet<String> {
    let mut names: BTreeSet<String> =
        ["localhost", "127.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
            .into_iter()
            .map(String::from)
            .collect();
    names.insert(format!("kubernetes.default.svc.{domain}"));
    names.extend([host, node].into_iter().filter(|name| !name.is_empty()).map(String::from));
    names.extend(addresses.iter().filter(|address| !address.is_unspecified()).map(IpAddr::to_string));
    names.extend(extra.iter().cloned());
    names
}

fn authority(dir: &Path, now: Timestamp) -> Result<Pair, Error> {
    let (cert_path, key_path) = (dir.join("ca.crt"), dir.join("ca.key"));
    if let Some(certificate) = read(&cert_path)? {
        let key = read(&key_path)?.ok_or_else(|| damaged(&key_path, "private key", &"it is missing"))?;
        let pair = Pair { certificate, key };
        issuer(&pair, &key_path)?;
        if !parse(&pair.certificate, &cert_path, |cert| belongs(cert, &pair.key))? {
            return Err(damaged(&key_path, "private key", &"it is not that of ca.crt"));
        }
        return Ok(pair);
    }
    let key = generate("the authority")?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "kubernetes");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign];
    set_life(&mut params, now, AUTHORITY_DAYS);
    let cert = params.self_signed(&key).map_err(make("the authority"))?;
    store(Pair { certificate: cert.pem(), key: key.serialize_pem() }, &cert_path, &key_path)
}

/// Reads a certificate below `dir`, or makes it when it is missing, foreign, nearly over or not `fitting`.
fn leaf(
    dir: &Path,
    name: &'static str,
    authority: &Pair,
    now: Timestamp,
    fitting: impl Fn(&X509Certificate<'_>) -> bool,
    params: impl FnOnce() -> Result<CertificateParams, Error>,
) -> Result<Pair, Error> {
    let (cert_path, key_path) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
    if let (Some(certificate), Some(key)) = (read(&cert_path)?, read(&key_path)?) {
        let pair = Pair { certificate, key };
        if current(&pair, authority, &cert_path, now, fitting) {
            return Ok(pair);
        }
        tracing::info!(certificate = name, "renewing a certificate");
    }
    let key = generate(name)?;
    let mut params = params()?;
    set_life(&mut params, now, LEAF_DAYS);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let issuer = issuer(authority, &dir.join("ca.key"))?;
    let cert = params.signed_by(&key, &issuer).map_err(make(name))?;
    store(Pair { certificate: cert.pem(), key: key.serialize_pem() }, &cert_path, &key_path)
}

/// Whether a certificate may go on being used; one that cannot be read may not.
fn current(
    pair: &Pair,
    authority: &Pair,
    path: &Path,
    now: Timestamp,
    fitting: impl Fn(&X509Certificate<'_>) -> bool,
) -> bool {
    let Ok(ca) = CertificateDer::from_pem_slice(authority.certificate.as_bytes()) else { return false };
    let Ok((_, ca)) = X509Certificate::from_der(&ca) else { return false };
    let renew_at = now.as_second() + RENEW_BEFORE_DAYS * 86_400;
    let good = parse(&pair.certificate, path, |cert| {
        cert.verify_signature(Some(ca.public_key())).is_ok()
            && cert.validity().not_after.timestamp() > renew_at
            && belongs(cert, &pair.key)
            && fitting(cert)
    });
    good.unwrap_or(false)
}

/// Whether the private key is the certificate's: a crash between writing the two leaves a pair that is not one.
fn belongs(cert: &X509Certificate<'_>, key: &str) -> bool {
    KeyPair::from_pem(key)
        .is_ok_and(|key| key.public_key_raw() == cert.public_key().subject_public_key.data.as_ref())
}

fn server_params(names: &BTreeSet<String>) -> Result<CertificateParams, Error> {
    let mut params =
        CertificateParams::new(names.iter().cloned().collect::<Vec<_>>()).map_err(make("the API server"))?;
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    debug_assert!(
        params.subject_alt_names.iter().all(|san| matches!(san, SanType::DnsName(_) | SanType::IpAddress(_)))
    );
    Ok(params)
}

fn admin_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::OrganizationName, ADMIN_GROUP);
    params.distinguished_name.push(DnType::CommonName, ADMIN_NAME);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn service_account_key(dir: &Path) -> Result<String, Error> {
    let path = dir.join("sa.key");
    if let Some(key) = read(&path)? {
        KeyPair::from_pem(&key).map_err(|e| damaged(&path, "private key", &e))?;
        return Ok(key);
    }
    let key = generate("the ServiceAccount signer")?.serialize_pem();
    write(&path, &key)?;
    Ok(key)
}

fn names_of(cert: &X509Certificate<'_>) -> BTreeSet<String> {
    let Ok(Some(extension)) = cert.subject_alternative_name() else { return BTreeSet::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(dns) => Some((*dns).to_string()),
        GeneralName::IPAddress(bytes) => match *bytes {
            [a, b, c, d] => Some(IpAddr::from([*a, *b, *c, *d]).to_string()),
            other => <[u8; 16]>::try_from(other).ok().map(|octets| IpAddr::from(octets).to_string()),
        },
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn parse<T>(pem: &str, path: &Path, then: impl FnOnce(&X509Certificate<'_>) -> T) -> Result<T, Error> {
    let der =
        CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|e| damaged(path, "PEM certificate", &e))?;
    let (_, cert) = X509Certificate::from_der(&der).map_err(|e| damaged(path, "X.509 certificate", &e))?;
    Ok(then(&cert))
}

fn issuer(authority: &Pair, key_path: &Path) -> Result<Issuer<'static, KeyPair>, Error> {
    let key = KeyPair::from_pem(&authority.key).map_err(|e| damaged(key_path, "private key", &e))?;
    Issuer::from_ca_cert_pem(&authority.certificate, key).map_err(make("the authority"))
}

fn set_life(params: &mut CertificateParams, now: Timestamp, days: i64) {
    let (from, until) =
        (day(now - SignedDuration::from_hours(24)), day(now + SignedDuration::from_hours(24 * days)));
    params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
    params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
}

/// Year, month and day (UTC) of `at`: certificates begin and end at midnight.
fn day(at: Timestamp) -> (i32, u8, u8) {
    let date = at.to_zoned(TimeZone::UTC).date();
    (i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
}

fn generate(subject: &str) -> Result<KeyPair, Error> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(make(subject))
}

fn store(pair: Pair, cert_path: &Path, key_path: &Path) -> Result<Pair, Error> {
    write(key_path, &pair.key)?;
    write(cert_path, &pair.certificate)?;
    Ok(pair)
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(io("read", path)(e)),
    }
}

/// Writes a file that only its owner may read; a crash leaves the old one or the new one, never half of it.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    let fresh = path.with_extension("new");
    let _ = fs::remove_file(&fresh);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(io("create", &fresh))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io("write", &fresh))?;
    fs::rename(&fresh, path).map_err(io("write", path))
}

/// The DER forms a TLS listener takes.
pub(crate) fn der(pair: &Pair) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), Error> {
    let path = Path::new("the server certificate");
    let cert = CertificateDer::from_pem_slice(pair.certificate.as_bytes())
        .map_err(|e| damaged(path, "certificate", &e))?;
    let key =
        PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).map_err(|e| damaged(path, "private key", &e))?;
    Ok((cert, key))
}

fn io(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Io { operation, path, source }
}

fn make(subject: &str) -> impl FnOnce(rcgen::Error) -> Error {
    let subject = subject.to_string();
    move |source| Error::Make { subject, source }
}

fn damaged(path: &Path, expected: &'static str, detail: &dyn std::fmt::Display) -> Error {
    Error::Damaged { path: path.to_path_buf(), expected, detail: detail.to_string() }
}

#[cfg(test)]
mod tests;
