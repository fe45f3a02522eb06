//! What LimitRanges give, and upstream's words for what they refuse.

use super::*;
use serde_json::json;

fn ranges(items: Value) -> Vec<LimitRange> {
    vec![serde_json::from_value(json!({"metadata": {"name": "l"}, "spec": {"limits": items}})).unwrap()]
}

fn pod(resources: Value) -> Value {
    json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "resources": resources}]}})
}

fn check(items: Value, resources: Value, expected: Result<(), &str>) {
    let typed: Pod = serde_json::from_value(pod(resources.clone())).unwrap();
    let found = check_pod(&ranges(items), &typed);
    assert_eq!(found, expected.map_err(str::to_owned), "{resources}");
}

#[test]
fn what_is_left_open_is_given_and_said() {
    let items = json!([{"type": "Container", "default": {"cpu": "500m", "memory": "1Gi"},
        "defaultRequest": {"cpu": "100m", "memory": "512Mi"}}]);
    let mut given = pod(json!({"requests": {"cpu": "250m"}}));
    given["spec"]["initContainers"] = json!([{"name": "i"}]);
    assert!(complete(&ranges(items.clone()), &mut given));
    let container = &given["spec"]["containers"][0]["resources"];
    assert_eq!(
        *container,
        json!({"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"cpu": "500m", "memory": "1Gi"}})
    );
    assert_eq!(given["spec"]["initContainers"][0]["resources"]["requests"]["cpu"], "100m");
    assert_eq!(
        given["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
        "LimitRanger plugin set: memory request for container c; cpu, memory limit for container c; cpu, memory request \
         for init container i; cpu, memory limit for init container i"
    );
    // Who says all of it is left alone.
    let said = json!({"requests": {"cpu": "1", "memory": "1"}, "limits": {"cpu": "2", "memory": "2"}});
    let mut whole = pod(said);
    let before = whole.clone();
    assert!(!complete(&ranges(items), &mut whole));
    assert_eq!(whole, before);
}

#[test]
fn containers_are_held_to_least_and_most() {
    let least = || json!([{"type": "Container", "min": {"cpu": "100m"}}]);
    check(least(), json!({}), Err("minimum cpu usage per Container is 100m.  No request is specified"));
    let low = json!({"requests": {"cpu": "50m"}});
    check(least(), low, Err("minimum cpu usage per Container is 100m, but request is 50m"));
    let low = json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "99m"}});
    check(least(), low, Err("minimum cpu usage per Container is 100m, but limit is 99m"));
    check(least(), json!({"requests": {"cpu": "0.1"}}), Ok(()));
    let most = || json!([{"type": "Container", "max": {"memory": "1Gi"}}]);
    check(most(), json!({}), Err("maximum memory usage per Container is 1Gi.  No limit is specified"));
    let high = json!({"limits": {"memory": "1025Mi"}});
    check(most(), high, Err("maximum memory usage per Container is 1Gi, but limit is 1025Mi"));
    let high = json!({"limits": {"memory": "1Gi"}, "requests": {"memory": "2Gi"}});
    check(most(), high, Err("maximum memory usage per Container is 1Gi, but request is 2Gi"));
    check(most(), json!({"limits": {"memory": "1024Mi"}}), Ok(()));
}

#[test]
fn limits_are_held_to_a_multiple_of_requests() {
    let items = || json!([{"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}}]);
    let told = |end: &str| format!("cpu max limit to request ratio per Container is 2, but {end}");
    check(items(), json!({}), Err(&told("no request is specified or request is 0")));
    let bare = json!({"requests": {"cpu": "1"}});
    check(items(), bare, Err(&told("no limit is specified or limit is 0")));
    let wide = json!({"requests": {"cpu": "300m"}, "limits": {"cpu": "1"}});
    check(items(), wide, Err(&told("provided ratio is 3.333333")));
    check(items(), json!({"requests": {"cpu": "500m"}, "limits": {"cpu": "1"}}), Ok(()));
}

#[test]
fn several_faults_are_told_together_and_pods_as_a_whole() {
    let items = json!([{"type": "Container", "min": {"cpu": "100m"}, "max": {"cpu": "1"}}]);
    let why = "[minimum cpu usage per Container is 100m, but request is 50m, maximum cpu usage per Container is 1, but \
               limit is 2]";
    check(items, json!({"requests": {"cpu": "50m"}, "limits": {"cpu": "2"}}), Err(why));
    let mut two = pod(json!({"requests": {"cpu": "600m"}, "limits": {"cpu": "600m"}}));
    let second = two["spec"]["containers"][0].clone();
    two["spec"]["containers"].as_array_mut().unwrap().push(second);
    let typed: Pod = serde_json::from_value(two).unwrap();
    let items = json!([{"type": "Pod", "max": {"cpu": "1"}}]);
    let why = "maximum cpu usage per Pod is 1, but limit is 1200m";
    assert_eq!(check_pod(&ranges(items), &typed), Err(why.to_owned()));
}

#[test]
fn claims_are_held_to_sizes_they_ask_for_anew() {
    let claim = |size: &str| -> PersistentVolumeClaim {
        let spec = json!({"resources": {"requests": {"storage": size}}});
        serde_json::from_value(json!({ "spec": spec })).unwrap()
    };
    let items =
        json!([{"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}]);
    let check = |size: &str, old: Option<&str>, expected: Result<(), &str>| {
        let found = check_claim(&ranges(items.clone()), &claim(size), old.map(claim).as_ref());
        assert_eq!(found, expected.map_err(str::to_owned), "{size}");
    };
    check("1Gi", None, Ok(()));
    let low = "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi";
    check("1Mi", None, Err(low));
    let high = "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi";
    check("3Gi", Some("1Gi"), Err(high));
    check("3Gi", Some("3Gi"), Ok(()));
}
