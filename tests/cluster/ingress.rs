//! Ingress: the document on Services without selectors, ExternalName and Ingress walked line by line, then what its reader
//! tries next: TLS, wildcards, WebSockets, a pod that goes away.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::harness::{Cluster, Output, PATIENCE, image};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/ingress");

/// The host of the document's Ingress.
const HOST: &str = "faith.vue.manage.com";

/// The Service as the document prints it: two fields slipped into the port.
const SLIPPED: &str = "apiVersion: v1\nkind: Service\nmetadata:\n  name: webserver-transfer\n  namespace: test\nspec:\n  \
    externalName: webserver.webserver.svc.cluster.local\n  ports:\n  - name: http\n    port: 80\n    protocol: TCP\n    \
    targetPort: 80\n    sessionAffinity: None\n    type: ExternalName\n";

fn apply(cluster: &Cluster, file: &str) -> Output {
    cluster.kubectl(&format!("apply -f {EXAMPLES}/{file}.yaml"))
}

/// Applies a manifest written by the test.
fn apply_text(cluster: &Cluster, yaml: &str) -> Output {
    let file = cluster.scratch().join("manifest.yaml");
    std::fs::write(&file, yaml).expect("the manifest is written");
    cluster.try_kubectl(&format!("apply -f {}", file.display()))
}

/// A cluster with the document's web server running.
fn cluster(name: &str) -> Cluster {
    let mut cluster = Cluster::prepare(name, &[]);
    image::import(&cluster, "katacoda/docker-http-server:latest", &["/bin/sh", "-c", image::HTTP_SERVER]);
    cluster.up();
    apply(&cluster, "webserver");
    cluster.kubectl("create namespace test");
    cluster.kubectl("-n webserver rollout status deployment/webserver --timeout=30s");
    cluster
}

/// One request to the node's port 80 or 443 for this host; status and body.
fn ask(cluster: &Cluster, scheme: &str, host: &str, path: &str) -> (u16, String) {
    let port = if scheme == "https" { 443 } else { 80 };
    let line = format!(
        "curl --silent --insecure --max-time 5 --write-out '\\n%{{http_code}}' --resolve '{host}:{port}:127.0.0.1' \
         {scheme}://{host}{path}"
    );
    let text = cluster.shell(&line).text;
    let (body, status) = text.rsplit_once('\n').unwrap_or_else(|| panic!("{line}: {text}"));
    (status.parse().unwrap_or_else(|_| panic!("{line}: {text}")), body.to_owned())
}

fn until_served(cluster: &Cluster, scheme: &str, host: &str, path: &str) -> String {
    cluster.eventually(&format!("{scheme}://{host}{path}"), || {
        let (status, body) = ask(cluster, scheme, host, path);
        (status == 200).then_some(body)
    })
}

#[test]
fn the_document() {
    let cluster = cluster("ingress");
    services_without_selector(&cluster);
    a_service_as_printed_is_refused_with_the_fields_that_slipped(&cluster);
    the_way_through_another_namespace(&cluster);
    it_is_listed_and_described(&cluster);
    the_other_service_is_followed(&cluster);
}

