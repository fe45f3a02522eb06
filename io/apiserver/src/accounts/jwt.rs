//! JSON Web Tokens signed with ES256, and their public key as a JSON Web Key.
//!
//! A token is untrusted until its signature holds: nothing of it but header and form is looked at before.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

/// The one algorithm; a header that names another is not ours.
pub(super) const ALGORITHM: &str = "ES256";

/// What comes before a P-256 point in the DER form of a public key; the key's id is the hash of both.
const POINT_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Why there is no signer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is no PEM.
    #[error("the key of ServiceAccount tokens is not a PEM private key")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// The key is of another kind.
    #[error("the key of ServiceAccount tokens is not a P-256 key ({0})")]
    Key(ring::error::KeyRejected),
}

/// A key, and what is derived of it.
pub(super) struct Signer {
    key: EcdsaKeyPair,
    random: SystemRandom,
    id: String,
    header: String,
}

impl Signer {
    pub fn new(pem: &str) -> Result<Self, Error> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(Error::Pem)?;
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der(), &random)
            .map_err(Error::Key)?;
        let public = [&POINT_PREFIX[..], key.public_key().as_ref()].concat();
        let id = BASE64.encode(digest(&SHA256, &public));
        let header = BASE64.encode(json!({"alg": ALGORITHM, "kid": id}).to_string());
        Ok(Self { key, random, id, header })
    }

    pub fn sign(&self, claims: &Value) -> String {
        let said = format!("{}.{}", self.header, BASE64.encode(claims.to_string()));
        let signature = self.key.sign(&self.random, said.as_bytes());
        let signature =
            signature.expect("a P-256 key that was accepted signs whatever the kernel's randomness");
        format!("{said}.{}", BASE64.encode(signature))
    }

    /// The claims of a token this key signed.
    pub fn verify(&self, token: &str) -> Option<Value> {
        let (said, signature) = token.rsplit_once('.')?;
        let (header, claims) = said.split_once('.')?;
        if header != self.header {
            let header: Value = parsed(header)?;
            if header["alg"] != ALGORITHM || header["kid"] != self.id.as_str() {
                return None;
            }
        }
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key().as_ref());
        public.verify(said.as_bytes(), &BASE64.decode(signature).ok()?).ok()?;
        parsed(claims)
    }

    /// The public key as a JSON Web Key.
    pub fn public_key(&self) -> Value {
        // An uncompressed point: 4, then x, then y.
        let point = self.key.public_key().as_ref();
        let (x, y) = point[1..].split_at(point.len() / 2);
        json!({"use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": ALGORITHM,
            "x": BASE64.encode(x), "y": BASE64.encode(y)})
    }
}

fn parsed(part: &str) -> Option<Value> {
    serde_json::from_slice(&BASE64.decode(part).ok()?).ok()
}
