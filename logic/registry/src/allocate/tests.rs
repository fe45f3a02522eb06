//! Allocation as whole plans (A5, A6, A8, A9) and as a property: nothing is ever handed out twice.

use super::*;
use serde_json::json;

fn ranges(cidrs: &str) -> Ranges {
    Ranges::parse(cidrs, (30_000, 32_767)).unwrap()
}

fn service(spec: Value) -> Object {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec})
}

fn free(_: &Claim) -> bool {
    false
}

fn created(spec: Value, cidrs: &str) -> Result<(Object, Plan), Status> {
    let mut service = service(spec);
    let plan = plan_create(&mut service, &ranges(cidrs), &free, 7)?;
    Ok((service, plan))
}

fn check_error(spec: Value, cidrs: &str, expected: &str) {
    assert_eq!(created(spec, cidrs).unwrap_err().message, expected);
}

const ONE: &str = "10.96.0.0/24";
const TWO: &str = "10.96.0.0/24,fd00::/112";

#[test]
fn a5_3_a_cluster_ip_comes_from_the_dynamic_band() {
    for random in 0..200 {
        let mut object = service(json!({"type": "ClusterIP"}));
        let plan = plan_create(&mut object, &ranges(ONE), &free, random).unwrap();
        let spec = &object["spec"];
        assert_eq!(spec["clusterIPs"], json!([spec["clusterIP"]]));
        assert_eq!((&spec["ipFamilies"], &spec["ipFamilyPolicy"]), (&json!(["IPv4"]), &json!("SingleStack")));
        let last: u8 = text(&spec["clusterIP"]).rsplit('.').next().unwrap().parse().unwrap();
        assert!((17..=254).contains(&last), "{last}");
        assert_eq!(plan.claims, claims_of(&object).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a5_2_and_a5_6_every_address_once_then_full() {
    let ranges = Ranges::parse("10.96.0.0/28", (30_000, 30_000)).unwrap();
    let mut taken = BTreeSet::new();
    for random in 0..14 {
        let mut object = service(json!({"type": "ClusterIP"}));
        let known = taken.clone();
        let plan = plan_create(&mut object, &ranges, &|claim| known.contains(claim), random).unwrap();
        assert!(taken.insert(plan.claims[0]), "handed out twice");
    }
    let addresses: Vec<String> = taken.iter().map(Claim::key).collect();
    assert!(
        !addresses.contains(&"clusterips/10.96.0.0".to_owned())
            && !addresses.contains(&"clusterips/10.96.0.15".to_owned())
    );
    let mut object = service(json!({"type": "ClusterIP"}));
    let error = plan_create(&mut object, &ranges, &|claim| taken.contains(claim), 1).unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (500, "Internal error occurred: failed to allocate a serviceIP: range is full")
    );
}

#[test]
fn a5_4_and_a5_5_an_address_that_was_asked_for() {
    let (object, plan) =
        created(json!({"type": "ClusterIP", "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"]}), ONE)
            .unwrap();
    assert_eq!(object["spec"]["clusterIP"], json!("10.96.0.10"));
    assert_eq!(plan.claims[0].key(), "clusterips/10.96.0.10");
    check_error(
        json!({"type": "ClusterIP", "clusterIP": "10.0.0.5", "clusterIPs": ["10.0.0.5"]}),
        ONE,
        "Service \"web\" is invalid: spec.clusterIPs: Invalid value: [\"10.0.0.5\"]: failed to allocate IP 10.0.0.5: the \
         provided network does not match the current range",
    );
    let mut object =
        service(json!({"type": "ClusterIP", "clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5"]}));
    let error = plan_create(&mut object, &ranges(ONE), &|_| true, 1).unwrap_err();
    assert_eq!(
        error.message,
        "Service \"web\" is invalid: spec.clusterIPs: Invalid value: [\"10.96.0.5\"]: failed to allocate IP 10.96.0.5: \
         provided IP is already allocated"
    );
}

