//! What is kept of Services as they come and go.

use super::*;
use serde_json::{Value, json};
use std::sync::Arc;

fn service(name: &str, spec: Value) -> Arc<Service> {
    let service =
        json!({"metadata": {"namespace": "shop", "name": name, "labels": {"a": "b"}}, "spec": spec});
    Arc::new(serde_json::from_value(service).unwrap())
}

fn names(services: &Services) -> Vec<&str> {
    services.iter().flat_map(|known| known.keys()).map(|(_, name)| &**name).collect()
}

#[test]
fn services_with_an_address_are_kept_and_only_the_first_news_wakes() {
    let address = |last: u8| json!({"clusterIP": format!("10.96.0.{last}"), "selector": {"app": "web"}});
    let (a, b) = (service("a", address(1)), service("b", address(2)));
    let headless = service("h", json!({"clusterIP": "None", "selector": {"app": "web"}}));
    let mut services = None;
    let mut check = |change: Change<Service>, first: bool, expected: &[&str]| {
        assert_eq!(fold(&mut services, &change), first, "{change:?}");
        assert_eq!(names(&services), expected);
    };
    check(Change::Reset(vec![a.clone(), headless.clone()]), true, &["a"]);
    check(Change::Applied(b.clone()), false, &["a", "b"]);
    check(Change::Applied(headless), false, &["a", "b"]);
    check(
        Change::Applied(service("a", json!({"type": "ExternalName", "externalName": "x.y"}))),
        false,
        &["b"],
    );
    check(Change::Deleted(b), false, &[]);
    check(Change::Reset(vec![a]), false, &["a"]);
}
