//! Entries for fuzzing the parsers that see a request before anything else does: any bytes in, no panic.

use kelson_machinery::Object;

use crate::authn::{self, Tokens};
use crate::body::{self, Form};
use crate::protobuf;

/// A protobuf body, as the object it says.
pub fn protobuf(bytes: &[u8]) -> Option<Object> {
    protobuf::decode(bytes).ok()
}

/// A YAML body.
pub fn yaml(bytes: &[u8]) -> Option<Object> {
    body::parse(bytes, Form::Yaml).ok()
}

/// A token file, and every token of it looked up again.
pub fn token_file(text: &str) {
    let Ok(tokens) = Tokens::parse(text) else { return };
    for line in text.lines() {
        let token = line.split(',').next().unwrap_or_default().trim();
        if let Some(user) = tokens.user(token) {
            assert!(!user.name.is_empty() && user.is_in(authn::AUTHENTICATED));
        }
    }
}

/// An `Authorization` header.
pub fn authorization(header: &str) {
    if let Ok(Some(token)) = authn::bearer(Some(header)) {
        assert!(!token.is_empty() && header.contains(token));
    }
}

/// A client's certificate, which the handshake has verified.
pub fn certificate(der: &[u8]) {
    let user = authn::from_certificate(&der.into());
    assert!(user.is_none_or(|user| !user.name.is_empty()));
}
