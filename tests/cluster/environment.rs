//! What containers find in their environment: Services in both styles, as document 000 prints them, and what the pod
//! asks for (E1–E8).

use crate::harness::{Cluster, image};

/// The Deployment and Service of document 000, in today's versions.
const DOCUMENT: &str = "apiVersion: v1
kind: Namespace
metadata: {name: demo}
---
apiVersion: v1
kind: Service
metadata: {name: nginx-prod-svc-demo, namespace: demo}
spec:
  selector: {app: nginx, env: prod}
  ports: [{name: http, port: 80, protocol: TCP, targetPort: 80}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: nginx-prod-deploy2, namespace: demo}
spec:
  replicas: 1
  selector: {matchLabels: {app: nginx, env: prod}}
  template:
    metadata: {labels: {app: nginx, env: prod}}
    spec:
      containers: [{name: nginx, image: 'nginx:1', command: [sleep, '1000']}]
";

fn cluster(name: &str) -> Cluster {
    let mut cluster = Cluster::prepare(name, &[]);
    image::import(&cluster, "nginx:1", &["/bin/sh"]);
    cluster.up();
    cluster
}

fn apply(cluster: &Cluster, manifest: &str) {
    let file = cluster.scratch().join("manifest.yaml");
    std::fs::write(&file, manifest).expect("the manifest is written");
    cluster.kubectl(&format!("apply -f {}", file.display()));
}

#[test]
fn document_000_line_by_line() {
    let cluster = cluster("environment");
    apply(&cluster, DOCUMENT);
    let name =
        cluster.until("get pods -n demo -o jsonpath={.items[0].metadata.name}", |text| !text.is_empty());
    cluster.until("get pods -n demo --no-headers", |text| text.contains("Running"));
    let ip = cluster.kubectl("get svc -n demo nginx-prod-svc-demo -o jsonpath={.spec.clusterIP}").text;
    let env = cluster.kubectl(&format!("exec -n demo {name} -- env")).text;
    let expected = [
        "KUBERNETES_PORT=tcp://10.96.0.1:443".to_owned(),
        "KUBERNETES_SERVICE_PORT=443".to_owned(),
        format!("HOSTNAME={name}"),
        "NGINX_PROD_SVC_DEMO_SERVICE_PORT_HTTP=80".to_owned(),
        format!("NGINX_PROD_SVC_DEMO_SERVICE_HOST={ip}"),
        "KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1".to_owned(),
        "NGINX_PROD_SVC_DEMO_SERVICE_PORT=80".to_owned(),
        format!("NGINX_PROD_SVC_DEMO_PORT=tcp://{ip}:80"),
        "KUBERNETES_PORT_443_TCP_PORT=443".to_owned(),
        "KUBERNETES_PORT_443_TCP_PROTO=tcp".to_owned(),
        format!("NGINX_PROD_SVC_DEMO_PORT_80_TCP_ADDR={ip}"),
        "NGINX_PROD_SVC_DEMO_PORT_80_TCP_PORT=80".to_owned(),
        "NGINX_PROD_SVC_DEMO_PORT_80_TCP_PROTO=tcp".to_owned(),
        "KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443".to_owned(),
        "KUBERNETES_SERVICE_PORT_HTTPS=443".to_owned(),
        "KUBERNETES_SERVICE_HOST=10.96.0.1".to_owned(),
        format!("NGINX_PROD_SVC_DEMO_PORT_80_TCP=tcp://{ip}:80"),
    ];
    for line in &expected {
        assert!(env.lines().any(|it| it == line), "{line} is missing in\n{env}");
    }
    // Nothing else speaks of Services.
    let of_services = env.lines().filter(|line| line.contains("_SERVICE_") || line.contains("_PORT"));
    assert_eq!(of_services.count(), expected.len() - 1, "{env}");
}

#[test]
fn service_links_can_be_turned_off() {
    let cluster = cluster("links");
    cluster.kubectl("create service clusterip web --tcp=80");
    apply(
        &cluster,
        "apiVersion: v1
kind: Pod
metadata: {name: quiet}
spec: {enableServiceLinks: false, restartPolicy: Never, containers: [{name: c, image: 'nginx:1', command: [env]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: linked}
spec: {restartPolicy: Never, containers: [{name: c, image: 'nginx:1', command: [env]}]}
",
    );
    let quiet = cluster.until("logs quiet", |text| text.contains("HOSTNAME"));
    assert!(
        !quiet.contains("WEB_SERVICE_HOST") && quiet.contains("KUBERNETES_SERVICE_HOST=10.96.0.1"),
        "{quiet}"
    );
    let linked = cluster.until("logs linked", |text| text.contains("HOSTNAME"));
    assert!(
        linked.contains("WEB_SERVICE_HOST=10.96.") && linked.contains("WEB_PORT_80_TCP_PROTO=tcp"),
        "{linked}"
    );
}

#[test]
fn values_come_from_everywhere() {
    let cluster = cluster("values");
    cluster.kubectl("create configmap settings --from-literal=COLOR=red --from-literal=SIZE=9");
    cluster.kubectl("create secret generic hidden --from-literal=WORD=open");
    apply(
        &cluster,
        "apiVersion: v1
kind: Pod
metadata: {name: p, labels: {tier: front}}
spec:
  restartPolicy: Never
  containers:
  - name: c
    image: nginx:1
    command: [sh, -c, 'env; echo args: $0 $1', $(GREETING), '$$(NOT)']
    resources: {requests: {cpu: 250m}, limits: {memory: 64Mi}}
    envFrom:
    - {configMapRef: {name: settings}, prefix: CM_}
    - {secretRef: {name: nosuch, optional: true}}
    env:
    - {name: WHO, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: WHERE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: TIER, valueFrom: {fieldRef: {fieldPath: 'metadata.labels[''tier'']'}}}
    - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: CPU, valueFrom: {resourceFieldRef: {resource: requests.cpu, divisor: 1m}}}
    - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    - {name: SECRET, valueFrom: {secretKeyRef: {name: hidden, key: WORD}}}
    - {name: ABSENT, valueFrom: {configMapKeyRef: {name: settings, key: nosuch, optional: true}}}
    - {name: GREETING, value: 'I am $(WHO), not $(NOBODY), for $$5'}
",
    );
    let env = cluster.until("logs p", |text| text.contains("args:"));
    let ip = cluster.kubectl("get pod p -o jsonpath={.status.podIP}").text;
    let address = format!("IP={ip}");
    for line in [
        "CM_COLOR=red",
        "CM_SIZE=9",
        "WHO=p",
        "WHERE=node-1",
        "TIER=front",
        &address,
        "CPU=250",
        "MEMORY=64",
        "SECRET=open",
        "GREETING=I am p, not $(NOBODY), for $5",
        "args: I am p, not $(NOBODY), for $5 $(NOT)",
    ] {
        assert!(env.lines().any(|it| it == line), "{line} is missing in\n{env}");
    }
    assert!(!env.contains("ABSENT"), "{env}");
}
