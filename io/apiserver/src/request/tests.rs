//! Paths, queries and verbs, by upstream's rules.

use super::*;

/// Group, version, namespace, plural, name, subresource.
type Parts<'a> = (&'a str, &'a str, Option<&'a str>, &'a str, Option<&'a str>, Option<&'a str>);

fn check(path: &str, expected: Option<Parts<'_>>) {
    let parsed = ResourcePath::parse(path);
    let seen = parsed.as_ref().map(|p| {
        (
            p.group.as_str(),
            p.version.as_str(),
            p.namespace.as_deref(),
            p.plural.as_str(),
            p.name.as_deref(),
            p.subresource.as_deref(),
        )
    });
    assert_eq!(seen, expected, "{path}");
}

#[test]
fn paths_of_resources() {
    check("/api/v1/pods", Some(("", "v1", None, "pods", None, None)));
    check("/api/v1/namespaces/d/pods/p", Some(("", "v1", Some("d"), "pods", Some("p"), None)));
    check("/api/v1/namespaces/d/pods/p/log", Some(("", "v1", Some("d"), "pods", Some("p"), Some("log"))));
    check(
        "/apis/apps/v1/namespaces/d/deployments",
        Some(("apps", "v1", Some("d"), "deployments", None, None)),
    );
    check("/api/v1/nodes/n/status", Some(("", "v1", None, "nodes", Some("n"), Some("status"))));
}

#[test]
fn a_namespace_is_an_object_and_a_place() {
    check("/api/v1/namespaces", Some(("", "v1", None, "namespaces", None, None)));
    check("/api/v1/namespaces/d", Some(("", "v1", None, "namespaces", Some("d"), None)));
    check("/api/v1/namespaces/d/status", Some(("", "v1", None, "namespaces", Some("d"), Some("status"))));
    check("/api/v1/namespaces/d/finalize", Some(("", "v1", None, "namespaces", Some("d"), Some("finalize"))));
    assert_eq!(ResourcePath::parse("/api/v1/namespaces/d").unwrap().scope(), "d");
}

#[test]
fn other_paths_are_not() {
    for path in
        ["/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz", "/openapi/v3/api/v1", ""]
    {
        check(path, None);
    }
}

#[test]
fn segments_are_decoded_once() {
    check(
        "/api/v1/namespaces/d/pods/a%2Fb%20c%2525",
        Some(("", "v1", Some("d"), "pods", Some("a/b c%25"), None)),
    );
    check("/api/v1/namespaces/d/pods/%ff", Some(("", "v1", Some("d"), "pods", Some("\u{fffd}"), None)));
}

#[test]
fn verbs() {
    let verb = |method: Method, path: &str, query: &str| {
        Verb::of(&method, &ResourcePath::parse(path).unwrap(), &Query::parse(Some(query))).map(Verb::as_str)
    };
    assert_eq!(verb(Method::GET, "/api/v1/pods", ""), Some("list"));
    assert_eq!(verb(Method::GET, "/api/v1/pods", "watch=1"), Some("watch"));
    assert_eq!(verb(Method::GET, "/api/v1/pods", "watch=false"), Some("list"));
    assert_eq!(verb(Method::GET, "/api/v1/nodes/n", "watch=true"), Some("get"));
    assert_eq!(verb(Method::DELETE, "/api/v1/nodes", ""), Some("deletecollection"));
    assert_eq!(verb(Method::DELETE, "/api/v1/nodes/n", ""), Some("delete"));
    assert_eq!(verb(Method::OPTIONS, "/api/v1/nodes/n", ""), None);
}

#[test]
fn queries() {
    let query = Query::parse(Some("a=1&b=&c&a=2&d=x%20y&n=-5&m=1.5"));
    assert_eq!((query.get("a"), query.get("d"), query.get("z")), ("1", "x y", ""));
    assert!(query.flag("a") && query.flag("c") && !query.flag("z"));
    assert_eq!(query.number("n"), Ok(Some(-5)));
    assert_eq!(query.number("b"), Ok(None));
    assert!(query.number("m").is_err());
}
