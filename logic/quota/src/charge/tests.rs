//! Room, and upstream's words where there is none.

use super::*;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Service};
use serde_json::{Value, json};

fn quota(name: &str, spec: Value, hard: Value, used: Value) -> ResourceQuota {
    let quota = json!({"metadata": {"name": name}, "spec": spec, "status": {"hard": hard, "used": used}});
    serde_json::from_value(quota).unwrap()
}

fn plain(name: &str, hard: Value, used: Value) -> ResourceQuota {
    quota(name, json!({}), hard, used)
}

fn pod(spec: Value) -> Pod {
    let mut pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}});
    for (field, value) in spec.as_object().unwrap() {
        pod["spec"][field] = value.clone();
    }
    serde_json::from_value(pod).unwrap()
}

fn asking(requests: Value) -> Pod {
    pod(json!({"containers": [{"name": "c", "resources": {"requests": requests}}]}))
}

/// What each quota's `used` becomes, as text; or the refusal.
fn check(
    quotas: &[ResourceQuota],
    new: &Subject<'_>,
    old: Option<&Subject<'_>>,
    expected: Result<&[&str], &str>,
) {
    let quotas: Vec<&ResourceQuota> = quotas.iter().collect();
    let charged = charge(&quotas, new, old, Timestamp::from_second(0).unwrap());
    let told = charged.map(|charged| {
        let told = charged.iter().map(|charged| {
            let names: Vec<&str> = charged.used.keys().map(String::as_str).collect();
            format!("{}: {}", charged.index, amounts::told(&charged.used, &names))
        });
        told.collect::<Vec<String>>()
    });
    let expected = expected.map(|all| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
    assert_eq!(told, expected.map_err(str::to_owned));
}

fn check_pod(quotas: &[ResourceQuota], pod: &Pod, expected: Result<&[&str], &str>) {
    check(quotas, &Subject::Pod(pod), None, expected);
}

#[test]
fn one_more_fits_or_does_not() {
    let of = |used: &str| [plain("q", json!({"pods": "2"}), json!({"pods": used}))];
    check_pod(&of("1"), &pod(json!({})), Ok(&["0: pods=2"]));
    let why = "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2";
    check_pod(&of("2"), &pod(json!({})), Err(why));
    // Only what is exceeded is told, and what is limited but not asked for takes no part.
    let quota = [plain(
        "q",
        json!({"pods": "2", "requests.cpu": "1", "requests.memory": "1Gi", "secrets": "0"}),
        json!({"pods": "1", "requests.cpu": "500m", "requests.memory": "1Gi", "secrets": "5"}),
    )];
    let why = "exceeded quota: q, requested: requests.cpu=1,requests.memory=1Mi, used: \
               requests.cpu=500m,requests.memory=1Gi, limited: requests.cpu=1,requests.memory=1Gi";
    check_pod(&quota, &asking(json!({"cpu": "1", "memory": "1Mi"})), Err(why));
}

#[test]
fn every_quota_is_asked_and_those_concerned_count() {
    let quotas = [
        plain("a", json!({"secrets": "1"}), json!({"secrets": "0"})),
        plain("b", json!({"count/pods": "5"}), json!({"count/pods": "1"})),
        plain("c", json!({"pods": "1", "cpu": "2"}), json!({"pods": "0", "cpu": "0"})),
    ];
    let ok: &[&str] = &["1: count/pods=2", "2: cpu=1500m,pods=1"];
    check_pod(&quotas, &asking(json!({"cpu": "1500m"})), Ok(ok));
    let why = "exceeded quota: c, requested: cpu=3, used: cpu=0, limited: cpu=2";
    check_pod(&quotas, &asking(json!({"cpu": "3"})), Err(why));
}

#[test]
fn containers_must_say_what_is_limited() {
    let both = json!({"limits.cpu": "1", "requests.memory": "1Gi", "limits.ephemeral-storage": "1"});
    let quota = [plain("q", both.clone(), both)];
    let why = "failed quota: q: must specify limits.cpu for: c; requests.memory for: c";
    check_pod(&quota, &pod(json!({})), Err(why));
    let half = pod(json!({"containers": [
        {"name": "b", "resources": {"requests": {"memory": "1"}}}, {"name": "a"}],
        "initContainers": [{"name": "i", "resources": {"limits": {"cpu": "1"}}}]}));
    let why = "failed quota: q: must specify limits.cpu for: a,b; requests.memory for: a,i";
    check_pod(&quota, &half, Err(why));
}

#[test]
fn what_is_not_known_is_not_given() {
    let quota = [plain("q", json!({"pods": "2", "cpu": "1", "secrets": "1"}), json!({"secrets": "0"}))];
    let why = "status unknown for quota: q, resources: cpu,pods";
    check_pod(&quota, &asking(json!({"cpu": "1"})), Err(why));
    // A quota that has no status yet limits nothing: whoever counts gives it one.
    let bare: ResourceQuota =
        serde_json::from_value(json!({"metadata": {"name": "q"}, "spec": {"hard": {"pods": "0"}}})).unwrap();
    check_pod(&[bare], &pod(json!({})), Ok(&[]));
}

#[test]
fn scopes_narrow_a_quota() {
    let counted = |spec: Value, pod: &Pod, expected: bool| {
        let quota = quota("q", spec.clone(), json!({"pods": "1"}), json!({"pods": "0"}));
        let charged = charge(&[&quota], &Subject::Pod(pod), None, Timestamp::from_second(0).unwrap());
        assert_eq!(!charged.unwrap().is_empty(), expected, "{spec}");
    };
    let scopes = |scope: &str| json!({ "scopes": [scope] });
    let (least, more) = (pod(json!({})), asking(json!({"cpu": "1"})));
    counted(scopes("BestEffort"), &least, true);
    counted(scopes("BestEffort"), &more, false);
    counted(scopes("NotBestEffort"), &least, false);
    counted(scopes("NotBestEffort"), &more, true);
    let short = pod(json!({"activeDeadlineSeconds": 5}));
    counted(scopes("Terminating"), &short, true);
    counted(scopes("Terminating"), &least, false);
    counted(scopes("NotTerminating"), &short, false);
    counted(json!({"scopes": ["NotTerminating", "BestEffort"]}), &least, true);
    counted(json!({"scopes": ["NotTerminating", "BestEffort"]}), &more, false);
    let term = |operator: &str, values: Value| {
        json!({"scopeSelector": {"matchExpressions": [
        {"scopeName": "PriorityClass", "operator": operator, "values": values}]}})
    };
    let high = pod(json!({"priorityClassName": "high"}));
    counted(term("In", json!(["high", "top"])), &high, true);
    counted(term("In", json!(["low"])), &high, false);
    counted(term("NotIn", json!(["low"])), &high, true);
    counted(term("NotIn", json!(["high"])), &high, false);
    counted(term("Exists", json!([])), &high, true);
    counted(term("Exists", json!([])), &least, false);
    counted(term("DoesNotExist", json!([])), &least, true);
    let elsewhere = json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "h", "namespaces": ["other"]}]}}});
    counted(scopes("CrossNamespacePodAffinity"), &pod(elsewhere), true);
    counted(scopes("CrossNamespacePodAffinity"), &least, false);
}

