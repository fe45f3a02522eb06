//! Ports, endpoints, listening, programming, policies: from the pod's readiness to the packet.

use k8s_openapi::api::core::v1::ServiceStatus;
use serde_json::json;

use super::{check, check_fine};
use crate::fixture::{ask, healthy, object, pod, shown, slice, with_spec};
use crate::step::{StepName, Verdict};
use crate::world::{Connect, World};

#[test]
fn ports_it_does_not_have() {
    let ports = json!({ "ports": [
        { "name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP", "nodePort": 30080 },
        { "name": "dns", "port": 53, "targetPort": 5353, "protocol": "UDP" },
    ] });
    let world = with_spec(ports);
    let no = |words: &str, sentence: &str, next: &str| {
        check(&world, &format!("svc/web port={words}"), StepName::Port, sentence, next);
    };
    no(
        "81",
        "default/web has no port 81; it has 80/TCP (http) and 53/UDP (dns)",
        "connect to port 80 of web",
    );
    no(
        "https",
        "default/web has no port called https; it has 80/TCP (http) and 53/UDP (dns)",
        "connect to port 80 of web",
    );
    no(
        "8080",
        "default/web has no port 8080; that is where its pods listen, and clients connect to 80/TCP (http)",
        "connect to port 80 of web",
    );
    no(
        "30080",
        "default/web has no port 30080; that is its port on every node, and at its own address it is 80/TCP (http)",
        "connect to port 80 of web",
    );
    no(
        "53/tcp",
        "port 53 of default/web is UDP, not TCP",
        "kubectl edit service web (add the port with protocol: TCP)",
    );
}

#[test]
fn headless_ports_are_not_translated() {
    let mut world = with_spec(json!({ "clusterIP": "None" }));
    check(
        &world,
        "svc/web port=80",
        StepName::Port,
        "default/web is headless, so port 80 is not translated: clients reach the pods themselves, which listen on 8080",
        "connect to port 8080, or give the Service a ClusterIP",
    );
    check_fine(
        &world,
        "svc/web port=8080",
        StepName::Service,
        Verdict::Ok,
        "default/web is headless: its name leads straight to its pods",
    );
    world.slices = vec![slice("default", "web", 8080, &[("web-1", "10.244.1.1", false)])];
    let explanation = check(
        &world,
        "svc/web",
        StepName::Endpoints,
        "no EndpointSlice lists web-1 and web-2 as ready, though they are ready",
        "kubectl get endpointslices -l kubernetes.io/service-name=web",
    );
    assert!(
        !explanation.steps.iter().any(|step| step.step == StepName::Name),
        "without ready pods there is no name"
    );
}

#[test]
fn named_target_ports() {
    let named =
        |name: &str| with_spec(json!({ "ports": [{ "port": 80, "targetPort": name, "protocol": "TCP" }] }));
    check_fine(&named("http"), "svc/web", StepName::Port, Verdict::Ok, "80/TCP leads to target port http");
    check(
        &named("htpp"),
        "svc/web",
        StepName::Target,
        "targetPort htpp/TCP is no container port of the 2 pods; they have http (8080/TCP)",
        "kubectl patch service web -p '{\"spec\":{\"ports\":[{\"port\":80,\"protocol\":\"TCP\",\"targetPort\":\"http\"}]}}'",
    );
    let bare = |name: &str, address: &str| {
        let spec = json!({ "containers": [{ "name": "app" }] });
        pod(name, json!({ "app": "web" }), address, json!({ "spec": spec }))
    };
    let mut world = named("http");
    world.pods.push(bare("web-3", "10.244.1.3"));
    check_fine(
        &world,
        "svc/web",
        StepName::Target,
        Verdict::Warning,
        "targetPort http is no container port of web-3, which gets no requests",
    );
    world.pods = vec![bare("web-3", "10.244.1.3")];
    check(
        &world,
        "svc/web",
        StepName::Target,
        "targetPort http/TCP is no container port of the 1 pod; they declare no ports",
        "name the port in the pod template (ports: [{name: http, containerPort: …}]), or kubectl edit service web",
    );
}

#[test]
fn endpoints_that_lag() {
    let mut world = healthy();
    world.slices.clear();
    check(
        &world,
        "svc/web",
        StepName::Endpoints,
        "no EndpointSlice lists web-1 and web-2 as ready, though they are ready",
        "kubectl get endpointslices -l kubernetes.io/service-name=web",
    );
}

fn met(connects: &[(&str, Connect)]) -> World {
    let mut world = healthy();
    world.facts.connects = connects.iter().map(|(address, met)| (address.parse().unwrap(), *met)).collect();
    world
}

