//! Heads: what of a request is refused before it is looked at any further, and what is changed on the way.
//!
//! The bytes are a stranger's. Framing is never passed on: lengths and encodings of both directions are written anew by
//! the HTTP library from the body it parsed, so that no two programs can disagree about where a request ends (RFC 9112
//! §11.2). Hop-by-hop fields and those named by `Connection` end here (RFC 9110 §7.6.1).

use std::net::IpAddr;
use std::str::FromStr;

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, StatusCode, Version};

/// Fields about one connection alone, in either direction.
static HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
/// Becomes `HTTP_PROXY` in CGI programs, which then send their own requests through it.
const PROXY: HeaderName = HeaderName::from_static("proxy");

/// Fields of a request that backends do not get as they came: our own take their place, or none.
static NOT_FOR_BACKENDS: [HeaderName; 5] =
    [header::HOST, header::CONTENT_LENGTH, header::EXPECT, HTTP2_SETTINGS, PROXY];

/// A request that is refused: the status, and why in a clause.
pub(crate) type Refusal = (StatusCode, &'static str);

fn malformed(why: &'static str) -> Refusal {
    (StatusCode::BAD_REQUEST, why)
}

/// The host a request is for, as the client wrote it; empty when it may and does not say (HTTP/1.0).
pub(crate) fn host(parts: &Parts) -> Result<HeaderValue, Refusal> {
    if parts.method == Method::CONNECT || parts.method == Method::TRACE {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "the method is not served"));
    }
    let mut fields = parts.headers.get_all(header::HOST).iter();
    let (field, more) = (fields.next(), fields.next());
    if more.is_some() {
        return Err(malformed("more than one Host field"));
    }
    let target = parts.uri.authority();
    if let (Some(target), Some(field), Version::HTTP_2) = (target, field, parts.version)
        && !field.as_bytes().eq_ignore_ascii_case(target.as_str().as_bytes())
    {
        return Err(malformed("the Host field and :authority differ"));
    }
    match (target, field) {
        (Some(target), _) => {
            check_authority(target)?;
            HeaderValue::from_str(target.as_str()).map_err(|_| malformed("the target's host is malformed"))
        }
        (None, Some(field)) if field.is_empty() => Ok(field.clone()),
        (None, Some(field)) => {
            let text = field.to_str().map_err(|_| malformed("the Host field is malformed"))?;
            check_authority(
                &Authority::from_str(text).map_err(|_| malformed("the Host field is malformed"))?,
            )?;
            Ok(field.clone())
        }
        (None, None) if parts.version < Version::HTTP_11 => Ok(HeaderValue::from_static("")),
        (None, None) => Err(malformed("no Host field")),
    }
}

fn check_authority(authority: &Authority) -> Result<(), Refusal> {
    match authority.as_str().contains('@') {
        true => Err(malformed("the host holds a user name")),
        false => Ok(()),
    }
}

/// What a client asks its HTTP/1.1 connection to become, if it is one thing that may be passed on. `h2c` may not: what
/// comes after would be requests that nobody here has looked at.
pub(crate) fn upgrade(parts: &Parts) -> Option<HeaderValue> {
    let asks = parts.version == Version::HTTP_11 && has_token(&parts.headers, &header::CONNECTION, "upgrade");
    let mut wanted = parts.headers.get_all(header::UPGRADE).iter();
    match (wanted.next(), wanted.next()) {
        (Some(one), None) if asks => {
            let text = one.to_str().ok()?.trim();
            (!text.is_empty() && !text.contains(',') && !text.eq_ignore_ascii_case("h2c"))
                .then(|| one.clone())
        }
        _ => None,
    }
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> + use<'h> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

/// What the backend is told about where a request came from.
pub(crate) struct Origin {
    /// Who sent it: an address, as text.
    pub client: HeaderValue,
    /// The port it came to.
    pub port: HeaderValue,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Whether the client is a proxy that is believed.
    pub trusted: bool,
    /// The host it is for.
    pub host: HeaderValue,
}

/// Makes a request's fields those that the backend gets, framing apart.
pub(crate) fn to_backend(headers: &mut HeaderMap, origin: &Origin, upgrade: Option<&HeaderValue>) {
    strip(headers, |name| NOT_FOR_BACKENDS.contains(name) || (!origin.trusted && *name == header::FORWARDED));
    headers.insert(header::HOST, origin.host.clone());
    forwarded(headers, origin);
    if let Some(upgrade) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, upgrade.clone());
    }
}

