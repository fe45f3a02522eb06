//! Heads: what is refused, what is passed on, and what is not.

use hyper::Request;

use super::*;

/// A request's head from a line such as `GET /path 1.1` and fields.
fn parts(method: &str, target: &str, version: Version, fields: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(target).version(version);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn hosts() {
    let check = |target: &str, version: Version, hosts: &[&str], expected: Result<&str, &str>| {
        let fields: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        let found = host(&parts("GET", target, version, &fields));
        let found = found.map(|host| host.to_str().unwrap().to_owned()).map_err(|(_, why)| why);
        assert_eq!(found, expected.map(str::to_owned), "{target} {hosts:?}");
    };
    let (old, new, two) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
    check("/", new, &["a.example"], Ok("a.example"));
    check("/", new, &["A.example:8080"], Ok("A.example:8080"));
    check("/", new, &["[::1]:80"], Ok("[::1]:80"));
    check("/", new, &[""], Ok(""));
    check("/", new, &[], Err("no Host field"));
    check("/", old, &[], Ok(""));
    check("/", new, &["a.example", "a.example"], Err("more than one Host field"));
    check("/", new, &["a.example, b.example"], Err("the Host field is malformed"));
    check("/", new, &["a.example/path"], Err("the Host field is malformed"));
    check("/", new, &["user@a.example"], Err("the host holds a user name"));
    check("http://b.example/", new, &["a.example"], Ok("b.example"));
    check("http://u@b.example/", new, &["a.example"], Err("the host holds a user name"));
    check("https://b.example/", two, &[], Ok("b.example"));
    check("https://b.example/", two, &["B.example"], Ok("b.example"));
    check("https://b.example/", two, &["a.example"], Err("the Host field and :authority differ"));
    let connect = host(&parts("CONNECT", "a.example:80", new, &[("host", "a.example")]));
    assert_eq!(connect.unwrap_err().0, StatusCode::METHOD_NOT_ALLOWED);
    let trace = host(&parts("TRACE", "/", new, &[("host", "a.example")]));
    assert_eq!(trace.unwrap_err().0, StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn upgrades() {
    let check = |version: Version, fields: &[(&str, &str)], expected: Option<&str>| {
        let found = upgrade(&parts("GET", "/", version, fields));
        assert_eq!(found.as_ref().map(|value| value.to_str().unwrap()), expected, "{fields:?}");
    };
    let asks = ("connection", "keep-alive, Upgrade");
    check(Version::HTTP_11, &[asks, ("upgrade", "websocket")], Some("websocket"));
    check(Version::HTTP_11, &[("upgrade", "websocket")], None);
    check(Version::HTTP_11, &[asks], None);
    check(Version::HTTP_10, &[asks, ("upgrade", "websocket")], None);
    check(Version::HTTP_11, &[asks, ("upgrade", "h2c")], None);
    check(Version::HTTP_11, &[asks, ("upgrade", "websocket, H2C")], None);
    check(Version::HTTP_11, &[asks, ("upgrade", "websocket"), ("upgrade", "h2c")], None);
}

fn origin(trusted: bool) -> Origin {
    Origin {
        client: "192.0.2.7".parse().unwrap(),
        port: HeaderValue::from(443),
        scheme: "https",
        trusted,
        host: HeaderValue::from_static("a.example"),
    }
}

/// The fields the backend gets, sorted.
fn passed(fields: &[(&str, &str)], trusted: bool) -> Vec<String> {
    let mut headers = parts("GET", "/", Version::HTTP_11, fields).headers;
    to_backend(&mut headers, &origin(trusted), None);
    let mut lines: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines
}

const OURS: [&str; 6] = [
    "host: a.example",
    "x-forwarded-for: 192.0.2.7",
    "x-forwarded-host: a.example",
    "x-forwarded-port: 443",
    "x-forwarded-proto: https",
    "x-real-ip: 192.0.2.7",
];

#[test]
fn what_is_about_one_connection_ends_here() {
    let hops = [
        ("connection", "close, X-Mine, X-Real-IP, host"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic eDp5"),
        ("te", "trailers"),
        ("trailer", "x-sum"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQ"),
        ("expect", "100-continue"),
        ("proxy", "http://evil.example"),
        ("x-mine", "1"),
        ("host", "b.example"),
    ];
    assert_eq!(passed(&hops, false), OURS);
    assert_eq!(passed(&[("cookie", "c=1"), ("user-agent", "u")], false)[..2], ["cookie: c=1", OURS[0]]);
}

#[test]
fn a_strangers_word_about_itself_is_replaced() {
    let claims = [
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-proto", "ftp"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-port", "1"),
        ("x-real-ip", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
    ];
    assert_eq!(passed(&claims, false), OURS);
    let believed = passed(&claims, true);
    assert!(believed.contains(&"x-forwarded-for: 10.0.0.1, 192.0.2.7".to_owned()), "{believed:?}");
    assert!(believed.contains(&"x-real-ip: 10.0.0.1".to_owned()), "{believed:?}");
    assert!(believed.contains(&"forwarded: for=10.0.0.1".to_owned()), "{believed:?}");
    assert!(came_by_tls(&parts("GET", "/", Version::HTTP_11, &[("x-forwarded-proto", "HTTPS")]).headers));
}

#[test]
fn an_upgrade_is_passed_on_both_ways() {
    let mut headers = HeaderMap::new();
    to_backend(&mut headers, &origin(false), Some(&HeaderValue::from_static("websocket")));
    assert_eq!(
        (&headers["connection"], &headers["upgrade"]),
        (&"upgrade".parse().unwrap(), &"websocket".parse().unwrap())
    );
    to_client(&mut headers, true);
    assert_eq!(
        (&headers["connection"], &headers["upgrade"]),
        (&"upgrade".parse().unwrap(), &"websocket".parse().unwrap())
    );
    to_client(&mut headers, false);
    assert!(!headers.contains_key("connection") && !headers.contains_key("upgrade"));
}

#[test]
fn a_response_says_its_length_once() {
    let mut headers = HeaderMap::new();
    headers.insert("content-length", HeaderValue::from_static("5"));
    to_client(&mut headers, false);
    assert!(headers.contains_key("content-length"));
    headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
    to_client(&mut headers, false);
    assert!(headers.is_empty());
}