#[test]
fn a_quota_with_scopes_is_about_pods_alone() {
    let quota =
        quota("q", json!({"scopes": ["BestEffort"]}), json!({"services": "0"}), json!({"services": "0"}));
    let service: Service = serde_json::from_value(json!({"spec": {}})).unwrap();
    check(&[quota], &Subject::Service(&service), None, Ok(&[]));
}

#[test]
fn changes_cost_what_they_add() {
    let service = |kind: &str, ports: usize| -> Service {
        let ports: Vec<Value> = (0..ports).map(|port| json!({"port": port + 1})).collect();
        serde_json::from_value(json!({"spec": {"type": kind, "ports": ports}})).unwrap()
    };
    let quota = [plain(
        "q",
        json!({"services": "1", "services.nodeports": "2", "services.loadbalancers": "0"}),
        json!({"services": "1", "services.nodeports": "0", "services.loadbalancers": "0"}),
    )];
    let check = |old: &Service, new: &Service, expected: Result<&[&str], &str>| {
        check(&quota, &Subject::Service(new), Some(&Subject::Service(old)), expected);
    };
    let used: &[&str] = &["0: services=1,services.loadbalancers=0,services.nodeports=2"];
    check(&service("ClusterIP", 2), &service("NodePort", 2), Ok(used));
    check(&service("NodePort", 2), &service("ClusterIP", 2), Ok(&[]));
    check(&service("NodePort", 2), &service("NodePort", 2), Ok(&[]));
    let why = "exceeded quota: q, requested: services.nodeports=3, used: services.nodeports=0, limited: services.nodeports=2";
    check(&service("ClusterIP", 1), &service("NodePort", 3), Err(why));
    let why = "exceeded quota: q, requested: services.loadbalancers=1, used: services.loadbalancers=0, limited: services.loadbalancers=0";
    check(&service("NodePort", 1), &service("LoadBalancer", 1), Err(why));
}

#[test]
fn a_claim_that_grows_costs_the_difference_and_a_pod_that_changes_nothing() {
    let claim = |size: &str| -> PersistentVolumeClaim {
        let spec = json!({"storageClassName": "gold", "resources": {"requests": {"storage": size}}});
        serde_json::from_value(json!({ "spec": spec })).unwrap()
    };
    let of_class = "gold.storageclass.storage.k8s.io/requests.storage";
    let quota = [plain("q", json!({of_class: "3Gi"}), json!({of_class: "1Gi"}))];
    let grows = |size: &str, expected: Result<&[&str], &str>| {
        let (old, new) = (claim("1Gi"), claim(size));
        check(&quota, &Subject::Claim(&new), Some(&Subject::Claim(&old)), expected);
    };
    grows("3Gi", Ok(&["0: gold.storageclass.storage.k8s.io/requests.storage=3Gi"]));
    grows(
        "4Gi",
        Err(
            "exceeded quota: q, requested: gold.storageclass.storage.k8s.io/requests.storage=3Gi, used: gold.storageclass.storage.k8s.io/requests.storage=1Gi, limited: gold.storageclass.storage.k8s.io/requests.storage=3Gi",
        ),
    );
    let full = [plain("q", json!({"pods": "0"}), json!({"pods": "1"}))];
    let pod = pod(json!({}));
    check(&full, &Subject::Pod(&pod), Some(&Subject::Pod(&pod)), Ok(&[]));
}

#[test]
fn nobody_gives_room_by_asking_for_less_than_nothing() {
    let quota = [plain("q", json!({"cpu": "1"}), json!({"cpu": "0"}))];
    let why = "quota usage is negative for resource(s): cpu,requests.cpu";
    check_pod(&quota, &asking(json!({"cpu": "-1"})), Err(why));
}
