//! Ownership by the rules of structured merge, on a small type with one of each: the rows are upstream's behaviour.

use serde_json::{Value, json};

use super::*;
use crate::meta;

fn field(name: &str, shape: Shape) -> Field {
    Field { name: name.into(), shape, by_value: matches!(name, "metadata" | "spec" | "status") }
}

fn key(name: &str, default: Option<Value>) -> Key {
    Key { name: name.into(), default }
}

fn keyed(keys: Vec<Key>, item: Shape) -> Shape {
    Shape::Keyed(Box::new(Keyed { keys, item }))
}

fn texts() -> Shape {
    Shape::Map(Box::new(Shape::Leaf))
}

/// 0 the object, 1 its metadata, 2 its spec, 3 a container, 4 a port, 5 a strategy.
fn schema() -> Schema {
    let structs = vec![
        vec![
            field("apiVersion", Shape::Leaf),
            field("kind", Shape::Leaf),
            field("metadata", Shape::Struct(1)),
            field("spec", Shape::Struct(2)),
            field("status", texts()),
        ],
        vec![
            field("annotations", texts()),
            field("finalizers", Shape::Set),
            field("labels", texts()),
            field("managedFields", Shape::Leaf),
            field("name", Shape::Leaf),
            field("resourceVersion", Shape::Leaf),
        ],
        vec![
            field("containers", keyed(vec![key("name", None)], Shape::Struct(3))),
            field("replicas", Shape::Leaf),
            field("selector", Shape::Leaf),
            field("strategy", Shape::Struct(5)),
        ],
        vec![
            field("args", Shape::Leaf),
            field("image", Shape::Leaf),
            field("name", Shape::Leaf),
            field(
                "ports",
                keyed(
                    vec![key("containerPort", None), key("protocol", Some(json!("TCP")))],
                    Shape::Struct(4),
                ),
            ),
        ],
        vec![field("containerPort", Shape::Leaf), field("name", Shape::Leaf), field("protocol", Shape::Leaf)],
        vec![field("surge", Shape::Leaf), field("type", Shape::Leaf)],
    ];
    Schema { structs: structs.into_iter().map(|fields| Struct { fields }).collect() }
}

const ROOT: Shape = Shape::Struct(0);

fn writer<'a>(name: &'a str, now: &'a str, ignored: &'a Set) -> Writer<'a> {
    Writer { name, api_version: "apps/v1", subresource: "", now, ignored }
}

/// `live` after `name` wrote `new` over it.
fn updated(name: &str, live: &Value, new: Value) -> Value {
    let (mut new, ignored) = (new, Set::of_fields(&[&["status"]]));
    update(&schema(), &ROOT, live, &mut new, &writer(name, "2026-01-01T00:00:00Z", &ignored));
    new
}

fn applied(name: &str, live: &Value, config: Value, force: bool) -> Result<Value, Conflicts> {
    let ignored = Set::of_fields(&[&["status"]]);
    apply(&schema(), &ROOT, live, &config, &writer(name, "2026-01-02T00:00:00Z", &ignored), force)
}

fn owned(object: &Value, name: &str) -> Value {
    let owners = Owners::of(object).expect("managed fields are read back");
    let found = owners.0.iter().find(|owner| owner.identity.name == name);
    found.map_or(Value::Null, |owner| owner.fields.to_json())
}

/// The object without its owners.
fn bare(mut object: Value) -> Value {
    meta::remove(&mut object, &["metadata", "managedFields"]);
    object
}

fn spec(spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "D", "metadata": {"name": "d"}, "spec": spec})
}

