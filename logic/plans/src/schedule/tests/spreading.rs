//! topologySpreadConstraints over many nodes, as upstream counts them, and what pods would rather have around.

use serde_json::{Value, json};

use super::{check, claim, claiming, crowded, helpless, volume_on, with};
use crate::world::{node, pod};

const UNEVEN: &str = "node(s) didn't match pod topology spread constraints";

/// A node `name` in a zone.
fn zoned(name: &str, zone: &str) -> Value {
    with(node(name), |node| {
        node["metadata"]["labels"] = json!({"kubernetes.io/hostname": name, "zone": zone})
    })
}

/// A pod `app=web` on a node.
fn web_on(name: &str, node: &str) -> Value {
    with(pod(name, json!({"app": "web", "hash": "1"})), |pod| pod["spec"]["nodeName"] = node.into())
}

/// The pod `p`, also `app=web`, with one constraint over zones changed like this.
fn spreading(change: Value) -> Value {
    let mut constraint = json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}}});
    for (field, value) in change.as_object().into_iter().flatten() {
        constraint[field] = value.clone();
    }
    with(pod("p", json!({"app": "web", "hash": "2"})), |pod| {
        pod["spec"]["topologySpreadConstraints"] = json!([constraint])
    })
}

fn two_zones() -> Vec<Value> {
    vec![zoned("a1", "a"), zoned("a2", "a"), zoned("b1", "b")]
}

#[test]
fn the_emptier_zone_is_the_only_one() {
    check([two_zones(), vec![web_on("1", "a1"), spreading(json!({}))]].concat(), Ok("b1"));
    check([two_zones(), vec![web_on("1", "b1"), spreading(json!({}))]].concat(), Ok("a1"));
    // Two more would be too many, three would not.
    let lopsided = || [two_zones(), vec![web_on("1", "a1"), web_on("2", "a2")]].concat();
    let full_b = with(zoned("b1", "b"), |node| node["spec"] = json!({"unschedulable": true}));
    let without_b = || {
        let mut nodes = lopsided();
        nodes[2] = full_b.clone();
        nodes
    };
    let why = "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match pod topology spread constraints. no new claims to deallocate, preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod.";
    check([without_b(), vec![spreading(json!({}))]].concat(), Err(why));
    check([without_b(), vec![spreading(json!({"maxSkew": 3}))]].concat(), Ok("a1"));
}

#[test]
fn what_should_be_even_only_orders_the_nodes() {
    let anyway = json!({"whenUnsatisfiable": "ScheduleAnyway"});
    let crowded = || [two_zones(), vec![web_on("1", "a1"), web_on("2", "a2")]].concat();
    check([crowded(), vec![spreading(anyway.clone())]].concat(), Ok("b1"));
    let only_a = || vec![zoned("a1", "a"), web_on("1", "a1"), web_on("2", "a1")];
    check([only_a(), vec![spreading(anyway)]].concat(), Ok("a1"));
}

#[test]
fn a_node_without_the_label_is_nowhere() {
    check(
        vec![node("n"), spreading(json!({}))],
        Err(&helpless(&format!("{UNEVEN} (missing required label)"))),
    );
    check(vec![node("n"), zoned("z", "a"), spreading(json!({}))], Ok("z"));
}

#[test]
fn too_few_domains_count_as_empty_ones() {
    let one_zone = || vec![zoned("n", "a"), web_on("1", "n")];
    check([one_zone(), vec![spreading(json!({}))]].concat(), Ok("n"));
    check([one_zone(), vec![spreading(json!({"minDomains": 2}))]].concat(), Err(&crowded(UNEVEN)));
    check([one_zone(), vec![spreading(json!({"minDomains": 2, "maxSkew": 2}))]].concat(), Ok("n"));
}

/// The pods of another revision do not count.
#[test]
fn listed_labels_must_be_alike() {
    let crowd = || vec![zoned("n", "a"), web_on("1", "n"), zoned("m", "b")];
    let cordoned = with(zoned("m", "b"), |node| node["spec"] = json!({"unschedulable": true}));
    let alone = || vec![zoned("n", "a"), web_on("1", "n"), cordoned.clone()];
    check([crowd(), vec![spreading(json!({}))]].concat(), Ok("m"));
    check([alone(), vec![spreading(json!({"matchLabelKeys": ["hash"]}))]].concat(), Ok("n"));
    // The cordoned zone is empty and counts, unless taints are honoured.
    let tainted = with(zoned("m", "b"), |node| {
        node["spec"] = json!({"taints": [{"key": "x", "effect": "NoSchedule"}]})
    });
    let repelled = || vec![zoned("n", "a"), web_on("1", "n"), tainted.clone()];
    let why = "0/2 nodes are available: 1 node(s) didn't match pod topology spread constraints, 1 node(s) had untolerated taint(s). no new claims to deallocate, preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.";
    check([repelled(), vec![spreading(json!({}))]].concat(), Err(why));
    check([repelled(), vec![spreading(json!({"nodeTaintsPolicy": "Honor"}))]].concat(), Ok("n"));
}

