//! Statuses counted anew, and that counting agrees with charging.

use super::*;
use crate::charge::charge;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

fn quota(spec: Value) -> ResourceQuota {
    serde_json::from_value(json!({"metadata": {"name": "q"}, "spec": spec})).unwrap()
}

fn pod(cpu: &str, phase: &str) -> Pod {
    let spec = json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]});
    serde_json::from_value(json!({"spec": spec, "status": {"phase": phase}})).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_second(1000).unwrap()
}

#[test]
fn everything_that_can_be_counted_is() {
    let hard = json!({"pods": "10", "requests.cpu": "4", "count/pods": "9", "secrets": "3",
        "count/deployments.apps": "2", "example.com/widget": "1"});
    let quota = quota(json!({ "hard": hard }));
    let mut tally = Tally::new(&quota, now());
    for pod in [pod("500m", "Running"), pod("1", "Pending"), pod("7", "Succeeded")] {
        tally.add(&Subject::Pod(&pod));
    }
    tally.add(&Subject::Other { group: "", plural: "secrets" });
    tally.add(&Subject::Other { group: "", plural: "configmaps" });
    let status = serde_json::to_value(tally.status()).unwrap();
    assert_eq!(status["hard"], hard);
    let used = json!({"pods": "2", "requests.cpu": "1500m", "count/pods": "3", "secrets": "1",
        "count/deployments.apps": "0"});
    assert_eq!(status["used"], used);
}

#[test]
fn the_kinds_to_look_through_are_known_by_their_names() {
    let check = |name: &str, expected: Option<(&str, &str)>| {
        let counted = counted(&quota(json!({"hard": {name: "1"}})));
        let counted: Vec<(&str, &str)> =
            counted.iter().map(|kind| (kind.group.as_str(), kind.plural.as_str())).collect();
        assert_eq!(counted, expected.into_iter().collect::<Vec<_>>(), "{name}");
    };
    for name in ["pods", "cpu", "limits.memory", "requests.ephemeral-storage", "hugepages-2Mi", "count/pods"]
    {
        check(name, Some(("", "pods")));
    }
    check("requests.nvidia.com/gpu", Some(("", "pods")));
    check("services.nodeports", Some(("", "services")));
    check("requests.storage", Some(("", "persistentvolumeclaims")));
    check("gold.storageclass.storage.k8s.io/requests.storage", Some(("", "persistentvolumeclaims")));
    check("resourcequotas", Some(("", "resourcequotas")));
    check("count/roles.rbac.authorization.k8s.io", Some(("rbac.authorization.k8s.io", "roles")));
    check("count/events", None);
    check("count/events.events.k8s.io", None);
    check("example.com/widget", None);
}

#[test]
fn statuses_agree_whatever_they_are_written_like() {
    let status = |cpu: &str| -> ResourceQuotaStatus {
        serde_json::from_value(json!({"hard": {"cpu": "2"}, "used": {"cpu": cpu}})).unwrap()
    };
    assert!(agree(Some(&status("1000m")), &status("1")));
    assert!(!agree(Some(&status("1000m")), &status("2")));
    assert!(!agree(None, &status("1")) && !agree(Some(&ResourceQuotaStatus::default()), &status("1")));
}

/// However pods come: what charging adds up is what counting finds, and neither is ever above the limit.
#[test]
fn charging_and_counting_come_to_the_same() {
    let mut quota = quota(json!({"hard": {"pods": "7", "cpu": "3"}}));
    quota.status = Some(Tally::new(&quota, now()).status());
    let mut there: Vec<Pod> = Vec::new();
    for step in 0_u64..40 {
        let cpu = format!("{}m", (step * 7919) % 900);
        let new = pod(&cpu, "Pending");
        if let Ok(charged) = charge(&[&quota], &Subject::Pod(&new), None, now()) {
            let used = write(&charged[0].used);
            quota.status.as_mut().unwrap().used = Some(used);
            there.push(new);
        }
        let mut tally = Tally::new(&quota, now());
        there.iter().for_each(|pod| tally.add(&Subject::Pod(pod)));
        let counted = tally.status();
        assert!(agree(quota.status.as_ref(), &counted), "{:?} {counted:?}", quota.status);
        let (hard, used) = (read(counted.hard.as_ref()), read(counted.used.as_ref()));
        assert!(used.iter().all(|(name, used)| *used <= hard[name]), "{used:?}");
        if step % 5 == 4 && !there.is_empty() {
            there.remove(0);
            let mut tally = Tally::new(&quota, now());
            there.iter().for_each(|pod| tally.add(&Subject::Pod(pod)));
            quota.status = Some(tally.status());
        }
    }
    assert!(there.len() > 2);
}