#[test]
fn a_created_object_belongs_to_its_creator() {
    let mut object = spec(
        json!({"replicas": 1, "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]}),
    );
    meta::set(&mut object, &["metadata", "labels"], json!({"a": "b"}));
    object["status"] = json!({"phase": "x"});
    let created = updated("kubectl-create", &json!({}), object);
    let expected = json!({
        "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
        "f:spec": {"f:replicas": {}, "f:containers": {".": {}, "k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:name": {},
            "f:ports": {".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}},
    });
    assert_eq!(owned(&created, "kubectl-create"), expected);
}

#[test]
fn an_update_takes_what_it_changes_and_nothing_else() {
    let created = updated("one", &json!({}), spec(json!({"replicas": 1, "strategy": {"type": "A"}})));
    let mut new = created.clone();
    new["spec"]["replicas"] = json!(2);
    let changed = updated("two", &created, new);
    assert_eq!(owned(&changed, "one"), json!({"f:spec": {"f:strategy": {".": {}, "f:type": {}}}}));
    assert_eq!(owned(&changed, "two"), json!({"f:spec": {"f:replicas": {}}}));
    assert_eq!(
        updated("three", &changed, changed.clone()),
        changed,
        "a write of nothing changes no owner and no time"
    );
}

#[test]
fn removed_fields_are_nobodys() {
    let created = updated("one", &json!({}), spec(json!({"replicas": 1, "strategy": {"type": "A"}})));
    let mut new = created.clone();
    meta::remove(&mut new, &["spec", "strategy"]);
    assert_eq!(owned(&updated("two", &created, new), "one"), json!({"f:spec": {"f:replicas": {}}}));
}

#[test]
fn owners_can_be_forgotten_or_set_by_an_update() {
    let created = updated("one", &json!({}), spec(json!({"replicas": 1})));
    let mut reset = created.clone();
    reset["metadata"]["managedFields"] = json!([{}]);
    assert_eq!(owned(&updated("two", &created, reset), "one"), Value::Null);
    let mut renamed = created.clone();
    renamed["metadata"]["managedFields"][0]["manager"] = json!("other");
    let renamed = updated("two", &created, renamed);
    assert_eq!(
        (owned(&renamed, "one"), owned(&renamed, "other")),
        (Value::Null, json!({"f:spec": {"f:replicas": {}}}))
    );
}

#[test]
fn applying_states_all_the_applier_wants() {
    let first = applied(
        "me",
        &json!({}),
        spec(
            json!({"replicas": 1, "containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}),
        ),
        false,
    )
    .unwrap();
    assert_eq!(
        owned(&first, "me")["f:spec"]["f:containers"]["k:{\"name\":\"a\"}"],
        json!({".": {}, "f:image": {}, "f:name": {}})
    );
    // The server filled in what nobody stated.
    let mut live = first.clone();
    live["spec"]["strategy"] = json!({"type": "Rolling"});
    let second =
        applied("me", &live, spec(json!({"containers": [{"name": "b", "image": "z"}]})), false).unwrap();
    assert_eq!(
        bare(second.clone())["spec"],
        json!({"containers": [{"name": "b", "image": "z"}], "strategy": {"type": "Rolling"}})
    );
    assert_eq!(Owners::of(&second).unwrap().0.len(), 1);
    let again =
        applied("me", &second, spec(json!({"containers": [{"name": "b", "image": "z"}]})), false).unwrap();
    assert_eq!(again, second, "applying the same again changes nothing");
}

#[test]
fn fields_another_applier_states_stay() {
    let first = applied(
        "me",
        &json!({}),
        spec(json!({"replicas": 3, "containers": [{"name": "a", "image": "x"}]})),
        false,
    )
    .unwrap();
    let both = applied("you", &first, spec(json!({"replicas": 3})), false).unwrap();
    let left =
        applied("me", &both, spec(json!({"containers": [{"name": "a", "image": "x"}]})), false).unwrap();
    assert_eq!(bare(left)["spec"]["replicas"], json!(3));
}

#[test]
fn a_conflict_names_owner_and_field() {
    let live = updated(
        "kubectl-client-side-apply",
        &json!({}),
        spec(json!({"replicas": 1, "strategy": {"type": "A"}})),
    );
    let one = applied("me", &live, spec(json!({"replicas": 2})), false).unwrap_err();
    assert_eq!(
        one.to_string(),
        "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using apps/v1: .spec.replicas"
    );
    let two =
        applied("me", &live, spec(json!({"replicas": 2, "strategy": {"type": "B"}})), false).unwrap_err();
    assert_eq!(
        two.to_string(),
        "Apply failed with 2 conflicts: conflicts with \"kubectl-client-side-apply\" using apps/v1:\n- .spec.replicas\n- .spec.strategy.type"
    );
    let forced = applied("me", &live, spec(json!({"replicas": 2})), true).unwrap();
    assert_eq!(owned(&forced, "me"), json!({"f:spec": {"f:replicas": {}}}));
    assert_eq!(
        owned(&forced, "kubectl-client-side-apply"),
        json!({"f:spec": {"f:strategy": {".": {}, "f:type": {}}}})
    );
    let same = applied("me", &live, spec(json!({"replicas": 1})), false).unwrap();
    assert_eq!(
        owned(&same, "kubectl-client-side-apply")["f:spec"]["f:replicas"],
        json!({}),
        "equal values are shared"
    );
}

#[test]
fn kubectl_takes_over_what_client_side_apply_set() {
    let mut object = spec(json!({"replicas": 1}));
    let last = spec(json!({"replicas": 1})).to_string();
    meta::set_annotation(&mut object, "kubectl.kubernetes.io/last-applied-configuration", &last);
    let live = updated("kubectl-client-side-apply", &json!({}), object);
    let taken = applied("kubectl", &live, spec(json!({"replicas": 2})), false).unwrap();
    assert_eq!(taken["spec"]["replicas"], json!(2));
    let annotation =
        meta::annotation(&taken, "kubectl.kubernetes.io/last-applied-configuration").unwrap().to_owned();
    assert!(annotation.contains("\"replicas\":2"));
    let mut drifted = live.clone();
    drifted["spec"]["replicas"] = json!(9);
    let refused = applied("kubectl", &drifted, spec(json!({"replicas": 2})), false).unwrap_err();
    assert_eq!(refused.0.len(), 1, "what is not as it was applied stays in conflict");
}

fn check_merge(live: Value, config: Value, expected: Value) {
    assert_eq!(merge(&schema(), &ROOT, &spec(live), &spec(config.clone()))["spec"], expected, "{config}");
}

#[test]
fn lists_merge_by_their_keys_in_the_configurations_order() {
    let names = |names: &[&str]| json!({"containers": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
    check_merge(names(&["a", "b", "c"]), names(&["b"]), names(&["a", "b", "c"]));
    check_merge(names(&["a", "b"]), names(&["b", "a"]), names(&["b", "a"]));
    check_merge(names(&["a", "b"]), names(&["n", "b"]), names(&["a", "n", "b"]));
    check_merge(names(&[]), names(&["x", "y"]), names(&["x", "y"]));
    check_merge(
        json!({"containers": [{"name": "a", "image": "i", "args": ["x", "y"], "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}),
        json!({"containers": [{"name": "a", "args": ["z"], "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 80, "protocol": "UDP"}]}]}),
        json!({"containers": [{"name": "a", "image": "i", "args": ["z"], "ports": [
            {"containerPort": 80, "protocol": "TCP", "name": "http"}, {"containerPort": 80, "protocol": "UDP"}]}]}),
    );
}

#[test]
fn sets_of_paths_are_read_back_as_written() {
    let text = json!({"f:metadata": {"f:finalizers": {".": {}, "v:\"x\"": {}}}, "f:spec": {"f:containers": {
        "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}, "i:3": {}}}});
    let set = Set::from_json(&text).unwrap();
    assert_eq!(set.to_json(), text);
    let paths: Vec<String> =
        set.paths().iter().map(|path| path.iter().map(Element::to_string).collect()).collect();
    assert_eq!(
        paths,
        [
            ".metadata.finalizers",
            ".metadata.finalizers[=\"x\"]",
            ".spec.containers[containerPort=80,protocol=\"TCP\"]",
            ".spec.containers[containerPort=80,protocol=\"TCP\"].name",
            ".spec.containers[3]"
        ]
    );
    for nonsense in [json!([]), json!({"x": {}}), json!({"q:x": {}}), json!({"k:[]": {}}), json!({"f:a": 1})]
    {
        assert_eq!(Set::from_json(&nonsense), None, "{nonsense}");
    }
}

#[test]
fn old_updaters_are_remembered_together() {
    let mut object = updated("first", &json!({}), spec(json!({"replicas": 0})));
    for n in 0..20 {
        let mut new = object.clone();
        meta::set(&mut new, &["metadata", "labels", &format!("l{n}")], "x");
        object = updated(&format!("u{n}"), &object, new);
    }
    let owners = Owners::of(&object).unwrap();
    assert_eq!(owners.0.len(), 10);
    assert!(owners.0.iter().any(|owner| owner.identity.name == "ancient-changes"));
    let all = owners.0.iter().fold(Set::default(), |all, owner| all.union(&owner.fields));
    assert_eq!(all.to_json()["f:metadata"]["f:labels"].as_object().unwrap().len(), 21);
}

#[test]
fn what_nobody_owned_belongs_to_whoever_was_there_before() {
    let refused =
        applied("me", &spec(json!({"replicas": 1})), spec(json!({"replicas": 2})), false).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using apps/v1: .spec.replicas"
    );
}

#[test]
fn paths_show_items_by_their_keys() {
    let object = spec(json!({"containers": [{"name": "a"}, {"name": "b", "imag": "x", "args": [{"y": 1}]}]}));
    let check = |path: &str, expected: &str| assert_eq!(shown(&schema(), &ROOT, &object, path), expected);
    check("spec.containers[1].imag", ".spec.containers[name=\"b\"].imag");
    check("spec.containers[1].args[0].y", ".spec.containers[name=\"b\"].args[0].y");
    check("spec.foo", ".spec.foo");
    check("spec.containers[9].x", ".spec.containers[].x");
}