/// Pods that leave, pods of other namespaces and nodes that the pod may not use do not count.
#[test]
fn only_what_stays_and_could_be_used_counts() {
    let leaving = with(web_on("1", "n"), |pod| {
        pod["metadata"]["deletionTimestamp"] = "2023-11-14T22:13:20Z".into();
        pod["metadata"]["deletionGracePeriodSeconds"] = 30.into();
    });
    let foreign = with(web_on("2", "n"), |pod| pod["metadata"]["namespace"] = "other".into());
    let nodes = || vec![zoned("n", "a"), zoned("o", "b")];
    check([nodes(), vec![leaving, foreign, spreading(json!({"minDomains": 2}))]].concat(), Ok("n"));
    let selecting = with(spreading(json!({})), |pod| pod["spec"]["nodeSelector"] = json!({"zone": "a"}));
    check([nodes(), vec![web_on("1", "n"), selecting.clone()]].concat(), Ok("n"));
    let ignoring = with(selecting, |pod| {
        pod["spec"]["topologySpreadConstraints"][0]["nodeAffinityPolicy"] = "Ignore".into()
    });
    let why = "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) didn't match pod topology spread constraints. no new claims to deallocate, preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.";
    check([nodes(), vec![web_on("1", "n"), ignoring]].concat(), Err(why));
}

/// A hundred pods over ten nodes of three zones, in one plan: no zone gets two more than another.
#[test]
fn one_plan_spreads_what_it_places_itself() {
    let mut objects: Vec<Value> =
        (0..10).map(|number| zoned(&format!("n{number}"), ["a", "b", "c"][number % 3])).collect();
    for number in 0..100 {
        objects
            .push(with(spreading(json!({})), |pod| pod["metadata"]["name"] = format!("p{number:03}").into()));
    }
    let world = crate::world::World::with(objects);
    let plan = crate::plan(&world.view, &super::task(), world.now);
    let mut zones = [0; 3];
    for action in plan.actions() {
        if let crate::Action::Bind { node, .. } = action {
            zones[node[1..].parse::<usize>().unwrap() % 3] += 1;
            let (least, most) = (zones.iter().min().unwrap(), zones.iter().max().unwrap());
            assert!(most - least <= 1, "{zones:?}");
        }
    }
    assert_eq!(zones.iter().sum::<i32>(), 100);
}

#[test]
fn company_is_sought_and_shunned_by_weight() {
    let liking = |kind: &str, weight: i32| {
        with(pod("p", json!({"app": "web"})), |pod| {
            pod["spec"]["affinity"] = json!({kind: {"preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": weight, "podAffinityTerm": {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"}}]}})
        })
    };
    let nodes = || vec![zoned("m", "a"), zoned("n", "b"), web_on("1", "n")];
    check([nodes(), vec![liking("podAffinity", 10)]].concat(), Ok("n"));
    check([nodes(), vec![liking("podAntiAffinity", 10)]].concat(), Ok("m"));
    // Those who are there have a say, too.
    let asking = with(liking("podAffinity", 10), |pod| {
        pod["metadata"]["name"] = "1".into();
        pod["spec"]["nodeName"] = "n".into();
    });
    let plain = pod("p", json!({"app": "web"}));
    check(vec![zoned("m", "a"), zoned("n", "b"), asking, plain], Ok("n"));
}

#[test]
fn a_claim_for_one_pod_keeps_others_out() {
    let exclusive =
        with(claim(Some("v")), |claim| claim["spec"]["accessModes"] = json!(["ReadWriteOncePod"]));
    let volume = with(volume_on("n"), |volume| {
        volume["spec"]["accessModes"] = json!(["ReadWriteOncePod"]);
        volume["spec"]["nodeAffinity"] = Value::Null;
    });
    let user = with(claiming("c"), |pod| {
        pod["metadata"]["name"] = "user".into();
        pod["spec"]["nodeName"] = "n".into();
    });
    let all =
        |user: Vec<Value>| [vec![node("n"), exclusive.clone(), volume.clone(), claiming("c")], user].concat();
    check(all(vec![]), Ok("n"));
    let why = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
    check(all(vec![user.clone()]), Err(&crowded(why)));
    let done = with(user, |pod| pod["status"] = json!({"phase": "Succeeded"}));
    check(all(vec![done]), Ok("n"));
}
