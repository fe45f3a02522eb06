//! Patches: the RFCs' own examples, strategic directives, bounds, rubbish.

use serde_json::json;

use super::*;

fn check_json(document: Value, patch: Value, expected: Result<Value, &str>) {
    let mut target = document.clone();
    match (json_patch(&mut target, &patch), expected) {
        (Ok(()), Ok(expected)) => assert_eq!(target, expected, "{patch}"),
        (Err(error), Err(expected)) => {
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(target, document, "a failed patch changes nothing");
        }
        (outcome, expected) => panic!("{patch}: {outcome:?}, expected {expected:?}"),
    }
}

#[test]
fn json_patch_follows_rfc_6902() {
    let doc = || json!({"foo": {"bar": "baz"}, "list": [1, 2, 3], "a/b": {"m~n": 1}});
    check_json(json!({}), json!([{"op": "add", "path": "/a", "value": null}]), Ok(json!({"a": null})));
    check_json(
        json!({"l": ["a"]}),
        json!([{"op": "add", "path": "/l/0", "value": "b"}]),
        Ok(json!({"l": ["b", "a"]})),
    );
    check_json(
        json!({"l": ["a"]}),
        json!([{"op": "add", "path": "/l/-", "value": "b"}]),
        Ok(json!({"l": ["a", "b"]})),
    );
    check_json(
        json!({"l": ["a"]}),
        json!([{"op": "add", "path": "/l/2", "value": "b"}]),
        Err("missing path"),
    );
    check_json(json!({"l": [1, 2]}), json!([{"op": "remove", "path": "/l/-1"}]), Ok(json!({"l": [1]})));
    check_json(
        json!({"l": [1, 2]}),
        json!([{"op": "replace", "path": "/l/1", "value": 9}]),
        Ok(json!({"l": [1, 9]})),
    );
    check_json(
        json!({"l": [1, 2]}),
        json!([{"op": "replace", "path": "/l/01", "value": 9}]),
        Err("missing path"),
    );
    check_json(json!({"a": 1}), json!([{"op": "replace", "path": "", "value": 9}]), Ok(json!(9)));
    check_json(json!({"a": 1}), json!([{"op": "replace", "path": "/b", "value": 9}]), Err("missing path"));
    check_json(
        json!({"a": {"b": 1}, "c": {}}),
        json!([{"op": "move", "from": "/a/b", "path": "/c/d"}]),
        Ok(json!({"a": {}, "c": {"d": 1}})),
    );
    check_json(doc(), json!([{"op": "move", "from": "/foo", "path": "/foo/bar/x"}]), Err("into itself"));
    check_json(
        json!({"a": [1]}),
        json!([{"op": "copy", "from": "/a", "path": "/b"}]),
        Ok(json!({"a": [1], "b": [1]})),
    );
    check_json(doc(), json!([{"op": "test", "path": "/a~1b/m~0n", "value": 1.0}]), Ok(doc()));
    check_json(
        doc(),
        json!([{"op": "remove", "path": "/foo"}, {"op": "test", "path": "/list/0", "value": 2}]),
        Err("testing value failed"),
    );
    check_json(doc(), json!([{"op": "test", "path": "/absent", "value": null}]), Ok(doc()));
    check_json(doc(), json!([{"op": "leap", "path": "/foo"}]), Err("Unexpected kind: leap"));
    check_json(doc(), json!([{"op": "add", "path": "foo", "value": 1}]), Err("must start with '/'"));
    check_json(doc(), json!([{"op": "add", "path": "/foo"}]), Err("\"value\""));
    check_json(doc(), json!({"op": "add"}), Err("list of operations"));
    check_json(doc(), json!([1]), Err("\"path\""));
    check_json(doc(), json!([{"op": "add", "path": "/foo/bar/x", "value": 1}]), Err("missing path"));
}

