//! Selectors and pods: whom the selector misses, and why pods are not ready.

use serde_json::json;

use super::{check, check_fine};
use crate::fixture::{ask, broken_pod, healthy, pod, service, warning, with_pod, with_spec, workload};
use crate::step::{StepName, Verdict};
use crate::world::World;

/// The world with the Service web whose selector misses pods with these labels.
fn missed(selector: serde_json::Value, labels: serde_json::Value) -> World {
    let mut world = with_pod(pod("web-1", labels, "10.244.1.1", json!({})));
    world.services.retain(|service| service.metadata.name.as_deref() != Some("web"));
    world.services.push(service("default", "web", json!({ "selector": selector })));
    world
}

#[test]
fn labels_that_nearly_match() {
    let near = |labels: serde_json::Value, extra: serde_json::Value, sentence: &str, mended: &str| {
        let mut selector = json!({ "app": "web" });
        selector.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let next = format!("kubectl patch service web -p '{{\"spec\":{{\"selector\":{{{mended}}}}}}}'");
        check(&missed(selector, labels), "svc/web", StepName::Selector, sentence, &next);
    };
    near(
        json!({ "app": "webb" }),
        json!({}),
        "app=web finds no pod; 1 pod comes close (web-1): app is webb, not web",
        "\"app\":\"webb\"",
    );
    near(
        json!({ "name": "web" }),
        json!({}),
        "app=web finds no pod; 1 pod comes close (web-1): web is their name, and they have no label app",
        "\"app\":null,\"name\":\"web\"",
    );
    near(
        json!({ "app": "web", "tier": "back" }),
        json!({ "tier": "front" }),
        "app=web,tier=front finds no pod; 1 pod comes close (web-1): tier is back, not front",
        "\"tier\":\"back\"",
    );
    near(
        json!({ "app": "web" }),
        json!({ "tier": "front" }),
        "app=web,tier=front finds no pod; 1 pod comes close (web-1): they have no label tier",
        "\"tier\":null",
    );
    check(
        &missed(json!({ "app": "web" }), json!({ "app": "database" })),
        "svc/web",
        StepName::Selector,
        "app=web finds no pod in namespace default, and none has labels close to it",
        "kubectl get pods --show-labels",
    );
}

#[test]
fn nobody_made_pods() {
    let mut world = missed(json!({ "app": "web" }), json!({ "app": "database" }));
    world.workloads.push(workload("Deployment", "web", 0, &[("app", "web")]));
    check(
        &world,
        "svc/web",
        StepName::Selector,
        "app=web finds no pod: Deployment web is scaled to 0",
        "kubectl scale deployment web --replicas=1",
    );
    world.workloads[0].replicas = Some(2);
    world.workloads[0].trouble = Some("pods \"web-\" is forbidden: exceeded quota".to_owned());
    check(
        &world,
        "svc/web",
        StepName::Selector,
        "app=web finds no pod, though Deployment web should have made them: pods \"web-\" is forbidden: exceeded quota",
        "kubectl describe deployment web",
    );
    world.workloads[0] = workload("StatefulSet", "store", 1, &[("app", "webs")]);
    check(
        &world,
        "svc/web",
        StepName::Selector,
        "app=web finds no pod; 1 template comes close (StatefulSet store): app is webs, not web",
        "kubectl patch service web -p '{\"spec\":{\"selector\":{\"app\":\"webs\"}}}'",
    );
}

#[test]
fn pods_of_another_namespace() {
    let mut world = missed(json!({ "app": "web" }), json!({}));
    let far = json!({ "metadata": { "namespace": "shop" } });
    world.pods.push(pod("web-9", json!({ "app": "web" }), "10.244.2.9", far));
    check(
        &world,
        "svc/web",
        StepName::Selector,
        "app=web finds no pod in namespace default; shop has some, but a Service finds pods of its own namespace alone",
        "kubectl get service web -n default -o yaml, and make it in namespace shop",
    );
}