/// Whether a request is a call that only HTTP/2 carries: gRPC, whose status comes after the body. Not gRPC-Web, which is
/// made for HTTP/1.1.
pub(crate) fn is_grpc(parts: &Parts) -> bool {
    let kind = parts.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = kind.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    parts.version == Version::HTTP_2
        && rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Makes a request's fields those of HTTP/2, where the target names the host; `wants_trailers` as the client said.
pub(crate) fn to_http2(headers: &mut HeaderMap, wants_trailers: bool) {
    headers.remove(header::HOST);
    if wants_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Whether the client takes fields after a body.
pub(crate) fn wants_trailers(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TE) && has_token(headers, &header::TE, "trailers")
}

/// Says who the client is. A trusted proxy's word is added to, anybody else's is replaced.
fn forwarded(headers: &mut HeaderMap, origin: &Origin) {
    let list = match origin.trusted {
        true => joined(headers, &FORWARDED_FOR, &origin.client),
        false => origin.client.clone(),
    };
    headers.insert(FORWARDED_FOR, list);
    let facts = [
        (FORWARDED_PROTO, HeaderValue::from_static(origin.scheme)),
        (FORWARDED_HOST, origin.host.clone()),
        (FORWARDED_PORT, origin.port.clone()),
        (REAL_IP, origin.client.clone()),
    ];
    for (name, fact) in facts {
        if !(origin.trusted && headers.contains_key(&name)) {
            headers.insert(name, fact);
        }
    }
}

fn joined(headers: &HeaderMap, name: &HeaderName, last: &HeaderValue) -> HeaderValue {
    let mut list: Vec<&str> = tokens(headers, name).collect();
    list.extend(last.to_str());
    text(list.join(", "))
}

/// An address as a field's value.
pub(crate) fn address(address: IpAddr) -> HeaderValue {
    text(address.to_string())
}

/// Addresses and lists of them are always field values.
fn text(text: String) -> HeaderValue {
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// Whether a trusted proxy says that the client's own connection was TLS.
pub(crate) fn came_by_tls(headers: &HeaderMap) -> bool {
    headers.get(FORWARDED_PROTO).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// Makes a response's fields those that the client gets. An upgrade keeps the two that say so.
pub(crate) fn to_client(headers: &mut HeaderMap, is_upgrade: bool) {
    let upgrade = headers.get(header::UPGRADE).filter(|_| is_upgrade).cloned();
    // Both at once is ambiguous; what was read is what the encoding said.
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    strip(headers, |_| false);
    if let Some(upgrade) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, upgrade);
    }
}

/// Removes what is about one connection alone, and what else is unwanted. Most heads have little of it, so they are looked
/// through once instead of asked for each name.
fn strip(headers: &mut HeaderMap, is_unwanted: impl Fn(&HeaderName) -> bool) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> =
            tokens(headers, &header::CONNECTION).filter_map(|name| HeaderName::from_str(name).ok()).collect();
        named.iter().for_each(|name| drop(headers.remove(name)));
    }
    let is_hop = |name: &&HeaderName| HOP_BY_HOP.contains(name) || is_unwanted(name);
    let found: Vec<HeaderName> = headers.keys().filter(is_hop).cloned().collect();
    found.iter().for_each(|name| drop(headers.remove(name)));
}

#[cfg(test)]
mod tests;
