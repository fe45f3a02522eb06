//! The `proxy` of Services and pods: a program in a pod asked through the API server, as `kubectl get --raw` and
//! `kubectl proxy` do it.

use crate::harness::{Cluster, image};

const POD: &str = "apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: busybox:1
    command: [sh, -c, 'mkdir -p /www/sub; echo root > /www/index.html; echo below > /www/sub/index.html; exec httpd -f -p 8080 -h /www']
    ports: [{containerPort: 8080}]
";

fn fails(cluster: &Cluster, path: &str, words: &str) {
    let output = cluster.try_kubectl(&format!("get --raw {path}"));
    assert_ne!(output.code, 0, "{path}");
    let said = format!("{}{}", output.text, output.errors);
    assert!(said.contains(words), "{path}: {said}");
}

#[test]
fn programs_are_asked_through_the_api() {
    let mut cluster = Cluster::prepare("apiproxy", &[]);
    image::import(&cluster, "busybox:1", &["/bin/sh"]);
    cluster.up();
    cluster.kubectl(&format!("apply -f - <<'END'\n{POD}\nEND"));
    cluster.kubectl("expose pod web --name=web --port=80 --target-port=8080");
    let root = "/api/v1/namespaces/default";
    cluster.until(&format!("get --raw {root}/services/web/proxy/"), |text| text == "root\n");
    for path in [
        "services/web:80/proxy/",
        "services/http:web:80/proxy/",
        "services/web/proxy/index.html",
        "pods/web/proxy/",
        "pods/web:8080/proxy/",
        "pods/http:web:8080/proxy/",
    ] {
        assert_eq!(cluster.kubectl(&format!("get --raw {root}/{path}")).text, "root\n", "{path}");
    }
    // A redirection of the program leads back under its path.
    let redirected = format!("get --raw {root}/services/web/proxy/sub");
    assert_eq!(cluster.kubectl(&redirected).text, "below\n");
    fails(
        &cluster,
        &format!("{root}/services/web/proxy/none"),
        "the server could not find the requested resource",
    );

    let refused = "error trying to reach service: dial tcp ";
    fails(&cluster, &format!("{root}/pods/web:81/proxy/"), refused);
    fails(&cluster, &format!("{root}/pods/https:web:8080/proxy/"), "error trying to reach service: ");
    cluster.kubectl("delete pod web");
    cluster.eventually("the Service has no endpoint", || {
        let output = cluster.try_kubectl(&format!("get --raw {root}/services/web/proxy/"));
        let said = format!("{}{}", output.text, output.errors);
        said.contains("no endpoints available for service").then_some(())
    });
}