#[test]
fn nobody_listens() {
    let (one, two) = ("10.244.1.1:8080", "10.244.2.2:8080");
    check_fine(
        &met(&[(one, Connect::Accepted), (two, Connect::Accepted)]),
        "svc/web",
        StepName::Listening,
        Verdict::Ok,
        "all 2 accept connections",
    );
    let explanation = check(
        &met(&[(one, Connect::Refused), (two, Connect::Accepted)]),
        "svc/web",
        StepName::Listening,
        "nobody listens on port 8080 of web-1: connections are refused",
        "kubectl exec web-1 -- netstat -ltn",
    );
    let hints = &explanation.first_wrong().unwrap().details;
    assert_eq!(hints, &["a program that listens on 127.0.0.1 alone is not reached either"]);
    check(
        &met(&[(two, Connect::Silent)]),
        "svc/web",
        StepName::Listening,
        "web-2 does not answer on port 8080",
        "kubectl exec web-2 -- netstat -ltn",
    );
    let mut world = with_spec(json!({ "ports": [{ "port": 80, "targetPort": 9090, "protocol": "TCP" }] }));
    world.slices = vec![slice("default", "web", 9090, &[("web-1", "10.244.1.1", true)])];
    world.facts.connects.insert("10.244.1.1:9090".parse().unwrap(), Connect::Refused);
    let explanation = check(
        &world,
        "svc/web",
        StepName::Listening,
        "nobody listens on port 9090 of web-1: connections are refused",
        "kubectl patch service web -p '{\"spec\":{\"ports\":[{\"port\":80,\"protocol\":\"TCP\",\"targetPort\":8080}]}}'",
    );
    let hints = &explanation.first_wrong().unwrap().details;
    assert_eq!(hints[0], "its containers declare 8080");
}

#[test]
fn not_programmed_yet() {
    let programmed = |status: &str, observed: i64, message: &str| {
        let mut world = healthy();
        let web = world.services.last_mut().unwrap();
        web.status = Some(object::<ServiceStatus>(json!({ "conditions": [{
            "type": "Programmed", "status": status, "reason": "Pending", "message": message,
            "observedGeneration": observed, "lastTransitionTime": "2026-01-01T00:00:00Z",
        }] })));
        world
    };
    let wait = "kubectl wait --for=condition=Programmed service/web --timeout=30s";
    check_fine(
        &programmed("True", 1, ""),
        "svc/web",
        StepName::Programmed,
        Verdict::Ok,
        "every node serves it as it is",
    );
    check(
        &programmed("False", 1, "node-2 has not applied it"),
        "svc/web",
        StepName::Programmed,
        "the nodes do not serve it yet: node-2 has not applied it",
        wait,
    );
    check(
        &programmed("True", 0, ""),
        "svc/web",
        StepName::Programmed,
        "the nodes serve its generation 0, and it is at 1",
        wait,
    );
}

#[test]
fn local_policies_c2_c3() {
    let mut world = with_spec(json!({ "internalTrafficPolicy": "Local" }));
    world.slices = vec![slice("default", "web", 8080, &[("web-2", "10.244.2.2", true)])];
    check(
        &world,
        "svc/web from=pod/client",
        StepName::Packet,
        "a connection from pod default/client to 10.96.0.80:80 is dropped without an answer, so clients run into their \
         timeout: internalTrafficPolicy is Local, and node node-1 has no ready endpoint; node-2 has",
        "kubectl patch service web -p '{\"spec\":{\"internalTrafficPolicy\":\"Cluster\"}}'",
    );
    check_fine(
        &world,
        "svc/web from=node/node-2",
        StepName::Packet,
        Verdict::Ok,
        "a connection from node node-2 to 10.96.0.80:80 gets through to",
    );
    let ports = json!([{ "port": 80, "targetPort": 8080, "protocol": "TCP", "nodePort": 30080 }]);
    let mut world =
        with_spec(json!({ "type": "NodePort", "externalTrafficPolicy": "Local", "ports": ports }));
    let both = "externalTrafficPolicy is Local; every node has an endpoint and answers on port 30080";
    check_fine(&world, "svc/web", StepName::Outside, Verdict::Ok, both);
    world.slices = vec![slice("default", "web", 8080, &[("web-2", "10.244.2.2", true)])];
    check_fine(
        &world,
        "svc/web",
        StepName::Outside,
        Verdict::Warning,
        "externalTrafficPolicy is Local: on port 30080, clients outside are answered by node-2 and not by node-1",
    );
}

#[test]
fn balancers_and_affinity() {
    let world = with_spec(json!({ "type": "LoadBalancer", "sessionAffinity": "ClientIP" }));
    let explanation = check_fine(
        &world,
        "svc/web",
        StepName::Outside,
        Verdict::Warning,
        "no balancer gave it an address, so clients outside have none to ask (EXTERNAL-IP <pending>)",
    );
    let service = explanation.steps.iter().find(|step| step.step == StepName::Service).unwrap();
    assert_eq!(service.details, ["session affinity: a client keeps its pod until it is silent for 10800 s"]);
}

/// A pod that reaches itself through the Service sees the node's address (spec C4.5).
#[test]
fn hairpin_is_told() {
    let text = shown(&ask(&healthy(), "svc/web from=pod/web-1"));
    assert!(
        text.contains("10.244.1.1:8080 (web-1), 50 %, which sees the node's address as the client's"),
        "{text}"
    );
    assert!(text.contains("10.244.2.2:8080 (web-2), 50 %\n"), "{text}");
}
