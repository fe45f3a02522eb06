//! The real kubectl over TLS: what a user types, and what they read.

use super::transport::Listening;
use super::*;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

/// The first manifest of the tutorial on Services, as it was written in its day.
const CLUSTER_IP: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: webapp1-clusterip-svc
  labels:
    app: webapp1-clusterip
spec:
  ports:
  - port: 80
  selector:
    app: webapp1-clusterip
---
apiVersion: extensions/v1beta1
kind: Deployment
metadata:
  name: webapp1-clusterip-deployment
spec:
  replicas: 2
  template:
    metadata:
      labels:
        app: webapp1-clusterip
    spec:
      containers:
      - name: webapp1-clusterip-pod
        image: katacoda/docker-http-server:latest
        ports:
        - containerPort: 80
---
";

struct Kubectl<'a> {
    server: &'a Listening,
}

impl<'a> Kubectl<'a> {
    fn new(server: &'a Listening) -> Self {
        let text = server.harness.server.kubeconfig(&format!("https://{}", server.address));
        std::fs::write(server.harness.dir.path().join("kubeconfig"), text).unwrap();
        Self { server }
    }

    fn command(&self, arguments: &str) -> Command {
        let dir = self.server.harness.dir.path();
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(dir.join("kubeconfig")).arg("--cache-dir").arg(dir.join("cache"));
        command.args(split(arguments)).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("HOME", dir).kill_on_drop(true);
        command
    }

    /// Runs it; whether it succeeded, its output and its complaints.
    async fn run(&self, arguments: &str, input: &str) -> (bool, String, String) {
        self.finish(self.command(arguments), input).await
    }

