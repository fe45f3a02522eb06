//! ServiceAccount: the account and the CA of every namespace.

use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use serde_json::json;

use crate::world::World;
use crate::{Kept, Key};

fn world(phase: serde_json::Value) -> World {
    let mut world = World::new(1);
    world.view.settings.root_ca = Some("PEM".to_owned());
    let mut namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}});
    namespace["metadata"]["deletionTimestamp"] = phase;
    world.create(namespace).unwrap();
    world.settle(|_| {});
    world
}

#[test]
fn every_namespace_has_an_account_and_the_ca() {
    let mut world = world(json!(null));
    assert!(world.get::<ServiceAccount>(&Key::new("team", "default")).is_some());
    let key = Key::new("team", "kube-root-ca.crt");
    let map = world.get::<ConfigMap>(&key).unwrap();
    assert_eq!(map.data.unwrap()["ca.crt"], "PEM");
    assert!(
        map.metadata.annotations.unwrap()["kubernetes.io/description"]
            .starts_with("Contains a CA bundle that can be used to verify the kube-apiserver")
    );
    world.edit::<ConfigMap>(&key, |map| map["data"] = json!({"ca.crt": "forged", "more": "x"}));
    world.delete(&ServiceAccount::RESOURCE, &Key::new("team", "default"), None, false);
    world.settle(|_| {});
    assert_eq!(json!(world.get::<ConfigMap>(&key).unwrap().data), json!({"ca.crt": "PEM"}));
    assert!(world.get::<ServiceAccount>(&Key::new("team", "default")).is_some());
}

#[test]
fn a_namespace_on_its_way_out_gets_nothing() {
    let world = world(json!(crate::world::time(0)));
    assert!(world.all::<ServiceAccount>().is_empty());
    assert!(world.all::<ConfigMap>().is_empty());
}
