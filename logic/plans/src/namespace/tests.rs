//! Namespace: emptied, then let go, and its conditions in upstream's words.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ServiceAccount};
use serde_json::json;

use crate::world::{World, node};
use crate::{Action, Controller, Kept, Key, Task};

fn world() -> World {
    let mut world = World::with(vec![
        node("n"),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}, "spec": {"finalizers": ["kubernetes"]}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "team"}}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "team"}, "spec": {"nodeName": "n", "containers": []}}),
    ]);
    world.settle(|_| {});
    world
}

fn key() -> Key {
    Key::cluster("team")
}

/// What the API does when a namespace is deleted: it only marks it.
fn doom(world: &mut World) {
    let now = world.now;
    world.edit::<Namespace>(&key(), |namespace| {
        namespace["metadata"]["deletionTimestamp"] = json!(now);
        namespace["metadata"]["deletionGracePeriodSeconds"] = 1.into();
        namespace["status"] = json!({"phase": "Terminating"});
    });
    world.deliver_all();
}

#[test]
fn a_terminating_namespace_is_emptied_and_goes_last() {
    let mut world = world();
    assert!(world.get::<ServiceAccount>(&Key::new("team", "default")).is_some());
    doom(&mut world);
    world.settle(|world| {
        let left = world.all::<Pod>().len() + world.all::<ConfigMap>().len();
        assert!(world.get::<Namespace>(&key()).is_some() || left == 0, "gone before what is in it");
    });
    assert!(world.get::<Namespace>(&key()).is_none());
    assert!(world.all::<ServiceAccount>().is_empty());
}

#[test]
fn it_says_what_is_left() {
    let mut world = world();
    world.edit::<ConfigMap>(&Key::new("team", "c"), |map| {
        map["metadata"]["finalizers"] = json!(["example.com/hold"])
    });
    doom(&mut world);
    for _ in 0..3 {
        let plan = crate::plan(&world.view, &Task::new(Controller::Namespace, key()), world.now);
        world.carry(&plan);
        world.deliver_all();
    }
    let conditions = world.get::<Namespace>(&key()).unwrap().status.unwrap().conditions.unwrap();
    let said = |kind: &str| {
        conditions
            .iter()
            .find(|one| one.type_ == kind)
            .map(|one| (one.status.as_str(), one.message.as_deref().unwrap()))
    };
    let expected =
        "Some resources are remaining: configmaps. has 1 resource instances, pods. has 1 resource instances";
    assert_eq!(said("NamespaceContentRemaining"), Some(("True", expected)));
    let expected =
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances";
    assert_eq!(said("NamespaceFinalizersRemaining"), Some(("True", expected)));
    assert_eq!(
        said("NamespaceDeletionContentFailure"),
        Some(("False", "All content successfully deleted, may be waiting on finalization"))
    );
}

#[test]
fn it_is_let_go_only_if_the_api_agrees_that_it_is_empty() {
    let mut world = world();
    doom(&mut world);
    world.settle(|_| {});
    let mut world = self::world();
    doom(&mut world);
    // An object that the view has not heard of.
    world.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late", "namespace": "team"}})).unwrap();
    let object = json!({"metadata": {"name": "team"}, "spec": {"finalizers": []}});
    let finalize =
        Action::Finalize { namespace: "team".to_owned(), object, empty: vec![ConfigMap::RESOURCE] };
    assert!(world.act(&finalize).is_err());
    assert!(world.get::<Namespace>(&key()).is_some());
}