#[test]
fn containers_that_do_not_run() {
    let why = |pod, sentence: &str, next: &str| {
        let sentence = format!("it is not ready: {sentence}");
        check(&with_pod(pod), "svc/web", StepName::Pods, &sentence, next);
    };
    let describe = "kubectl describe pod web-1";
    why(
        broken_pod(
            json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 10s" } }),
            json!({ "terminated": { "exitCode": 1, "reason": "Error" } }),
            5,
        ),
        "container app of web-1 keeps ending (CrashLoopBackOff, 5 restarts): last with exit code 1 (Error)",
        "kubectl logs web-1 --previous",
    );
    why(
        broken_pod(
            json!({ "waiting": { "reason": "CrashLoopBackOff" } }),
            json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } }),
            1,
        ),
        "container app of web-1 keeps ending (CrashLoopBackOff, 1 restart): last with exit code 137 (OOMKilled)",
        "kubectl logs web-1 --previous",
    );
    why(
        broken_pod(json!({ "waiting": { "reason": "ErrImagePull", "message": "not found" } }), json!({}), 0),
        "container app of web-1 has no image: app:1 cannot be had (ErrImagePull): not found",
        describe,
    );
    why(
        broken_pod(
            json!({ "waiting": { "reason": "CreateContainerConfigError", "message": "configmap \"x\" not found" } }),
            json!({}),
            0,
        ),
        "container app of web-1 waits (CreateContainerConfigError): configmap \"x\" not found",
        describe,
    );
    why(
        broken_pod(json!({ "waiting": { "reason": "ContainerCreating" } }), json!({}), 0),
        "container app of web-1 is being started (ContainerCreating)",
        describe,
    );
    why(
        broken_pod(json!({ "terminated": { "exitCode": 3, "reason": "Error" } }), json!({}), 0),
        "container app of web-1 ended with exit code 3 (Error)",
        "kubectl logs web-1",
    );
    why(
        broken_pod(json!({ "running": {} }), json!({}), 0),
        "container app of web-1 runs and has not been reported ready yet",
        describe,
    );
}

#[test]
fn events_tell_more() {
    let mut world = with_pod(broken_pod(
        json!({ "waiting": { "reason": "ImagePullBackOff", "message": "Back-off pulling image" } }),
        json!({}),
        0,
    ));
    let pulled = "Failed to pull image \"app:1\": 404 Not Found";
    world.events.push(warning("web-1", pulled, "2026-01-01T00:00:01Z"));
    world.events.push(warning("web-2", "Failed to pull another", "2026-01-01T00:00:09Z"));
    check(
        &world,
        "svc/web",
        StepName::Pods,
        &format!(
            "it is not ready: container app of web-1 has no image: app:1 cannot be had (ImagePullBackOff): {pulled}"
        ),
        "kubectl describe pod web-1",
    );
    let mut world =
        with_pod(broken_pod(json!({ "waiting": { "reason": "ContainerCreating" } }), json!({}), 0));
    let mount = "MountVolume.SetUp failed for volume \"c\" : configmap \"c\" not found";
    world.events.push(warning("web-1", mount, "2026-01-01T00:00:01Z"));
    check(
        &world,
        "svc/web",
        StepName::Pods,
        &format!("it is not ready: container app of web-1 is not started yet: {mount}"),
        "kubectl describe pod web-1",
    );
}

#[test]
fn probes_that_fail() {
    let probed = |probe: &str, started: bool| {
        let asks = json!({ "httpGet": { "path": "/healthz", "port": 8080 } });
        let spec = json!({ "containers": [{ "name": "app", probe: asks }] });
        let mut broken = broken_pod(json!({ "running": {} }), json!({}), 0);
        broken.spec = pod("x", json!({}), "10.244.1.1", json!({ "spec": spec })).spec;
        let statuses = broken.status.as_mut().and_then(|status| status.container_statuses.as_mut());
        statuses.into_iter().flatten().for_each(|status| status.started = Some(started));
        with_pod(broken)
    };
    let describe = "kubectl describe pod web-1";
    check(
        &probed("readinessProbe", true),
        "svc/web",
        StepName::Pods,
        "it is not ready: container app of web-1 runs, and its readiness probe (httpGet :8080/healthz) has not succeeded yet",
        describe,
    );
    check(
        &probed("startupProbe", false),
        "svc/web",
        StepName::Pods,
        "it is not ready: container app of web-1 runs, and its startup probe (httpGet :8080/healthz) has not succeeded yet",
        describe,
    );
    let mut world = probed("readinessProbe", true);
    let (old, new) = (
        "Readiness probe failed: connection refused",
        "Readiness probe failed: HTTP probe failed with statuscode: 500",
    );
    world.events.push(warning("web-1", new, "2026-01-01T00:00:09Z"));
    world.events.push(warning("web-1", old, "2026-01-01T00:00:01Z"));
    world.events.push(warning("web-1", "Liveness probe failed: no", "2026-01-01T00:00:10Z"));
    check(
        &world,
        "svc/web",
        StepName::Pods,
        &format!("it is not ready: container app of web-1 runs and is not ready: {new}"),
        describe,
    );
}

