//! Requests from anybody who can reach the ingress: heads on the short way, hosts, paths and the names asked for in TLS
//! handshakes. And what backends respond.

use std::sync::{Arc, LazyLock};

use httparse::{Header, Status};
use k8s_openapi::api::networking::v1::Ingress;
use kelson_ingress::wire::answer::{self, Framing, Heard, Telling};
use kelson_ingress::wire::ask::{self, Content, Origin, Verdict};
use kelson_ingress::wire::chunks::{self, Chunks};
use kelson_model::Snapshot;
use kelson_routes::{Compiler, RouteConfig, RouteTable, normalize_host, normalize_path};
use serde_json::json;

/// Exact hosts, wildcards and every host; exact paths and prefixes; certificates.
static TABLE: LazyLock<RouteTable> = LazyLock::new(|| {
    let backend = |name: &str| json!({ "service": { "name": name, "port": { "number": 80 } } });
    let path = |kind: &str, path: &str| json!({ "path": path, "pathType": kind, "backend": backend("a") });
    let paths =
        json!([path("Exact", "/a"), path("Prefix", "/a/b/c"), path("Prefix", "/%7Eb"), path("Prefix", "/")]);
    let rules = [json!("a.example"), json!("*.a.example"), json!(null)]
        .map(|host| json!({ "host": host, "http": { "paths": paths } }));
    let ingress = json!({
        "metadata": { "namespace": "n", "name": "i" },
        "spec": { "rules": rules, "tls": [{ "hosts": ["a.example", "*.a.example"], "secretName": "s" }] },
    });
    let ingress: Ingress = serde_json::from_value(ingress).expect("an Ingress");
    let mut compiler = Compiler::new(RouteConfig::new("k"));
    compiler.ingresses(&[Arc::new(ingress)], &[]);
    compiler.compile(&Snapshot { generation: 1, synced: true, ..Snapshot::default() })
});

/// A host and a path, each on a line: however they are spelt, one decision, and no element that leads upwards.
pub fn route(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (host, path) = text.split_once('\n').unwrap_or((&text, "/"));
    let decided = TABLE.decide(host, path);
    assert_eq!(decided, TABLE.decide(&host.to_ascii_uppercase(), path), "case of {host:?}");
    assert!(normalize_host(host).len() <= host.len(), "{host:?} grew");
    assert_eq!(TABLE.certificate(host), TABLE.certificate(&host.to_ascii_uppercase()), "case of {host:?}");
    let normal = normalize_path(path);
    assert_eq!(normal.starts_with('/'), path.starts_with('/'), "{path:?}");
    let leads_up = normal.starts_with('/') && normal.split('/').any(|element| matches!(element, "." | ".."));
    assert!(!leads_up, "{path:?} became {normal:?}");
}

/// Most fields of a head here.
const FIELDS_MAX: usize = 100;

static ORIGIN: LazyLock<Origin> = LazyLock::new(|| Origin::new("192.0.2.7", "80", "http", false));

/// The values of the fields of a name.
fn values<'h>(fields: &[Header<'h>], name: &str) -> Vec<&'h [u8]> {
    fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value).collect()
}

