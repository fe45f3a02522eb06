//! Names of fields that mean something to whoever passes a head on, and the bytes that may be in names and values.

/// What a field is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// Nothing: it is passed on.
    Other,
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    Date,
    /// About one connection alone: it ends here, in either direction (RFC 9110 §7.6.1).
    Hop,
    /// Asks for something that is seldom: another protocol, or word before the body.
    Seldom,
    /// `Proxy`, which CGI programs would take for `HTTP_PROXY`.
    Proxy,
    Forwarded,
    ForwardedFor,
    ForwardedHost,
    ForwardedPort,
    ForwardedProto,
    RealIp,
}

impl Field {
    /// By its name, in whatever case.
    pub(super) fn named(name: &[u8]) -> Self {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            2 if is("te") => Self::Hop,
            4 if is("host") => Self::Host,
            4 if is("date") => Self::Date,
            5 if is("proxy") => Self::Proxy,
            6 if is("expect") => Self::Seldom,
            7 if is("upgrade") => Self::Seldom,
            7 if is("trailer") => Self::Hop,
            9 if is("forwarded") => Self::Forwarded,
            9 if is("x-real-ip") => Self::RealIp,
            10 if is("connection") => Self::Connection,
            10 if is("keep-alive") => Self::Hop,
            14 if is("content-length") => Self::ContentLength,
            14 if is("http2-settings") => Self::Seldom,
            15 if is("x-forwarded-for") => Self::ForwardedFor,
            16 if is("x-forwarded-host") => Self::ForwardedHost,
            16 if is("x-forwarded-port") => Self::ForwardedPort,
            16 if is("proxy-connection") => Self::Hop,
            17 if is("transfer-encoding") => Self::TransferEncoding,
            17 if is("x-forwarded-proto") => Self::ForwardedProto,
            18 if is("proxy-authenticate") => Self::Hop,
            19 if is("proxy-authorization") => Self::Hop,
            _ => Self::Other,
        }
    }
}

/// Bytes of a kind, by value.
type Bytes = [bool; 256];

const fn among(listed: &[u8]) -> Bytes {
    let mut bytes = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        bytes[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < listed.len() {
        bytes[listed[at] as usize] = true;
        at += 1;
    }
    bytes
}

/// In names of fields (RFC 9110 §5.6.2).
pub(super) static NAME: Bytes = among(b"!#$%&'*+-.^_`|~");

/// In targets, as every program reads them alike: those of RFC 3986, and brackets and bars, which browsers send.
pub(super) static TARGET: Bytes = among(b"-._~:/?[]@!$&'()*+,;=%|");

/// In hosts without brackets.
pub(super) static HOST: Bytes = among(b"-._");

/// Whether all of `bytes` are of a kind.
pub(super) fn all(bytes: &[u8], kind: &Bytes) -> bool {
    bytes.iter().all(|byte| kind[usize::from(*byte)])
}

/// Whether this may be a field's value. Every byte is looked at, without a branch, so that many are at once.
pub(super) fn is_value(bytes: &[u8]) -> bool {
    let is_bad = |byte: u8| ((byte < b' ') & (byte != b'\t')) | (byte == 0x7f);
    !bytes.iter().fold(false, |bad, byte| bad | is_bad(*byte))
}

/// Without blanks at either end.
pub(super) fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a list in a field's value.
pub(super) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trimmed).filter(|token| !token.is_empty())
}

/// A length in digits alone, and not so many that it might not fit.
pub(super) fn length(digits: &[u8]) -> Option<u64> {
    let is_length = (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    is_length.then(|| digits.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}