#[test]
fn pods_without_a_node_or_an_end() {
    let why = |more: serde_json::Value, sentence: &str| {
        let pod = pod("web-1", json!({ "app": "web" }), "10.244.1.1", more);
        check(
            &with_pod(pod),
            "svc/web",
            StepName::Pods,
            &format!("it is not ready: {sentence}"),
            "kubectl describe pod web-1",
        );
    };
    let scheduler = "0/1 nodes are available: 1 Insufficient cpu.";
    let unscheduled = json!([{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": scheduler }]);
    why(
        json!({ "spec": { "nodeName": null }, "status": { "phase": "Pending", "conditions": unscheduled, "containerStatuses": null } }),
        &format!("web-1 is Pending: {scheduler}"),
    );
    why(
        json!({ "spec": { "nodeName": null }, "status": { "phase": "Pending", "conditions": [] } }),
        "web-1 is Pending: no scheduler has given it a node",
    );
    why(json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } }), "web-1 is being deleted");
    why(
        json!({ "status": { "phase": "Succeeded", "conditions": [] } }),
        "web-1 ran to its end (Completed), and ended pods get no requests",
    );
    why(
        json!({ "status": { "phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory.", "conditions": [] } }),
        "web-1 failed (Evicted): The node was low on resource: memory.",
    );
    why(
        json!({ "spec": { "readinessGates": [{ "conditionType": "example.org/lb" }] }, "status": { "conditions": [{ "type": "Ready", "status": "False" }] } }),
        "web-1 waits for its readiness gate example.org/lb",
    );
}

#[test]
fn some_are_ready_and_some_are_not() {
    let mut world = healthy();
    let mut broken = broken_pod(json!({ "waiting": { "reason": "ContainerCreating" } }), json!({}), 0);
    broken.metadata.name = Some("web-3".to_owned());
    world.pods.push(broken.clone());
    let explanation =
        check_fine(&world, "svc/web", StepName::Pods, Verdict::Warning, "2 of 3 pods are ready");
    assert_eq!(explanation.verdict, Verdict::Warning);
    let pods = explanation.steps.iter().find(|step| step.step == StepName::Pods).unwrap();
    assert_eq!(pods.details, ["container app of web-3 is being started (ContainerCreating)"]);

    let mut world = with_pod(broken.clone());
    broken.metadata.name = Some("web-4".to_owned());
    world.pods.push(broken);
    let explanation = check(
        &world,
        "svc/web",
        StepName::Pods,
        "none of the 2 pods is ready: container app of web-3 is being started (ContainerCreating)",
        "kubectl describe pod web-3",
    );
    let last = explanation.steps.last().unwrap();
    assert_eq!(
        last.sentence, "a connection from node node-1 to 10.96.0.80:80 is refused at once",
        "what follows"
    );
}

#[test]
fn a_node_that_is_gone() {
    let mut world = with_pod(pod(
        "web-1",
        json!({ "app": "web" }),
        "10.244.2.1",
        json!({ "status": { "conditions": [] } }),
    ));
    let conditions = world.nodes[1].status.as_mut().and_then(|status| status.conditions.as_mut());
    conditions.into_iter().flatten().for_each(|condition| condition.status = "Unknown".to_owned());
    check(
        &world,
        "svc/web",
        StepName::Pods,
        "it is not ready: web-1 is on node node-2, which is not Ready",
        "kubectl describe node node-2",
    );
}

#[test]
fn without_selector_b7() {
    let mut world = with_spec(json!({ "selector": null }));
    check_fine(
        &world,
        "svc/web",
        StepName::Selector,
        Verdict::Ok,
        "it has no selector; 2 endpoints listed by others",
    );
    world.slices.clear();
    check(
        &world,
        "svc/web",
        StepName::Selector,
        "default/web has no selector, and nobody listed endpoints for it",
        "give it a selector, or make an EndpointSlice labelled kubernetes.io/service-name=web",
    );
    assert_eq!(ask(&world, "svc/web").steps.last().unwrap().step, StepName::Packet);
}