/// Fields that are about one connection, and a length if `length` is nothing, are not passed on.
fn check_passed_on(fields: &[Header<'_>], length: Option<u64>) {
    for name in ["connection", "keep-alive", "te", "trailer", "upgrade", "proxy-connection"] {
        assert!(values(fields, name).is_empty(), "{name} goes on");
    }
    let told: Vec<u64> = values(fields, "content-length")
        .iter()
        .map(|value| String::from_utf8_lossy(value).parse().expect("our lengths are numbers"))
        .collect();
    assert_eq!(told, Vec::from_iter(length));
}

/// A request's head. What the short way takes for plain, hyper's parser reads the same way, and what goes on to the
/// backend is a head of its own with the same target and host, one length, and no other framing.
pub fn ask(bytes: &[u8]) {
    let mut out = Vec::new();
    let verdict = ask::read(bytes, &ORIGIN, FIELDS_MAX, &mut out);
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request.parse(bytes);
    let plain = match verdict {
        Verdict::Plain(plain) => plain,
        Verdict::Odd => return,
        Verdict::Partial => {
            return assert!(!matches!(parsed, Ok(Status::Complete(_))), "there is a whole head");
        }
    };
    assert_eq!(parsed, Ok(Status::Complete(plain.end)));
    let target = &bytes[plain.target.clone()];
    assert_eq!((request.path.map(str::as_bytes), request.version), (Some(target), Some(1)));
    assert!(target.starts_with(plain.path(bytes)));
    let host = &bytes[plain.host.clone()];
    assert_eq!(values(request.headers, "host"), [host]);
    let framings =
        [values(request.headers, "transfer-encoding"), values(request.headers, "content-length")].concat();
    assert!(framings.len() <= 1);
    let is_short =
        matches!(ask::read(&bytes[..plain.end - 1], &ORIGIN, FIELDS_MAX, &mut Vec::new()), Verdict::Partial);
    assert!(is_short, "a head without its end is a head");

    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX + 8];
    let mut sent = httparse::Request::new(&mut fields);
    assert_eq!(sent.parse(&out), Ok(Status::Complete(out.len())), "b\"{}\"", out.escape_ascii());
    assert_eq!((sent.method, sent.path, sent.version), (request.method, request.path, request.version));
    assert_eq!(values(sent.headers, "host"), [host]);
    assert_eq!(values(sent.headers, "x-forwarded-host"), [host]);
    assert_eq!(values(sent.headers, "x-forwarded-for"), [b"192.0.2.7"]);
    let encodings = values(sent.headers, "transfer-encoding");
    match plain.content {
        Content::Chunked => {
            assert!(framings[0].eq_ignore_ascii_case(b"chunked"));
            assert_eq!(encodings, [b"chunked"]);
            check_passed_on(sent.headers, None);
        }
        Content::Length(length) => {
            let takes_body = matches!(sent.method, Some("POST" | "PUT" | "PATCH"));
            assert!(encodings.is_empty());
            check_passed_on(sent.headers, Some(length).filter(|length| takes_body || *length > 0));
        }
    }
}

/// A response: one way to read it, said again in frames of our own; and a chunked body, however it is cut.
pub fn answer(bytes: &[u8]) {
    let telling = Telling { is_head: bytes.len().is_multiple_of(5), closes: false, fields_max: FIELDS_MAX };
    let mut out = Vec::new();
    let heard = answer::read(bytes, telling, &mut out, || *b"Sun, 06 Nov 1994 08:49:37 GMT");
    let Ok(Heard::Final(heard)) = heard else { return };
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX + 8];
    let mut told = httparse::Response::new(&mut fields);
    assert_eq!(told.parse(&out), Ok(Status::Complete(out.len())), "b\"{}\"", out.escape_ascii());
    assert_eq!(told.code, Some(heard.status));
    let encodings = values(told.headers, "transfer-encoding");
    match heard.framing {
        Framing::Nothing => assert!(encodings.is_empty()),
        Framing::Length(length) => {
            assert!(encodings.is_empty());
            check_passed_on(told.headers, Some(length));
        }
        Framing::Chunked | Framing::UntilClose => {
            assert_eq!(encodings, [b"chunked"]);
            check_passed_on(told.headers, None);
        }
    }
    let body = &bytes[heard.end..];
    let whole = content(body, body.len().max(1));
    assert_eq!(whole, content(body, 1));
    assert_eq!(whole, content(body, 1 + bytes.len() % 7));
    if let Some((read, _)) = whole {
        let mut again = Vec::new();
        chunks::write(&read, &mut again);
        again.extend_from_slice(chunks::LAST);
        assert_eq!(content(&again, 3), Some((read, again.len())));
    }
}

/// The content of a chunked body that comes in pieces, and how long it was; `None` if it is none, or not whole.
fn content(body: &[u8], size: usize) -> Option<(Vec<u8>, usize)> {
    let (mut chunks, mut content, mut used) = (Chunks::default(), Vec::new(), 0);
    for piece in body.chunks(size) {
        let mut rest = piece;
        while let (count @ 1.., part) = chunks.next(rest).ok()? {
            content.extend_from_slice(part);
            used += count;
            rest = &rest[count..];
        }
    }
    chunks.is_done().then_some((content, used))
}
