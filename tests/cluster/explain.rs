//! `kelson explain` on a running cluster: broken Services and what is said of them, and a Service that is mended by what it
//! advises.

use serde_json::Value;

use crate::clusterip;
use crate::harness::{Cluster, Output};

const BROKEN: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: typo}
spec: {selector: {app: webapp1-clusterp}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: wrong-port}
spec: {selector: {app: webapp1-clusterip}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: wrong-name}
spec: {selector: {app: webapp1-clusterip}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: crash}
spec: {selector: {app: crash}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: crash, labels: {app: crash}}
spec: {containers: [{name: app, image: katacoda/docker-http-server, command: [sh, -c, "exit 3"]}]}
---
apiVersion: v1
kind: Service
metadata: {name: probe}
spec: {selector: {app: probe}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: probe, labels: {app: probe}}
spec:
  containers:
  - {name: app, image: katacoda/docker-http-server, readinessProbe: {periodSeconds: 1, httpGet: {path: /nothing, port: 80}}}
---
apiVersion: v1
kind: Service
metadata: {name: pending}
spec: {selector: {app: pending}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: pending, labels: {app: pending}}
spec: {nodeSelector: {disk: ssd}, containers: [{name: app, image: katacoda/docker-http-server}]}
---
apiVersion: v1
kind: Service
metadata: {name: lost}
spec: {type: ExternalName, externalName: nobody.default.svc.cluster.local}
"#;

const KELSON: &str = env!("CARGO_BIN_EXE_kelson");

fn explain(cluster: &Cluster, words: &str) -> Output {
    cluster.shell(&format!("{KELSON} explain {words}"))
}

/// Waits until the first wrong step is `step` and says `part`; its advice.
fn says(cluster: &Cluster, words: &str, step: &str, part: &str) -> String {
    cluster.eventually(&format!("explain {words} says at {step}: {part}"), || {
        let output = explain(cluster, &format!("{words} -o json"));
        let explanation: Value = serde_json::from_str(&output.text).ok()?;
        let wrong = explanation["steps"].as_array()?.iter().find(|step| step["verdict"] == "wrong")?;
        let is_it = wrong["step"] == step && wrong["sentence"].as_str()?.contains(part) && output.code == 1;
        is_it.then(|| wrong["next"].as_str().unwrap_or_default().to_owned())
    })
}

#[test]
fn broken_services() {
    let cluster = clusterip::cluster("explain");
    clusterip::apply(&cluster);
    a_service_that_works(&cluster);
    questions_that_are_none(&cluster);
    names_and_ports(&cluster);

    let file = cluster.scratch().join("broken.yaml");
    std::fs::write(&file, BROKEN).expect("the manifest is written");
    cluster.kubectl(&format!("apply -f {}", file.display()));
    says(&cluster, "svc/crash", "pods", "container app of crash keeps ending (CrashLoopBackOff");
    says(&cluster, "svc/probe", "pods", "Readiness probe failed: HTTP probe failed with statuscode: 404");
    says(
        &cluster,
        "svc/pending",
        "pods",
        "pending is Pending: 0/1 nodes are available: 1 node(s) didn't match",
    );
    says(&cluster, "svc/lost", "service", "which no Service of the cluster has as its name");

    advice_mends(&cluster, "typo", "selector", "2 pods come close");
    advice_mends(&cluster, "wrong-name", "target", "targetPort http/TCP is no container port of the 2 pods");
    advice_mends(
        &cluster,
        "wrong-port",
        "listening",
        "nobody listens on port 8080 of webapp1-clusterip-deployment-",
    );

    cluster.kubectl("scale deployment webapp1-clusterip-deployment --replicas=0");
    says(
        &cluster,
        "svc/webapp1-clusterip-svc",
        "selector",
        "app=webapp1-clusterip finds no pod: Deployment webapp1-clusterip-deployment is scaled to 0",
    );
}

fn a_service_that_works(cluster: &Cluster) {
    let pod = clusterip::running(cluster, 2).pop_first().expect("two pods");
    let words = format!("webapp1-clusterip-svc.default --from pod/{pod}");
    let output = cluster
        .eventually("all is well", || Some(explain(cluster, &words)).filter(|output| output.code == 0));
    let text = &output.text;
    let heading = format!("default/webapp1-clusterip-svc, asked by pod default/{pod}\n");
    assert!(text.starts_with(&heading), "{text}");
    assert!(text.contains("✓ listening   all 2 accept connections\n"), "{text}");
    assert!(text.contains(":80 (webapp1-clusterip-deployment-") && text.contains(", 50 %"), "{text}");
    assert!(text.contains("which sees the node's address as the client's"), "the hairpin: {text}");
    assert!(text.ends_with("\nnothing is wrong\n"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours into a pipe");
}

fn questions_that_are_none(cluster: &Cluster) {
    let check = |words: &str, expected: &str| {
        let output = explain(cluster, words);
        assert_eq!((output.code, output.text.as_str()), (2, ""), "{words}");
        assert!(output.errors.contains(expected), "{words}: {}", output.errors);
    };
    check("pod/x", "\"pod/x\" is no Service; say svc/NAME, or a name like web.shop");
    check("svc/x --port 0", "--port: \"0\" is no port; say 80, http or 53/udp");
    check("svc/x --from x", "--from: \"x\" is nobody who connects");
    check("svc/x --kubeconfig /nowhere", "/nowhere");
    check("svc/x --unknown", "unexpected argument '--unknown'");
}

fn names_and_ports(cluster: &Cluster) {
    let service = "webapp1-clusterip-svc";
    says(
        cluster,
        "svc/webapp1-clusterip-scv",
        "service",
        "in namespace default; there is webapp1-clusterip-svc",
    );
    says(cluster, &format!("svc/{service} -n kube-system"), "service", "there is one in namespace default");
    says(cluster, &format!("{service}.kube-system"), "service", "there is one in namespace default");
    says(cluster, &format!("svc/{service} --port 8080"), "port", "has no port 8080; it has 80/TCP");
    says(cluster, &format!("svc/{service} --port 80/udp"), "port", "is TCP, not UDP");
    says(cluster, &format!("svc/{service} --from pod/nobody"), "from", "there is no pod nobody");
}

/// What it advises is a command that makes it well.
fn advice_mends(cluster: &Cluster, service: &str, step: &str, part: &str) {
    let next = says(cluster, &format!("svc/{service}"), step, part);
    assert!(next.starts_with("kubectl patch service"), "{next}");
    cluster.kubectl(next.strip_prefix("kubectl ").expect("checked above"));
    let text = cluster.eventually(&format!("{service} is well"), || {
        let output = explain(cluster, &format!("svc/{service}"));
        (output.code == 0).then_some(output.text)
    });
    let address = cluster.kubectl(&format!("get service {service} -o jsonpath='{{.spec.clusterIP}}'")).text;
    clusterip::answered_by(cluster, &format!("http://{address}"));
    assert!(text.contains("nothing is wrong"), "{text}");
}
