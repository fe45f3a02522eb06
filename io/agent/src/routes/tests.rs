//! Which pods a Service may be about to lead to.

use super::is_chosen;
use crate::services::{Known, Services, key};
use k8s_openapi::api::core::v1::{Pod, Service};
use serde_json::{Value, json};

/// Whether the pod `shop/p` of app web is chosen when these Services are in the namespace `of`.
fn check(of: &str, spec: Value, labels: Value, expected: bool) {
    let service = json!({"metadata": {"namespace": of, "name": "s", "labels": labels}, "spec": spec});
    let service: Service = serde_json::from_value(service).unwrap();
    let services: Services =
        Some(Known::of(&service).map(|known| (key(&service), known)).into_iter().collect());
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "p", "labels": {"app": "web"}}
    }))
    .unwrap();
    assert_eq!(is_chosen(&pod, &services), expected, "{of} {spec}");
}

#[test]
fn services_with_an_address_choose_by_their_selector() {
    let web = json!({"app": "web"});
    check("shop", json!({"clusterIP": "10.96.0.7", "selector": web}), json!({}), true);
    check("shop", json!({"clusterIP": "10.96.0.7", "selector": {"app": "db"}}), json!({}), false);
    check("shop", json!({"clusterIP": "10.96.0.7", "selector": {}}), json!({}), false);
    check("shop", json!({"clusterIP": "None", "selector": web}), json!({}), false);
    check("shopping", json!({"clusterIP": "10.96.0.7", "selector": web}), json!({}), false);
    let foreign = json!({"service.kubernetes.io/service-proxy-name": "other"});
    check("shop", json!({"clusterIP": "10.96.0.7", "selector": web}), foreign, false);
}

#[test]
fn before_services_are_known_any_pod_may_be_chosen() {
    assert!(is_chosen(&Pod::default(), &None));
}