/// Section 1, and the note on addresses that endpoints may not have.
fn services_without_selector(cluster: &Cluster) {
    apply(cluster, "service-without-selector").prints("service/my-service created");
    let none = cluster.try_kubectl("get endpoints my-service");
    assert!(none.errors.contains("NotFound"), "no selector, no Endpoints: {}{}", none.text, none.errors);
    apply(cluster, "endpoints").prints("endpoints/my-service created");
    let rows = cluster.kubectl("get endpoints my-service").rows();
    assert_eq!(rows[1][..2], ["my-service", "1.2.3.4:9376"]);
    for (address, why) in [
        ("127.0.0.1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        ("169.254.0.1", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        ("224.0.0.1", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    ] {
        let manifest = std::fs::read_to_string(format!("{EXAMPLES}/endpoints.yaml")).expect("it is there");
        let refused = apply_text(cluster, &manifest.replace("1.2.3.4", address));
        assert!(refused.code != 0 && refused.errors.contains(why), "{address}: {}", refused.errors);
    }
    cluster.kubectl("create namespace prod");
    apply(cluster, "externalname").prints("service/my-service created");
    let rows = cluster.kubectl("-n prod get svc").rows();
    assert_eq!(rows[1][..4], ["my-service", "ExternalName", "<none>", "my.database.example.com"]);
    let alias = "dig +short +tries=1 +time=2 @10.96.0.10 CNAME my-service.prod.svc.cluster.local";
    assert_eq!(cluster.shell(alias).text, "my.database.example.com.\n");
}

fn a_service_as_printed_is_refused_with_the_fields_that_slipped(cluster: &Cluster) {
    let refused = apply_text(cluster, SLIPPED);
    assert_ne!(refused.code, 0);
    for field in ["spec.ports[0].sessionAffinity", "spec.ports[0].type"] {
        assert!(refused.errors.contains(&format!("unknown field \"{field}\"")), "{}", refused.errors);
    }
}

/// Section 4.1, A and B: a name across namespaces, then Ingress → ExternalName Service → the other namespace's Service.
fn the_way_through_another_namespace(cluster: &Cluster) {
    let created = apply(cluster, "test-213");
    created.prints("ingress.extensions/test-213 created");
    let warning = "Warning: extensions/v1beta1 Ingress is deprecated in v1.14+, unavailable in v1.22+; use networking.k8s.io/v1 Ingress";
    assert!(created.errors.contains(warning), "{}", created.errors);
    cluster.eventually("503 without the Service", || {
        (ask(cluster, "http", HOST, "/manage").0 == 503).then_some(())
    });
    apply(cluster, "webserver-transfer").prints("service/webserver-transfer created");

    let pod = cluster.kubectl("-n webserver get pods -o jsonpath='{.items[0].metadata.name}'").text;
    let address = cluster.kubectl("-n webserver get svc webserver -o jsonpath='{.spec.clusterIP}'").text;
    let found =
        cluster.shell("dig +short +search @10.96.0.10 webserver-transfer.test.svc.cluster.local").text;
    assert!(found.lines().any(|line| line == address), "the alias leads to the other Service: {found}");
    let page =
        cluster.kubectl(&format!("-n webserver exec {pod} -- wget -qO- http://webserver.webserver")).text;
    assert!(page.contains("processed by host"), "{page}");

    // The web server knows no /manage: that the path goes through unchanged is what its 404 says.
    cluster.eventually("the web server's own answer", || {
        let (status, body) = ask(cluster, "http", HOST, "/manage");
        (status == 404 && body.contains("Not Found") && !body.contains("no rule")).then_some(())
    });
    let pods = cluster.kubectl("-n webserver get pods -o jsonpath='{.items[*].metadata.name}'").text;
    for pod in pods.split(' ') {
        let line = format!(
            "-n webserver exec {pod} -- sh -c 'mkdir -p /www/manage && cp /www/index.html /www/manage'"
        );
        cluster.kubectl(&line);
    }
    let mut seen: Vec<String> =
        (0..20).map(|_| until_served(cluster, "http", HOST, "/manage/").trim().to_owned()).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 2, "both pods answer: {seen:?}");
    assert_eq!(ask(cluster, "http", HOST, "/").0, 404, "no rule for this path");
    assert_eq!(ask(cluster, "http", "other.example", "/manage").0, 404, "no rule for this host");
}

