//! Pods from their creation to their end, restarts of kelson in between.

use crate::Case;
use crate::world::{World, container, is_ready, phase, waiting};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Service};
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use std::time::Instant;

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub fn all() -> Vec<(&'static str, Case)> {
            vec![$((stringify!($name), |world| Box::pin($name(world)))),*]
        }
    };
}

cases![
    the_node_registers,
    a_pod_runs,
    f18_a_container_that_ends_is_restarted_with_back_off,
    a_pod_that_fails_says_why,
    f12_deletion_gives_its_grace,
    f13_forced_deletion_leaves_nothing,
    kelson_restarts_and_pods_do_not,
    a_pod_forgotten_while_kelson_was_away_is_ended,
    a_shim_that_dies_is_replaced,
    f4_readiness_follows_the_probe,
    f7_liveness_restarts,
    f19_hooks_run,
    an_image_that_is_not_there,
    pods_reach_each_other,
    host_network_pods_have_the_nodes_address,
];

async fn the_node_registers(world: &mut World) {
    let node = Api::<Node>::all(world.client.clone()).get("n1").await.expect("the node");
    let status = node.status.expect("a status");
    let ready = status.conditions.iter().flatten().find(|it| it.type_ == "Ready").expect("Ready");
    assert_eq!((ready.status.as_str(), ready.reason.as_deref()), ("True", Some("KubeletReady")));
    let labels = node.metadata.labels.expect("labels");
    // Its role is not the node's to give.
    assert!(!labels.keys().any(|key| key.starts_with("node-role.")));
    assert_eq!(labels.get("kubernetes.io/hostname").map(String::as_str), Some("n1"));
    let addresses: Vec<String> = status.addresses.iter().flatten().map(|it| it.address.clone()).collect();
    assert_eq!(addresses, ["192.0.2.1", "n1"]);
    assert!(status.allocatable.expect("allocatable").contains_key("memory"));
    assert!(status.node_info.expect("info").container_runtime_version.starts_with("kelson://"));
    let lease =
        Api::<Lease>::namespaced(world.client.clone(), "kube-node-lease").get("n1").await.expect("a lease");
    assert_eq!(lease.spec.and_then(|it| it.holder_identity).as_deref(), Some("n1"));
}

async fn a_pod_runs(world: &mut World) {
    let service =
        json!({"metadata": {"name": "web"}, "spec": {"clusterIP": "10.96.0.77", "ports": [{"port": 80}]}});
    let services: Api<Service> = Api::namespaced(world.client.clone(), "default");
    services
        .create(&PostParams::default(), &serde_json::from_value(service).unwrap())
        .await
        .expect("a Service");
    let script = "echo $WHO $WEB_SERVICE_HOST $HOSTNAME $(hostname); cat /etc/resolv.conf; cat /etc/hosts; exec sleep 1000";
    let mut main = World::shell(script);
    main["env"] = json!([{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}, {"name": "WHO", "value": "me@$(IP)"}]);
    // The Service is known to the node before the pod is: it was made first and the watches are as quick as each other.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    world.create("p", json!({"containers": [main]})).await;
    let pod = world.running("p").await;
    let status = pod.status.clone().expect("a status");
    let ip = status.pod_ip.expect("an address");
    assert!(ip.starts_with("10.244."), "{ip}");
    assert_eq!(status.host_ip.as_deref(), Some("192.0.2.1"));
    let c = container(&pod, "c");
    assert_eq!(c.image, "docker.io/library/busybox:1.36");
    assert!(c.container_id.as_deref().is_some_and(|it| it.starts_with("kelson://")));
    let log = world.said("p", "# Kubernetes-managed hosts file.").await;
    let expected = format!(
        "me@{ip} 10.96.0.77 p p\nnameserver 10.96.0.10\nsearch default.svc.cluster.local svc.cluster.local cluster.local .\noptions ndots:5\n"
    );
    assert!(log.starts_with(&expected), "{log}\nis not\n{expected}");
    assert!(log.contains(&format!("{ip}\tp\n")), "{log}");
    for text in [
        "Pulled: Container image \"busybox:1.36\" already present on machine",
        "Created: Created container: c",
        "Started: Started container c",
    ] {
        world.event("p", text).await;
    }
}

async fn f18_a_container_that_ends_is_restarted_with_back_off(world: &mut World) {
    world.create("p", json!({"containers": [World::shell("echo run; exit 3")]})).await;
    let pod = world.until("p", |pod| waiting(pod) == "CrashLoopBackOff").await;
    let c = container(&pod, "c");
    assert_eq!(c.restart_count, 1);
    let last = c.last_state.and_then(|it| it.terminated).expect("a last state");
    assert_eq!((last.exit_code, last.reason.as_deref()), (3, Some("Error")));
    world.event("p", "BackOff: Back-off restarting failed container c in pod p_default(").await;
    assert_eq!(world.log("p").await, "run\n");
}

