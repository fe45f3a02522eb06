//! That the judges of what is scarce see what is wrong, with an API that did not.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kelson_plans::Key;
use serde_json::{Value, json};

use super::{ports, quotas};
use crate::api::{Api, Part, Place, Write};
use crate::random::Random;
use crate::world::resource;

fn api() -> Api {
    let mut api = Api::new(Random(1), Timestamp::from_second(1_700_000_000).unwrap());
    let mut create = |object: Value| drop(api.create(object).unwrap());
    create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}));
    create(
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}}),
    );
    api
}

fn pod(api: &mut Api, name: &str, port: i64) -> Place {
    let container = json!({"name": "c", "image": "i", "ports": [{"containerPort": 80, "hostPort": port}]});
    let metadata = json!({"name": name, "namespace": "default"});
    let pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}});
    api.create(pod).unwrap()
}

fn bind(api: &mut Api, place: &Place) -> Write {
    let before = api.get(&place.resource, &place.key).cloned();
    api.edit(place, Part::Internal, |pod| pod["spec"]["nodeName"] = "n".into()).unwrap();
    Write { place: place.clone(), before, after: api.get(&place.resource, &place.key).cloned() }
}

#[test]
fn a_port_held_twice_is_seen() {
    let mut api = api();
    let places = [("a", 80), ("b", 81), ("c", 80)].map(|(name, port)| pod(&mut api, name, port));
    let mut judged = places.iter().map(|place| {
        let write = bind(&mut api, place);
        ports::look(&write, &api, &BTreeSet::new())
    });
    assert_eq!((judged.next().unwrap(), judged.next().unwrap()), (Ok(true), Ok(true)));
    assert!(judged.next().unwrap().unwrap_err().contains("both hold port 80 of n"));
}

#[test]
fn what_came_past_a_quota_is_seen() {
    let mut api = api();
    let place = pod(&mut api, "a", 80);
    let quota = |pods: &str| {
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "default"},
            "spec": {"hard": {"pods": pods}}})
    };
    let made =
        Write { place: place.clone(), before: None, after: api.get(&place.resource, &place.key).cloned() };
    let of_quota = api.create(quota("1")).unwrap();
    assert_eq!(quotas::look(&made, &api), Ok(()));
    api.edit(&of_quota, Part::Main, |quota| quota["spec"]["hard"]["pods"] = "0".into()).unwrap();
    assert!(quotas::look(&made, &api).unwrap_err().contains("came past quota default/q: pods is 1 of 0"));
    // The API itself lets nothing past, and its count is that of what is there.
    api.edit(&of_quota, Part::Main, |quota| quota["spec"]["hard"]["pods"] = "2".into()).unwrap();
    pod(&mut api, "b", 80);
    let refused = api
        .create(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "c", "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "i"}]}}));
    assert!(
        format!("{refused:?}")
            .contains("exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2")
    );
    let known = api.get(&resource("resourcequotas"), &Key::new("default", "q")).unwrap();
    assert_eq!(known["status"]["used"], json!({"pods": "2"}));
}