fn it_is_listed_and_described(cluster: &Cluster) {
    let node = cluster.kubectl("get node node-1 -o jsonpath='{.status.addresses[0].address}'").text;
    cluster.until("-n test get ingress test-213 -o jsonpath='{.status.loadBalancer.ingress[0].ip}'", |ip| {
        ip == node
    });
    let rows = cluster.kubectl("-n test get ingress").rows();
    assert_eq!(rows[0], ["NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "AGE"]);
    assert_eq!(rows[1][..2], ["test-213", "kelson"], "the default class is filled in (G1.13)");
    assert_eq!(rows[1][2..5], [HOST, node.as_str(), "80"]);
    let rows = cluster.kubectl("get ingressclass").rows();
    assert_eq!(rows[1][..3], ["kelson", "kelson.dev/ingress", "<none>"]);
    let described = cluster.kubectl("-n test describe ingress test-213");
    assert_eq!(described.field("Name"), "test-213");
    assert_eq!(described.field("Address"), node);
    for part in [HOST, "/manage", "webserver-transfer:80"] {
        assert!(described.text.contains(part), "{part}: {}", described.text);
    }
    let old = cluster.kubectl("get --raw /apis/extensions/v1beta1/namespaces/test/ingresses/test-213").text;
    assert!(
        old.contains("\"serviceName\":\"webserver-transfer\"") && old.contains("\"servicePort\":80"),
        "{old}"
    );
}

/// The other namespace's Service changes; the Ingress follows through the name.
fn the_other_service_is_followed(cluster: &Cluster) {
    cluster.kubectl("-n webserver scale deployment webserver --replicas=0");
    cluster.eventually("503 without endpoints", || {
        (ask(cluster, "http", HOST, "/manage/").0 == 503).then_some(())
    });
    cluster.kubectl("-n webserver delete service webserver");
    cluster.kubectl("-n test patch service webserver-transfer -p '{\"spec\":{\"externalName\":\"gone.webserver.svc.cluster.local\"}}'");
    assert_eq!(ask(cluster, "http", HOST, "/manage/").0, 503);
}

fn tls_secret(cluster: &Cluster, name: &str, host: &str) {
    let line = format!(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj '/CN={host}' \
         -keyout {name}.key -out {name}.crt 2>&1 && kubectl -n webserver create secret tls {name} --cert={name}.crt \
         --key={name}.key --dry-run=client -o yaml | kubectl apply -f -"
    );
    let line = format!("cd {} && {line}", cluster.scratch().display());
    let made = cluster.shell(&line);
    assert_eq!(made.code, 0, "{}{}", made.text, made.errors);
}

/// The subject of the certificate that `sni` is shown.
fn shown(cluster: &Cluster, sni: &str) -> String {
    let line = format!(
        "echo | openssl s_client -connect 127.0.0.1:443 -servername {sni} 2>/dev/null | openssl x509 -noout -subject"
    );
    cluster.shell(&line).text.trim().replace(' ', "")
}

const SECURE: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: secure, namespace: webserver}
spec:
  ingressClassName: kelson
  tls: [{hosts: [a.example], secretName: a}]
  rules:
  - host: a.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: webserver, port: {name: http}}}}]}
  - host: '*.wild.example'
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: webserver, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: foreign, namespace: webserver}
spec:
  ingressClassName: somebody-elses
  rules:
  - host: foreign.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: webserver, port: {number: 80}}}}]}
";

/// G2.2, G2.7, G2.8, and the redirect to HTTPS.
#[test]
fn tls_and_wildcards() {
    let cluster = cluster("ingress-tls");
    tls_secret(&cluster, "a", "one");
    assert_eq!(apply_text(&cluster, SECURE).code, 0);
    cluster.eventually("the secret's certificate", || {
        (shown(&cluster, "a.example") == "subject=CN=one").then_some(())
    });
    let page = until_served(&cluster, "https", "a.example", "/");
    assert!(page.contains("processed by host"), "{page}");
    assert!(shown(&cluster, "other.example").contains("kelsoningressdefaultcertificate"));
    assert_eq!(ask(&cluster, "http", "a.example", "/").0, 308, "plain requests are sent to HTTPS");

    tls_secret(&cluster, "a", "two");
    cluster.eventually("the new certificate", || {
        (shown(&cluster, "a.example") == "subject=CN=two").then_some(())
    });

    until_served(&cluster, "http", "x.wild.example", "/");
    assert_eq!(ask(&cluster, "http", "wild.example", "/").0, 404);
    assert_eq!(ask(&cluster, "http", "x.y.wild.example", "/").0, 404);

    let rows = cluster.kubectl("-n webserver get ingress secure").rows();
    assert_eq!(rows[1][..3], ["secure", "kelson", "a.example,*.wild.example"]);
    assert_eq!(rows[1][4], "80, 443");
    assert_eq!(ask(&cluster, "http", "foreign.example", "/").0, 404, "another class is not ours");
    let status =
        cluster.kubectl("-n webserver get ingress foreign -o jsonpath='{.status.loadBalancer}'").text;
    assert_eq!(status, "{}", "and its status stays empty");
    h2(&cluster);
}