#[test]
fn json_patch_is_bounded() {
    let operations: Vec<Value> =
        (0..=OPERATIONS_MAX).map(|_| json!({"op": "test", "path": "/a", "value": 1})).collect();
    check_json(
        json!({"a": 1}),
        Value::Array(operations),
        Err("The allowed maximum operations in a JSON patch is 10000, got 10001"),
    );
    let doubling: Vec<Value> = (0..40).map(|_| json!({"op": "copy", "from": "/a", "path": "/a/-"})).collect();
    check_json(json!({"a": ["x"]}), Value::Array(doubling), Err("accumulated size increase"));
    let nesting: Vec<Value> =
        (1..200).map(|n| json!({"op": "add", "path": "/a".repeat(n), "value": {}})).collect();
    check_json(json!({}), Value::Array(nesting), Err("nested deeper than 128"));
    let shifting: Vec<Value> = (0..1000).map(|_| json!({"op": "add", "path": "/a/0", "value": 1})).collect();
    check_json(json!({"a": vec![0; 100_000]}), Value::Array(shifting), Err("steps to apply"));
}

#[test]
fn statuses_follow_upstream() {
    assert_eq!(PatchError::Malformed("x".to_owned()).status().code, 400);
    assert_eq!(PatchError::TooLarge("x".to_owned()).status().code, 413);
    let unfit = PatchError::Unfit("x".to_owned()).status();
    assert_eq!(
        (unfit.code, unfit.message.as_str()),
        (422, "the server rejected our request due to an error in our request")
    );
}

#[test]
fn merge_patch_follows_rfc_7386() {
    for (mut target, patch, expected) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!(["a"]), json!({"a": "b", "c": null}), json!({"a": "b"})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        (json!({"a": 1}), json!([1]), json!([1])),
    ] {
        merge_patch(&mut target, &patch);
        assert_eq!(target, expected, "{patch}");
        merge_patch(&mut target, &patch);
        assert_eq!(target, expected, "applying twice changes nothing more");
    }
}

fn facts(path: &[&str]) -> Merge {
    match path {
        ["containers"] => Merge::ByKey("name"),
        ["containers", "ports"] => Merge::ByKey("containerPort"),
        ["finalizers"] => Merge::Set,
        ["whole"] => Merge::Replace,
        _ => Merge::Default,
    }
}

fn check(document: Value, patch: Value, expected: Result<Value, &str>) {
    let mut target = document.clone();
    match (strategic_merge(&mut target, patch.clone(), &facts), expected) {
        (Ok(()), Ok(expected)) => assert_eq!(target, expected, "{patch}"),
        (Err(error), Err(expected)) => {
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(target, document, "a failed patch changes nothing");
        }
        (outcome, expected) => panic!("{patch}: {outcome:?}, expected {expected:?}"),
    }
}

fn containers(names: &[&str]) -> Value {
    let list: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
    json!({"containers": list})
}

#[test]
fn lists_merge_by_key_or_are_replaced() {
    check(
        json!({"containers": [{"name": "a", "image": "1", "ports": [{"containerPort": 80, "name": "x"}]}, {"name": "b"}]}),
        json!({"containers": [{"name": "a", "image": "2", "ports": [{"containerPort": 80, "name": "y"}, {"containerPort": 81}]}]}),
        Ok(
            json!({"containers": [{"name": "a", "image": "2", "ports": [{"containerPort": 80, "name": "y"}, {"containerPort": 81}]}, {"name": "b"}]}),
        ),
    );
    check(json!({"args": ["a", "b"]}), json!({"args": ["c"]}), Ok(json!({"args": ["c"]})));
    check(json!({"whole": {"a": 1}}), json!({"whole": {"b": 2}}), Ok(json!({"whole": {"b": 2}})));
    check(
        json!({"m": {"a": 1, "b": 2}}),
        json!({"m": {"a": null, "c": 3}}),
        Ok(json!({"m": {"b": 2, "c": 3}})),
    );
    check(
        json!({"finalizers": ["a", "b"]}),
        json!({"finalizers": ["c", "a"]}),
        Ok(json!({"finalizers": ["c", "a", "b"]})),
    );
    check(json!({}), json!({"containers": [{"name": "a", "x": null}]}), Ok(containers(&["a"])));
    check(
        containers(&["a"]),
        json!({"containers": [{"image": "x"}]}),
        Err("does not contain declared merge key: name"),
    );
    check(containers(&["a"]), json!({"containers": [1]}), Err("expected a map"));
    check(json!({"m": {}}), json!([]), Err("must be a JSON object"));
}