    async fn finish(&self, mut command: Command, input: &str) -> (bool, String, String) {
        let mut child = command.spawn().expect("kubectl is installed");
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let done = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
        let output = done.expect("kubectl ends in time").unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    /// Runs it, asserts success and passes the output on.
    async fn ok(&self, arguments: &str) -> String {
        let (success, out, complaints) = self.run(arguments, "").await;
        assert!(success, "kubectl {arguments}: {out}{complaints}");
        out
    }

    /// Runs it, asserts success and the output.
    async fn says(&self, arguments: &str, expected: &str) {
        assert_eq!(self.ok(arguments).await, expected, "kubectl {arguments}");
    }

    /// Runs it, asserts failure and that the complaint holds `expected`.
    async fn refuses(&self, arguments: &str, input: &str, expected: &str) {
        let (success, out, complaints) = self.run(arguments, input).await;
        assert!(!success && complaints.contains(expected), "kubectl {arguments}: {out}{complaints}");
    }
}

/// Words by spaces, single quotes around words that hold some.
fn split(arguments: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in arguments.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorials_manifest_applies_as_written() {
    let server = Listening::start(|_| {}).await;
    let kubectl = Kubectl::new(&server);
    let (success, out, complaints) = kubectl.run("apply -f -", CLUSTER_IP).await;
    let expected =
        "service/webapp1-clusterip-svc created\ndeployment.extensions/webapp1-clusterip-deployment created\n";
    assert!(success && out == expected, "{out}{complaints}");
    assert!(complaints.contains("Warning: extensions/v1beta1 Deployment is deprecated"), "{complaints}");
    let (_, out, complaints) = kubectl.run("apply -f -", CLUSTER_IP).await;
    let expected = "service/webapp1-clusterip-svc unchanged\ndeployment.extensions/webapp1-clusterip-deployment unchanged\n";
    assert_eq!(out, expected, "{complaints}");
    let changed = CLUSTER_IP.replace("replicas: 2", "replicas: 3");
    let (_, out, complaints) = kubectl.run("apply -f -", &changed).await;
    assert!(
        out.contains("deployment.extensions/webapp1-clusterip-deployment configured"),
        "{out}{complaints}"
    );
    assert_eq!(kubectl.ok("get deploy webapp1-clusterip-deployment -o jsonpath={.spec.replicas}").await, "3");
    let out = kubectl.ok("get deployments").await;
    assert!(
        out.starts_with("NAME                           READY   UP-TO-DATE   AVAILABLE   AGE\n"),
        "{out}"
    );
    let described = kubectl.ok("describe svc webapp1-clusterip-svc").await;
    for line in [
        "Selector:                 app=webapp1-clusterip",
        "Port:                     <unset>  80/TCP",
        "TargetPort:               80/TCP",
    ] {
        assert!(described.contains(line), "{described}");
    }
    let (success, out, complaints) = kubectl.run("delete -f -", CLUSTER_IP).await;
    assert!(success && out.contains("service \"webapp1-clusterip-svc\" deleted"), "{out}{complaints}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_shown_changed_and_deleted() {
    let server = Listening::start(|_| {}).await;
    let kubectl = Kubectl::new(&server);
    kubectl.says("create configmap a --from-literal=k=v", "configmap/a created\n").await;
    kubectl
        .refuses(
            "create configmap a",
            "",
            "error: failed to create configmap: configmaps \"a\" already exists",
        )
        .await;
    kubectl.says("label configmap a x=y", "configmap/a labeled\n").await;
    kubectl.says("annotate configmap a note=hi", "configmap/a annotated\n").await;
    let get = "get configmap -l x=y -o jsonpath={.items[*].metadata.annotations.note}";
    kubectl.says(get, "hi").await;
    kubectl.says("patch configmap a -p '{\"data\":{\"k\":\"1\"}}'", "configmap/a patched\n").await;
    kubectl
        .says("patch configmap a --type=merge -p '{\"data\":{\"l\":\"2\"}}'", "configmap/a patched\n")
        .await;
    let patch = "patch configmap a --type=json -p '[{\"op\":\"remove\",\"path\":\"/data/k\"}]'";
    kubectl.says(patch, "configmap/a patched\n").await;
    kubectl.says("get cm a -o jsonpath={.data}", "{\"l\":\"2\"}").await;
    let mut edit = kubectl.command("edit configmap a");
    edit.env("KUBE_EDITOR", "sed -i s/l:.*/l:\\ edited/");
    let (success, out, complaints) = kubectl.finish(edit, "").await;
    assert!(success && out == "configmap/a edited\n", "{out}{complaints}");
    kubectl.says("get cm a -o jsonpath={.data.l}", "edited").await;
    kubectl.says("delete configmap a", "configmap \"a\" deleted\n").await;
    kubectl.refuses("get configmap a", "", "Error from server (NotFound): configmaps \"a\" not found").await;
    kubectl.refuses("get gadgets", "", "error: the server doesn't have a resource type \"gadgets\"").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workloads_and_services() {
    let server = Listening::start(|_| {}).await;
    let kubectl = Kubectl::new(&server);
    kubectl.says("create deployment web --image=nginx --replicas=2", "deployment.apps/web created\n").await;
    kubectl.says("scale deployment web --replicas=5", "deployment.apps/web scaled\n").await;
    kubectl
        .refuses(
            "scale deployment web --current-replicas=2 --replicas=1",
            "",
            "Expected replicas to be 2, was 5",
        )
        .await;
    kubectl.says("set image deployment/web nginx=nginx:2", "deployment.apps/web image updated\n").await;
    kubectl.says("expose deployment web --port=80", "service/web exposed\n").await;
    let wide = kubectl.ok("get deploy -o wide").await;
    assert!(
        wide.contains("CONTAINERS   IMAGES    SELECTOR") && wide.contains("nginx        nginx:2   app=web"),
        "{wide}"
    );
    let services = kubectl.ok("get svc -A").await;
    assert!(services.starts_with("NAMESPACE   NAME         TYPE        CLUSTER-IP"), "{services}");
    assert!(services.contains("kubernetes   ClusterIP   10.96.0.1"), "{services}");
    let all = kubectl.ok("get all").await;
    assert!(all.contains("deployment.apps/web") && all.contains("service/web"), "{all}");
    assert!(!all.contains("extensions"), "{all}");
    kubectl.says("run p --image=nginx", "pod/p created\n").await;
    let pods = kubectl.ok("get pods --no-headers").await;
    assert!(pods.starts_with("p     0/1   Pending   0"), "{pods}");
    let described = kubectl.ok("describe pod p").await;
    assert!(
        described.contains("Status:           Pending")
            && described.contains("from kube-api-access-")
            && described.contains("Events:                      <none>"),
        "{described}"
    );
    kubectl.says("delete pod p --now", "pod \"p\" deleted\n").await;
    kubectl.says("create namespace x", "namespace/x created\n").await;
    kubectl
        .says("get ns x --no-headers -o custom-columns=A:.metadata.name,B:.status.phase", "x     Active\n")
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_prints_rows_as_they_come() {
    let server = Listening::start(|_| {}).await;
    let kubectl = Kubectl::new(&server);
    let mut child = kubectl.command("get configmaps -w").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let waited = async {
        // kubectl lists before it watches; either way the row comes.
        server.harness.post(CONFIG_MAPS, config_map("a")).await.expect(201);
        let head = lines.next_line().await.unwrap().unwrap();
        let row = lines.next_line().await.unwrap().unwrap();
        server
            .harness
            .patch(&format!("{CONFIG_MAPS}/a"), "merge-patch", json!({"data": {"l": "x"}}))
            .await
            .expect(200);
        (head, row, lines.next_line().await.unwrap().unwrap())
    };
    let (head, row, next) = tokio::time::timeout(Duration::from_secs(30), waited).await.unwrap();
    assert!(
        head.starts_with("NAME") && row.starts_with("a ") && next.contains(" 2 "),
        "{head}\n{row}\n{next}"
    );
    child.kill().await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_explained() {
    let server = Listening::start(|_| {}).await;
    let kubectl = Kubectl::new(&server);
    let typo = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndada: {}\n";
    let text = "Error from server (BadRequest): error when creating \"STDIN\": ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"dada\"";
    kubectl.refuses("create -f -", typo, text).await;
    let (success, _, complaints) = kubectl.run("create -f - --validate=warn", typo).await;
    assert!(success && complaints.contains("Warning: unknown field \"dada\""), "{complaints}");
    let invalid = CLUSTER_IP.split("---").next().unwrap().replace("port: 80", "port: 0");
    kubectl
        .refuses(
            "create -f -",
            &invalid,
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        )
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_reads_well() {
    let server = Listening::start(|_| {}).await;
    let kubectl = Kubectl::new(&server);
    let resources = kubectl.ok("api-resources").await;
    let line =
        resources.lines().find(|line| line.starts_with("services ")).unwrap_or_else(|| panic!("{resources}"));
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["services", "svc", "v1", "true", "Service"]);
    let versions = kubectl.ok("api-versions").await;
    assert!(versions.contains("apps/v1\n") && versions.contains("extensions/v1beta1\n"), "{versions}");
    let version = kubectl.ok("version -o json").await;
    assert!(version.contains("serverVersion"), "{version}");
    server.stop().await;
}