fn h2(cluster: &Cluster) {
    let line = "curl --silent --insecure --http2 --output /dev/null --write-out '%{http_version}' --resolve a.example:443:127.0.0.1 https://a.example/";
    assert_eq!(cluster.shell(line).text, "2");
}

/// Pods go one after the other while requests keep coming, each on a connection of its own; none fails.
#[test]
fn a_pod_that_goes_away_costs_no_request() {
    let cluster = cluster("ingress-pods");
    assert_eq!(apply_text(&cluster, SECURE).code, 0);
    until_served(&cluster, "http", "x.wild.example", "/");
    let line = format!(
        "while [ ! -e {stop} ]; do curl --silent --max-time 5 --output /dev/null --write-out '%{{http_code}}\\n' \
         --resolve x.wild.example:80:127.0.0.1 http://x.wild.example/; done",
        stop = cluster.scratch().join("stop").display()
    );
    let client = cluster.shell_in_background(&line, 0);
    for _ in 0..3 {
        let pod = cluster.kubectl("-n webserver get pods -o jsonpath='{.items[0].metadata.name}'").text;
        cluster.kubectl(&format!("-n webserver delete pod {pod} --wait=false"));
        let before = client.lines();
        cluster.kubectl("-n webserver rollout status deployment/webserver --timeout=30s");
        cluster.eventually("requests go on", || (client.lines() > before + 20).then_some(()));
    }
    std::fs::write(cluster.scratch().join("stop"), "").expect("the file is written");
    let codes = client.finish();
    let failed: Vec<&String> = codes.iter().filter(|code| *code != "200").collect();
    assert!(failed.is_empty(), "{} of {} requests failed: {failed:?}", failed.len(), codes.len());
    assert!(codes.len() > 60, "only {} requests", codes.len());
}