#[test]
fn headless_and_external_name_get_no_address() {
    let (object, plan) = created(
        json!({"type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"], "selector": {"a": "b"}}),
        ONE,
    )
    .unwrap();
    assert_eq!(plan, Plan::default());
    assert_eq!(
        (&object["spec"]["ipFamilies"], &object["spec"]["ipFamilyPolicy"]),
        (&json!(["IPv4"]), &json!("SingleStack"))
    );
    // A2.10, A9.6
    let (object, _) =
        created(json!({"type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"]}), ONE).unwrap();
    assert_eq!(object["spec"]["ipFamilies"], json!(["IPv4", "IPv6"]));
    assert_eq!(object["spec"]["ipFamilyPolicy"], json!("RequireDualStack"));
    let (object, plan) = created(json!({"type": "ExternalName", "externalName": "a.b"}), ONE).unwrap();
    assert_eq!((plan, &object["spec"]["ipFamilies"]), (Plan::default(), &Value::Null));
}

#[test]
fn a9_families() {
    let (object, plan) =
        created(json!({"type": "ClusterIP", "ipFamilyPolicy": "PreferDualStack"}), TWO).unwrap();
    assert_eq!(object["spec"]["ipFamilies"], json!(["IPv4", "IPv6"]));
    assert_eq!(plan.claims.len(), 2);
    let (object, _) =
        created(json!({"type": "ClusterIP", "ipFamilyPolicy": "PreferDualStack"}), ONE).unwrap();
    assert_eq!(object["spec"]["ipFamilies"], json!(["IPv4"]));
    let (object, _) = created(
        json!({"type": "ClusterIP", "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]}),
        TWO,
    )
    .unwrap();
    assert_eq!(object["spec"]["ipFamilies"], json!(["IPv6", "IPv4"]));
    check_error(
        json!({"type": "ClusterIP", "ipFamilyPolicy": "RequireDualStack"}),
        ONE,
        "Service \"web\" is invalid: spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not \
         configured for dual-stack services",
    );
    check_error(
        json!({"type": "ClusterIP", "ipFamilies": ["IPv6"]}),
        ONE,
        "Service \"web\" is invalid: spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster",
    );
    check_error(
        json!({"type": "ClusterIP", "clusterIP": "fd00::1", "clusterIPs": ["fd00::1"]}),
        ONE,
        "Service \"web\" is invalid: spec.clusterIPs[0]: Invalid value: [\"fd00::1\"]: IPv6 is not configured on this cluster",
    );
}

#[test]
fn a6_node_ports_of_a_create() {
    let ports = json!([{"name": "t", "port": 53, "protocol": "TCP"}, {"name": "u", "port": 53, "protocol": "UDP"}, {"name": "m", "port": 9, "protocol": "TCP"}]);
    let (object, plan) = created(json!({"type": "NodePort", "ports": ports}), ONE).unwrap();
    let ports = &object["spec"]["ports"];
    assert_eq!(ports[0]["nodePort"], ports[1]["nodePort"], "A6.7");
    assert_ne!(ports[0]["nodePort"], ports[2]["nodePort"]);
    assert!((30_086..=32_767).contains(&walk::int(&ports[0]["nodePort"])), "A6.2");
    assert_eq!(plan.claims.len(), 3);
    let asked = json!([{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP", "nodePort": 30_053}]);
    let (object, _) = created(json!({"type": "NodePort", "ports": asked}), ONE).unwrap();
    assert_eq!(object["spec"]["ports"][0]["nodePort"], json!(30_053), "A6.7");
    let apart = json!([{"port": 53, "protocol": "TCP", "nodePort": 30_054}, {"port": 53, "protocol": "UDP", "nodePort": 30_053}]);
    let (object, _) = created(json!({"type": "NodePort", "ports": apart}), ONE).unwrap();
    assert_eq!(object["spec"]["ports"], apart, "A6.8");
    check_error(
        json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}),
        ONE,
        "Service \"web\" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. \
         The range of valid ports is 30000-32767",
    );
}

#[test]
fn a6_4_a_port_that_is_taken() {
    let mut object = service(
        json!({"type": "NodePort", "clusterIP": "None", "ports": [{"port": 80, "nodePort": 30_080}]}),
    );
    let taken = |claim: &Claim| *claim == Claim::NodePort(30_080);
    let error = plan_create(&mut object, &ranges(ONE), &taken, 1).unwrap_err();
    assert_eq!(
        error.message,
        "Service \"web\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated"
    );
}

#[test]
fn a6_10_and_a6_11_load_balancers() {
    let spec = json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "externalTrafficPolicy": "Local", "ports": [{"port": 80}]});
    let (object, plan) = created(spec, ONE).unwrap();
    assert_eq!(object["spec"]["ports"][0]["nodePort"], Value::Null);
    let health = walk::int(&object["spec"]["healthCheckNodePort"]);
    assert!(plan.claims.contains(&Claim::NodePort(u16::try_from(health).unwrap())));
}

fn updated(old: Value, new: Value) -> (Object, Plan) {
    let mut new = service(new);
    let plan = plan_update(&mut new, &service(old), &ranges(ONE), &free, 3).unwrap();
    (new, plan)
}

#[test]
fn a8_transitions() {
    let held = json!({"type": "NodePort", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"], "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack", "ports": [{"port": 80, "nodePort": 30_080, "protocol": "TCP"}]});
    // Nothing changes: nothing claimed, nothing released.
    let (object, plan) = updated(held.clone(), held.clone());
    assert_eq!((object["spec"].clone(), plan), (held.clone(), Plan::default()));
    // To ExternalName: everything goes back.
    let (_, plan) = updated(
        held.clone(),
        json!({"type": "ExternalName", "externalName": "a.b", "ports": [{"port": 80}]}),
    );
    let all = vec![Claim::ClusterIp("10.96.0.9".parse().unwrap()), Claim::NodePort(30_080)];
    assert_eq!((plan.claims, plan.releases), (vec![], all.clone()));
    // From ExternalName: an address is found.
    let (object, plan) =
        updated(json!({"type": "ExternalName"}), json!({"type": "ClusterIP", "ports": [{"port": 80}]}));
    assert_eq!(plan.claims, claims_of(&object).into_iter().collect::<Vec<_>>());
    assert_eq!(plan.claims.len(), 1);
    // To ClusterIP: the port goes back.
    let mut plain = held.clone();
    plain["type"] = json!("ClusterIP");
    walk::cut(&mut plain["ports"][0], "nodePort");
    assert_eq!(updated(held.clone(), plain).1.releases, vec![Claim::NodePort(30_080)]);
    // A6.9: one port more, one port other.
    let mut more = held.clone();
    more["ports"] =
        json!([{"port": 80, "nodePort": 30_081, "protocol": "TCP"}, {"port": 81, "protocol": "TCP"}]);
    let (object, plan) = updated(held, more);
    assert_eq!(plan.releases, vec![Claim::NodePort(30_080)]);
    assert!(plan.claims.contains(&Claim::NodePort(30_081)) && plan.claims.len() == 2);
    assert_ne!(object["spec"]["ports"][1]["nodePort"], Value::Null);
    assert_eq!(plan_delete(&object).len(), 3);
}

#[test]
fn ranges_are_checked() {
    let check = |cidrs: &str, expected: &str| {
        assert_eq!(Ranges::parse(cidrs, (1, 2)).unwrap_err().to_string(), expected);
    };
    check("10.96.0.1/24", "service CIDR \"10.96.0.1/24\" is not a network such as 10.96.0.0/16");
    check("fd00::/48", "service CIDR fd00::/48: shortest allowed prefix length for service CIDR is 64");
    check("10.96.0.0/31", "service CIDR 10.96.0.0/31 has no address to hand out");
    check("10.96.0.0/24,10.97.0.0/24", "service CIDRs must be one, or two of different IP families");
    assert!(Ranges::parse("10.96.0.0/24", (5, 4)).is_err());
    assert_eq!(ranges(ONE).service_cidrs[0].first_address().to_string(), "10.96.0.1");
    assert_eq!(ranges(ONE).port_bands(), (30_000..=30_085, 30_086..=32_767));
}