async fn a_pod_that_fails_says_why(world: &mut World) {
    let script = "echo -n because > /dev/termination-log; exit 4";
    world.create("p", json!({"restartPolicy": "Never", "containers": [World::shell(script)]})).await;
    let pod = world.until("p", |pod| phase(pod) == "Failed").await;
    let ended = container(&pod, "c").state.and_then(|it| it.terminated).expect("terminated");
    assert_eq!((ended.exit_code, ended.message.as_deref()), (4, Some("because")));
    assert!(ended.started_at.is_some() && ended.finished_at.is_some());
    world.create("q", json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox:1.36", "command": ["nosuch"]}]})).await;
    let pod = world.until("q", |pod| phase(pod) == "Failed").await;
    let ended = container(&pod, "c").state.and_then(|it| it.terminated).expect("terminated");
    assert_eq!((ended.exit_code, ended.reason.as_deref()), (128, Some("StartError")));
    assert!(ended.message.as_deref().is_some_and(|it| it.contains("nosuch")), "{ended:?}");
    world.create("m", json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox:1.36", "command": ["sh"],
        "env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "k"}}}]}]})).await;
    let pod = world.until("m", |pod| waiting(pod) == "CreateContainerConfigError").await;
    let why = container(&pod, "c").state.and_then(|it| it.waiting).and_then(|it| it.message);
    assert_eq!(why.as_deref(), Some("configmap \"no\" not found"));
}

async fn f12_deletion_gives_its_grace(world: &mut World) {
    let script = "trap 'echo bye; exit 7' TERM; echo up; while true; do sleep 0.05; done";
    world.create("p", json!({"containers": [World::shell(script)]})).await;
    world.running("p").await;
    world.said("p", "up").await;
    let begun = Instant::now();
    world.delete("p", 10).await;
    world.gone("p").await;
    assert!(begun.elapsed().as_secs() < 5, "it ends when it ends, not when its grace does");
    world
        .create(
            "stubborn",
            json!({"containers": [World::shell("trap '' TERM; echo up; while true; do sleep 0.05; done")]}),
        )
        .await;
    world.running("stubborn").await;
    world.said("stubborn", "up").await;
    let begun = Instant::now();
    world.delete("stubborn", 2).await;
    world.gone("stubborn").await;
    assert!((1900..6000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    world.event("p", "Killing: Stopping container c").await;
}

async fn f13_forced_deletion_leaves_nothing(world: &mut World) {
    world.create("p", json!({"containers": [World::shell("exec sleep 1000")]})).await;
    let pod = world.running("p").await;
    world.delete("p", 0).await;
    world.gone("p").await;
    let uid = pod.metadata.uid.expect("a uid");
    let left = || world.root.join("pods").join(&uid).exists() || world.root.join("netns").join(&uid).exists();
    for _ in 0..400 {
        if !left() && world.root.join("runtime/pods").read_dir().unwrap().next().is_none() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("something of the pod is left");
}

async fn kelson_restarts_and_pods_do_not(world: &mut World) {
    let mut main = World::shell("echo once; exec sleep 1000");
    main["readinessProbe"] = json!({"exec": {"command": ["true"]}, "periodSeconds": 1});
    world.create("p", json!({"containers": [main]})).await;
    let before = world.running("p").await;
    world.stop().await;
    world.start().await;
    // Long enough for anything that would be done wrong to be done.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let after = world.running("p").await;
    assert_eq!(container(&after, "c"), container(&before, "c"));
    assert_eq!(after.status, before.status, "not even a word is different");
    assert_eq!(world.log("p").await, "once\n");
    world.create("q", json!({"containers": [World::shell("exec sleep 1000")]})).await;
    let second = world.running("q").await;
    assert_ne!(second.status.and_then(|it| it.pod_ip), after.status.and_then(|it| it.pod_ip));
    world.delete("p", 1).await;
    world.gone("p").await;
}

async fn a_pod_forgotten_while_kelson_was_away_is_ended(world: &mut World) {
    world
        .create(
            "p",
            json!({"terminationGracePeriodSeconds": 1, "containers": [World::shell("exec sleep 1000")]}),
        )
        .await;
    world.create("stays", json!({"containers": [World::shell("exec sleep 1000")]})).await;
    world.running("p").await;
    world.running("stays").await;
    world.stop().await;
    world.delete("p", 0).await;
    world.gone("p").await;
    world.start().await;
    let pods = world.root.join("runtime/pods");
    for _ in 0..400 {
        if pods.read_dir().unwrap().count() == 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the forgotten pod still runs");
}

async fn a_shim_that_dies_is_replaced(world: &mut World) {
    world.create("p", json!({"containers": [World::shell("exec sleep 1000")]})).await;
    let pod = world.running("p").await;
    let uid = pod.metadata.uid.expect("a uid");
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(" shim ") && line.contains(&uid) {
            let pid = entry.file_name().to_str().unwrap().parse().unwrap();
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
                .unwrap();
        }
    }
    let again = world.until("p", |pod| is_ready(pod) && container(pod, "c").restart_count == 1).await;
    let last = container(&again, "c").last_state.and_then(|it| it.terminated).expect("a last state");
    assert_eq!((last.exit_code, last.reason.as_deref()), (137, Some("ContainerStatusUnknown")));
}

async fn f4_readiness_follows_the_probe(world: &mut World) {
    let mut main = World::shell("while true; do touch /tmp/ok; sleep 3; rm /tmp/ok; sleep 3; done");
    main["readinessProbe"] = json!({"exec": {"command": ["sh", "-c", "test -e /tmp/ok || { echo gone; exit 1; }"]}, "periodSeconds": 1, "failureThreshold": 1});
    world.create("p", json!({"containers": [main]})).await;
    world.running("p").await;
    let pod = world.until("p", |pod| !is_ready(pod)).await;
    assert_eq!(container(&pod, "c").restart_count, 0);
    world.event("p", "Unhealthy: Readiness probe failed: gone").await;
    world.until("p", is_ready).await;
}

async fn f7_liveness_restarts(world: &mut World) {
    let mut main =
        World::shell("httpd -p 8080 -h /tmp; echo -n fine > /tmp/live; sleep 2; rm /tmp/live; sleep 1000");
    main["ports"] = json!([{"name": "http", "containerPort": 8080}]);
    main["livenessProbe"] = json!({"httpGet": {"path": "/live", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1, "initialDelaySeconds": 1, "terminationGracePeriodSeconds": 1});
    world.create("p", json!({"containers": [main]})).await;
    let pod = world
        .until("p", |pod| {
            pod.status
                .iter()
                .flat_map(|it| it.container_statuses.iter().flatten())
                .any(|it| it.restart_count == 1)
        })
        .await;
    assert_eq!(container(&pod, "c").restart_count, 1);
    world.event("p", "Unhealthy: Liveness probe failed: HTTP probe failed with statuscode: 404").await;
    world.event("p", "Killing: Container c failed liveness probe, will be restarted").await;
}

async fn f19_hooks_run(world: &mut World) {
    let mut main = World::shell("trap 'exit 0' TERM; while true; do sleep 0.05; done");
    main["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
    main["lifecycle"] = json!({
        "postStart": {"exec": {"command": ["sh", "-c", "echo up >> /v/said"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "echo down >> /v/said"]}},
    });
    let path = world.root.join("shared");
    world.create("p", json!({"containers": [main], "volumes": [{"name": "v", "hostPath": {"path": path, "type": "DirectoryOrCreate"}}]})).await;
    world.running("p").await;
    world.delete("p", 10).await;
    world.gone("p").await;
    assert_eq!(std::fs::read_to_string(path.join("said")).expect("the hooks wrote"), "up\ndown\n");
}

async fn an_image_that_is_not_there(world: &mut World) {
    world
        .create(
            "never",
            json!({"containers": [{"name": "c", "image": "nosuch:1", "imagePullPolicy": "Never"}]}),
        )
        .await;
    world.until("never", |pod| waiting(pod) == "ErrImageNeverPull").await;
    world.event("never", "Container image \"nosuch:1\" is not present with pull policy of Never").await;
    // The port is closed: the pull fails at once, without a packet leaving.
    world.create("pull", json!({"containers": [{"name": "c", "image": "127.0.0.1:1/nosuch:1"}]})).await;
    world.until("pull", |pod| waiting(pod) == "ErrImagePull").await;
    world.until("pull", |pod| waiting(pod) == "ImagePullBackOff").await;
    world.event("pull", "Failed: Failed to pull image \"127.0.0.1:1/nosuch:1\": ").await;
    world.event("pull", "BackOff: Back-off pulling image \"127.0.0.1:1/nosuch:1\"").await;
    world.delete("pull", 30).await;
    world.gone("pull").await;
}

async fn pods_reach_each_other(world: &mut World) {
    world
        .create(
            "server",
            json!({"containers": [World::shell("echo -n hello > /tmp/x; exec httpd -f -p 80 -h /tmp")]}),
        )
        .await;
    let server = world.running("server").await;
    let ip = server.status.and_then(|it| it.pod_ip).expect("an address");
    let script =
        format!("for i in 1 2 3 4 5 6 7 8 9; do wget -q -O - http://{ip}/x && break; sleep 0.1; done");
    world.create("client", json!({"restartPolicy": "Never", "containers": [World::shell(&script)]})).await;
    world.until("client", |pod| phase(pod) == "Succeeded").await;
    assert_eq!(world.log("client").await, "hello");
}

async fn host_network_pods_have_the_nodes_address(world: &mut World) {
    world.create("p", json!({"hostNetwork": true, "containers": [World::shell("ip addr show dev kelson0; exec sleep 1000")]})).await;
    let pod = world.running("p").await;
    assert_eq!(pod.status.and_then(|it| it.pod_ip).as_deref(), Some("192.0.2.1"));
    world.said("p", "10.244.0.1").await;
}