const SHOUTING: &str = "
apiVersion: v1
kind: Pod
metadata: {name: shouting, namespace: test, labels: {app: shouting}}
spec:
  containers:
  - name: shouting
    image: katacoda/docker-http-server:latest
    command: [sh, -c, 'nc -ll -p 8080 -e /bin/sh /script/shout']
    ports: [{containerPort: 8080}]
    volumeMounts: [{name: script, mountPath: /script}]
  volumes: [{name: script, configMap: {name: shout}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: shout, namespace: test}
data:
  shout: |
    while read -r line && [ \"${#line}\" -gt 1 ]; do :; done
    printf 'HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: shout\\r\\n\\r\\n'
    while read -r line; do echo \"$line\" | tr a-z A-Z; done
---
apiVersion: v1
kind: Service
metadata: {name: shouting, namespace: test}
spec: {selector: {app: shouting}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shouting, namespace: test}
spec:
  defaultBackend: {service: {name: shouting, port: {number: 80}}}
";

/// What begins as HTTP and becomes something else goes through, both ways.
#[test]
fn an_upgraded_connection_goes_through() {
    let cluster = cluster("ingress-upgrade");
    assert_eq!(apply_text(&cluster, SHOUTING).code, 0);
    cluster.until("-n test get pod shouting --no-headers", |row| row.contains("1/1"));
    let mut client = {
        let mut command: Command = cluster.on_node("busybox");
        let command = command.args(["nc", "127.0.0.1", "80"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.spawn().expect("busybox runs")
    };
    let (mut input, mut output) = (client.stdin.take().expect("piped"), client.stdout.take().expect("piped"));
    let head = "GET / HTTP/1.1\r\nHost: any.example\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n";
    input.write_all(head.as_bytes()).expect("the request is sent");
    let (told, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let mut byte = [0];
        while matches!(output.read(&mut byte), Ok(1)) && told.send(char::from(byte[0])).is_ok() {
            text.push(char::from(byte[0]));
        }
    });
    let until = |end: &str| {
        let mut text = String::new();
        while !text.ends_with(end) {
            text.push(heard.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{error} after {text}")));
        }
        text
    };
    let head = until("\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 101 ") && head.to_lowercase().contains("upgrade: shout"), "{head}");
    for word in ["hello", "there"] {
        writeln!(input, "{word}").expect("the word is sent");
        until(&format!("{}\n", word.to_uppercase()));
    }
    drop(input);
    let _ = client.kill();
    client.wait().expect("the client ends");
}

/// A port that somebody else has: named with its flag, and the cluster is there all the same.
#[test]
fn a_taken_port_is_named_and_the_rest_goes_on() {
    let mut cluster = Cluster::prepare("ingress-taken", &["--ingress-https-port", "0"]);
    let mut holder = cluster.on_node("busybox").args(["nc", "-l", "-p", "80"]).spawn().expect("busybox runs");
    cluster.eventually("the port is taken", || {
        (cluster.shell("ss -ltn | grep -q ':80 '").code == 0).then_some(())
    });
    let report = cluster.up();
    let _ = holder.kill();
    holder.wait().expect("the holder ends");
    assert!(!report.contains("Ingress"), "{report}");
    let log = cluster.log();
    let expected = "port 80 is in use by busybox (process";
    assert!(
        log.contains(expected) && log.contains("pass another --ingress-http-port, or 0 for none"),
        "{log}"
    );
    cluster.kubectl("get nodes");
}

/// `kelson ingress` alone, in front of a cluster that serves no Ingress itself.
#[test]
fn it_runs_alone() {
    let ports = ["--ingress-http-port", "0", "--ingress-https-port", "0"];
    let mut cluster = Cluster::prepare("ingress-alone", &ports);
    image::import(&cluster, "katacoda/docker-http-server:latest", &["/bin/sh", "-c", image::HTTP_SERVER]);
    cluster.up();
    apply(&cluster, "webserver");
    assert_eq!(apply_text(&cluster, SECURE).code, 0);
    cluster.kubectl("-n webserver rollout status deployment/webserver --timeout=30s");
    assert_eq!(cluster.curl("http://127.0.0.1"), Err(7), "nobody listens");
    let mut command = cluster.on_node(env!("CARGO_BIN_EXE_kelson"));
    command.args(["ingress", "--http-port", "8080", "--https-port", "0"]);
    command.args(["--publish-status-address", "192.0.2.7", "--kubeconfig"]);
    command.arg(cluster.data_dir().join("kubeconfig")).stdout(Stdio::null());
    let mut alone = command.spawn().expect("kelson ingress starts");
    let page = "curl --silent --fail --max-time 5 -H 'Host: x.wild.example' http://127.0.0.1:8080/";
    cluster.eventually("a page", || cluster.shell(page).text.contains("processed by host").then_some(()));
    let address = "-n webserver get ingress secure -o jsonpath='{.status.loadBalancer.ingress[*].ip}'";
    cluster.until(address, |shown| shown == "192.0.2.7");
    let pages = cluster
        .shell("curl --silent --max-time 5 http://127.0.0.1:10254/readyz http://127.0.0.1:10254/metrics");
    assert!(
        pages.text.starts_with("ok")
            && pages.text.contains("kelson_ingress_requests_total{code=\"2xx\"} 1\n"),
        "{}",
        pages.text
    );
    let told = Command::new("kill").arg(alone.id().to_string()).status().expect("kill runs");
    assert!(told.success());
    assert_eq!(alone.wait().expect("it ends").code(), Some(0));
}
