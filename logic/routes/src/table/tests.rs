//! The whole way: objects in, decisions out, for good requests and for nonsense.

use k8s_openapi::api::networking::v1::IngressClass;
use kelson_model::{Exposure, Snapshot};

use super::*;
use crate::test_world::{Random, compile, endpoint, ingress, objects, path, service, snapshot, told};

fn shop() -> Vec<Arc<Ingress>> {
    let paths = format!("{}, {}", path("Prefix", "/", "web"), path("Exact", "/other", "web"));
    let spec = format!("{{rules: [{{host: shop.example, http: {{paths: [{paths}]}}}}]}}");
    vec![ingress("shop", 1, &spec)]
}

fn world(addresses: &[&str]) -> Snapshot {
    let endpoints = addresses.iter().map(|address| endpoint(address, 8080, "ready")).collect();
    snapshot(vec![(service("web", Exposure::ClusterIp, &[":80"]), "", endpoints)])
}

fn route<'t>(table: &'t RouteTable, host: &str, path: &str) -> Route<'t> {
    match table.decide(host, path) {
        Decision::Backend(route) => route,
        Decision::NotFound => panic!("no rule for {host}{path}"),
    }
}

#[test]
fn a_request_finds_its_endpoints() {
    let (table, _) = compile(&shop(), &world(&["10.244.0.5"]));
    let route = route(&table, "shop.example", "/cart?item=1");
    assert_eq!(told(&route.backend.target), "10.244.0.5:8080");
    assert_eq!(table.backends().len(), 1, "two paths to one port of one Service are one backend");
    assert_eq!(table.decide("other.example", "/"), Decision::NotFound);
    assert_eq!((table.generation(), table.synced()), (3, true));
}

/// Endpoints come and go without new rules, so ids stay.
#[test]
fn a_change_of_endpoints_keeps_the_rules() {
    let mut compiler = Compiler::new(RouteConfig::new("Cluster.Local."));
    assert!(compiler.ingresses(&shop(), &[]).is_empty());
    let (before, after) =
        (compiler.compile(&world(&["10.244.0.5"])), compiler.compile(&world(&["10.244.0.6"])));
    assert!(before.same_rules(&after));
    assert_eq!(told(&after.backends()[0].target), "10.244.0.6:8080");
    compiler.ingresses(&shop(), &[]);
    assert!(!compiler.compile(&Snapshot::default()).same_rules(&after));
}

#[test]
fn ingresses_of_other_classes_have_no_rules() {
    let mut all = shop();
    Arc::make_mut(&mut all[0]).spec.as_mut().unwrap().ingress_class_name = Some("nginx".to_owned());
    let mut compiler = Compiler::new(RouteConfig::new("cluster.local"));
    let class = "metadata: {name: nginx}\nspec: {controller: kelson.dev/ingress}";
    compiler.ingresses(&all, &[]);
    assert_eq!(compiler.compile(&Snapshot::default()).decide("shop.example", "/"), Decision::NotFound);
    compiler.ingresses(&all, &objects::<IngressClass>(class));
    assert_ne!(compiler.compile(&Snapshot::default()).decide("shop.example", "/"), Decision::NotFound);
}

#[test]
fn plain_requests_are_redirected_unless_the_ingress_says_no() {
    let check = |annotation: Option<(&str, &str)>, expected: bool| {
        let mut all = shop();
        let annotations = annotation.map(|(key, value)| [(key.to_owned(), value.to_owned())].into());
        Arc::make_mut(&mut all[0]).metadata.annotations = annotations;
        let (table, _) = compile(&all, &Snapshot::default());
        assert_eq!(route(&table, "shop.example", "/").redirect, expected, "{annotation:?}");
    };
    check(None, true);
    check(Some(("nginx.ingress.kubernetes.io/ssl-redirect", "true")), true);
    check(Some(("nginx.ingress.kubernetes.io/ssl-redirect", "false")), false);
    check(Some(("ingress.kubernetes.io/ssl-redirect", "false")), false);
}

#[test]
fn nothing_a_client_sends_panics() {
    let (table, _) = compile(&shop(), &world(&["10.244.0.5"]));
    let mut random = Random(13);
    for _ in 0..20_000 {
        let host = random.text(&["shop", ".", "example", ":", "80", "[", "]", "*", "é", "\u{7f}"], 6);
        let path = random.text(&["/", "%", "2", "e", "..", ".", "é", "other", "\u{0}"], 10);
        let _ = (table.decide(&host, &path), table.certificate(&host));
    }
}