#[test]
fn patch_directives() {
    check(
        containers(&["a", "b"]),
        json!({"containers": [{"name": "a", "$patch": "delete"}]}),
        Ok(containers(&["b"])),
    );
    check(
        containers(&["a", "b"]),
        json!({"containers": [{"name": "c"}, {"$patch": "replace"}]}),
        Ok(containers(&["c"])),
    );
    check(json!({"m": {"a": 1}}), json!({"m": {"$patch": "replace", "b": 2}}), Ok(json!({"m": {"b": 2}})));
    check(json!({"m": {"a": 1}, "n": 1}), json!({"m": {"$patch": "delete"}}), Ok(json!({"m": {}, "n": 1})));
    check(json!({"m": {"a": 1}}), json!({"m": {"$patch": "explode"}}), Err("unknown patch type"));
    check(
        json!({}),
        json!({"m": {"$patch": "delete"}, "containers": [{"name": "a", "$patch": "delete"}]}),
        Ok(json!({"m": {}, "containers": []})),
    );
}

#[test]
fn primitive_list_directives() {
    check(
        json!({"finalizers": ["a", "b", "c"]}),
        json!({"$deleteFromPrimitiveList/finalizers": ["b"], "finalizers": ["d"], "$setElementOrder/finalizers": ["d", "a", "c"]}),
        Ok(json!({"finalizers": ["d", "a", "c"]})),
    );
    check(
        json!({"finalizers": ["a"]}),
        json!({"$deleteFromPrimitiveList/finalizers": ["a"]}),
        Ok(json!({"finalizers": []})),
    );
    check(json!({}), json!({"$deleteFromPrimitiveList/finalizers": ["a"]}), Ok(json!({})));
    check(json!({}), json!({"$deleteFromPrimitiveList/finalizers": "a"}), Err("invalid patch format"));
}

#[test]
fn element_order_directives() {
    let order = |names: &[&str]| containers(names)["containers"].clone();
    check(
        containers(&["a", "b", "c"]),
        json!({"$setElementOrder/containers": order(&["c", "a"])}),
        Ok(containers(&["b", "c", "a"])),
    );
    check(
        containers(&["a", "b"]),
        json!({"$setElementOrder/containers": order(&["new", "a", "b"]), "containers": [{"name": "new"}]}),
        Ok(containers(&["new", "a", "b"])),
    );
    check(
        containers(&["a", "sidecar", "b"]),
        json!({"$setElementOrder/containers": order(&["a", "b"]), "containers": [{"name": "b", "image": "2"}]}),
        Ok(json!({"containers": [{"name": "a"}, {"name": "sidecar"}, {"name": "b", "image": "2"}]})),
    );
    check(
        containers(&["a", "b"]),
        json!({"$setElementOrder/containers": order(&["a"]), "containers": [{"name": "b"}]}),
        Err("doesn't match $setElementOrder"),
    );
}

#[test]
fn retain_keys_clears_the_rest() {
    check(
        json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}),
        json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}),
        Ok(json!({"strategy": {"type": "Recreate"}})),
    );
    check(
        json!({"strategy": {"type": "x"}}),
        json!({"strategy": {"$retainKeys": ["type"], "other": 1}}),
        Err("invalid patch format of retainKeys"),
    );
}

#[test]
fn a_patch_of_itself_changes_nothing() {
    for document in [
        json!({"containers": [{"name": "b", "ports": [{"containerPort": 1}]}, {"name": "a"}], "finalizers": ["x", "y"], "m": {"n": [1]}}),
        json!({"whole": {"a": {"b": 1}}}),
    ] {
        check(document.clone(), document.clone(), Ok(document));
    }
}

#[test]
fn rubbish_never_panics() {
    let odd = [
        json!(null),
        json!(1),
        json!([[[]]]),
        json!({"": {"": null}}),
        json!({"$patch": 1}),
        json!({"$retainKeys": 1}),
        json!({"containers": {}}),
        json!({"containers": [null]}),
        json!({"finalizers": [{}, []]}),
        json!({"$setElementOrder/containers": [1]}),
        json!({"$setElementOrder/": [], "$deleteFromPrimitiveList/": []}),
        json!([{"op": "add", "path": "/-/0", "value": 1}]),
    ];
    for document in &odd {
        for patch in &odd {
            let mut target = document.clone();
            merge_patch(&mut target, patch);
            let mut target = document.clone();
            let _ = json_patch(&mut target, patch);
            let _ = strategic_merge(&mut target, patch.clone(), &facts);
        }
    }
}
