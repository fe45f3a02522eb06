//! Every verb of kubectl that needs no pod, each with what upstream prints; `verbs_on_pods.rs` holds the others.

use crate::harness::Cluster;

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: 'nginx:1.14.2', ports: [{containerPort: 80}]}
";

/// Runs each line and compares what it prints, on success on standard output, otherwise on standard error.
#[track_caller]
pub fn walk(cluster: &Cluster, lines: &[(&str, &str)]) {
    for (line, expected) in lines {
        let output = cluster.try_kubectl(line);
        let said = if output.code == 0 { &output.text } else { &output.errors };
        assert_eq!(said.trim_end(), *expected, "kubectl {line}\n{}{}", output.text, output.errors);
    }
}

/// Writes a file beside the cluster's state; its path.
pub fn file(cluster: &Cluster, name: &str, text: &str) -> String {
    let path = cluster.scratch().join(name);
    std::fs::write(&path, text).expect("a manifest is written");
    path.display().to_string()
}

#[test]
fn generators_make_what_they_say() {
    let cluster = Cluster::start_with("generators", &["--disable-agent"]);
    let key = cluster.scratch().join("key.pem").display().to_string();
    let certificate = cluster.scratch().join("cert.pem").display().to_string();
    let made = cluster.shell(&format!(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {certificate} -days 30 -subj /CN=x"
    ));
    assert_eq!(made.code, 0, "{}", made.errors);
    walk(
        &cluster,
        &[
            ("create deployment web --image=nginx --replicas=2 --port=80", "deployment.apps/web created"),
            ("create service clusterip c --tcp=80:80", "service/c created"),
            ("create service nodeport n --tcp=80:80", "service/n created"),
            ("create service loadbalancer l --tcp=80:80", "service/l created"),
            ("create service externalname e --external-name=example.com", "service/e created"),
            ("create configmap cm --from-literal=a=b", "configmap/cm created"),
            ("create secret generic s --from-literal=a=b", "secret/s created"),
            (&format!("create secret tls t --cert={certificate} --key={key}"), "secret/t created"),
            ("create secret docker-registry d --docker-username=u --docker-password=p", "secret/d created"),
            ("create job j --image=busybox -- true", "job.batch/j created"),
            ("create cronjob cj --image=busybox --schedule='0 0 1 1 *' -- true", "cronjob.batch/cj created"),
            ("create ingress i --rule=foo.com/bar=svc:80", "ingress.networking.k8s.io/i created"),
            ("create role r --verb=get --resource=pods", "role.rbac.authorization.k8s.io/r created"),
            ("create rolebinding rb --role=r --user=u", "rolebinding.rbac.authorization.k8s.io/rb created"),
            (
                "create clusterrole r --verb=get --resource=pods",
                "clusterrole.rbac.authorization.k8s.io/r created",
            ),
            ("create serviceaccount sa", "serviceaccount/sa created"),
            ("create namespace n", "namespace/n created"),
            ("create priorityclass pc --value=1000", "priorityclass.scheduling.k8s.io/pc created"),
            (
                "create poddisruptionbudget pdb --selector=a=b --min-available=1",
                "poddisruptionbudget.policy/pdb created",
            ),
            ("run p --image=busybox", "pod/p created"),
            ("expose deployment web --port=80", "service/web exposed"),
            (
                "autoscale deployment web --max=2 --dry-run=client -o name",
                "horizontalpodautoscaler.autoscaling/web",
            ),
            ("get secret t -o jsonpath='{.type}'", "kubernetes.io/tls"),
            (
                "get svc e --no-headers -o custom-columns=A:.spec.type,B:.spec.externalName",
                "ExternalName   example.com",
            ),
            ("create configmap cm", "error: failed to create configmap: configmaps \"cm\" already exists"),
        ],
    );
    assert_eq!(cluster.kubectl("create token sa").text.matches('.').count(), 2);
    for kind in
        ["deploy/web", "svc/n", "cm/cm", "secret/s", "job/j", "cj/cj", "ing/i", "role/r", "rolebinding/rb"]
    {
        let name = kind.split_once('/').expect("a kind and a name").1;
        assert_eq!(cluster.kubectl(&format!("describe {kind}")).field("Name"), name);
    }
}

#[test]
fn an_object_is_applied_and_owned() {
    let cluster = Cluster::start_with("applied", &["--disable-agent"]);
    let web = file(&cluster, "web.yaml", DEPLOYMENT);
    let more = file(&cluster, "more.yaml", &DEPLOYMENT.replace("replicas: 2", "replicas: 3"));
    let owners = "get deploy web --show-managed-fields -o jsonpath='{range .metadata.managedFields[*]}{.manager} {.operation} {.subresource},{end}'";
    walk(
        &cluster,
        &[
            (&format!("apply -f {web} --dry-run=server"), "deployment.apps/web created (server dry run)"),
            ("get deploy web", "Error from server (NotFound): deployments.apps \"web\" not found"),
            (&format!("apply -f {web}"), "deployment.apps/web created"),
            (&format!("apply -f {web}"), "deployment.apps/web unchanged"),
            (&format!("apply -f {more} --dry-run=server"), "deployment.apps/web configured (server dry run)"),
            (&format!("apply --server-side -f {more}"), "deployment.apps/web serverside-applied"),
            ("get deploy web -o jsonpath='{.spec.replicas} {.metadata.generation}'", "3 2"),
            ("scale deploy web --replicas=4", "deployment.apps/web scaled"),
        ],
    );
    let text = cluster.kubectl(owners).text;
    for owner in ["kubectl Apply ,", "kubectl Update scale,", "kube-controller-manager Update status,"] {
        assert!(text.contains(owner), "{owner} is missing in {text}");
    }
    assert!(!text.contains("kubectl-client-side-apply"), "the apply took over: {text}");
    let refused = cluster.try_kubectl(&format!("apply --server-side -f {more} --field-manager=other"));
    let conflict = "error: Apply failed with 1 conflict: conflict with \"kubectl\" with subresource \"scale\" using apps/v1: .spec.replicas\nPlease review the fields above";
    assert!(refused.code == 1 && refused.errors.starts_with(conflict), "{}", refused.errors);
    walk(
        &cluster,
        &[
            (
                &format!("apply --server-side -f {more} --field-manager=other --force-conflicts"),
                "deployment.apps/web serverside-applied",
            ),
            ("get deploy web -o jsonpath='{.spec.replicas}'", "3"),
        ],
    );
    let changed = file(&cluster, "nine.yaml", &DEPLOYMENT.replace("replicas: 2", "replicas: 9"));
    for flags in ["", "--server-side --force-conflicts"] {
        let diff = cluster.try_kubectl(&format!("diff {flags} -f {changed}"));
        assert_eq!(diff.code, 1, "{}", diff.errors);
        assert!(diff.text.contains("-  replicas: 3\n+  replicas: 9"), "{}", diff.text);
    }
    assert!(cluster.kubectl("apply view-last-applied deploy web").text.contains("replicas: 3"));
}

#[test]
fn objects_change_in_every_way() {
    let cluster = Cluster::start_with("changes", &["--disable-agent"]);
    let web = file(&cluster, "web.yaml", DEPLOYMENT);
    walk(
        &cluster,
        &[
            (&format!("create -f {web}"), "deployment.apps/web created"),
            ("label deploy web x=y", "deployment.apps/web labeled"),
            ("label deploy web x=z", "error: 'x' already has a value (y), and --overwrite is false"),
            ("label deploy web x=z --overwrite", "deployment.apps/web labeled"),
            ("label deploy web x-", "deployment.apps/web unlabeled"),
            ("annotate deploy web n=1", "deployment.apps/web annotated"),
            ("set image deploy/web c=nginx:2", "deployment.apps/web image updated"),
            ("set env deploy/web A=b", "deployment.apps/web env updated"),
            ("set env deploy/web --list", "# Deployment web, container c\nA=b"),
            (
                "set resources deploy/web --limits=cpu=200m",
                "deployment.apps/web resource requirements updated",
            ),
            ("patch deploy web -p '{\"spec\":{\"replicas\":5}}'", "deployment.apps/web patched"),
            ("patch deploy web --type=merge -p '{\"spec\":{\"replicas\":4}}'", "deployment.apps/web patched"),
            (
                "patch deploy web --type=json -p '[{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":1}]'",
                "deployment.apps/web patched",
            ),
            (
                "patch deploy web --type=json -p '[{\"op\":\"remove\",\"path\":\"/spec/none/such\"}]'",
                "The request is invalid: the server rejected our request due to an error in our request",
            ),
            ("rollout pause deploy/web", "deployment.apps/web paused"),
            ("rollout pause deploy/web", "error: deployments.apps \"web\" is already paused"),
            ("rollout resume deploy/web", "deployment.apps/web resumed"),
            ("rollout restart deploy/web", "deployment.apps/web restarted"),
            ("rollout history deploy/web --revision=99", "error: unable to find the specified revision"),
            (&format!("replace -f {web}"), "deployment.apps/web replaced"),
            (
                &format!("replace --force -f {web}"),
                "deployment.apps \"web\" deleted\ndeployment.apps/web replaced",
            ),
            ("delete deploy web --dry-run=server", "deployment.apps \"web\" deleted (server dry run)"),
            (&format!("delete -f {web} --cascade=foreground"), "deployment.apps \"web\" deleted"),
            ("delete cm none --ignore-not-found", ""),
            ("delete cm none", "Error from server (NotFound): configmaps \"none\" not found"),
        ],
    );
    cluster.kubectl("create configmap cm --from-literal=b=1");
    let same = "patch configmap cm -p '{\"data\":{\"b\":\"1\"}}'";
    walk(&cluster, &[(same, "configmap/cm patched (no change)")]);
    let edit = "KUBE_EDITOR='sed -i s/b:/c:/' kubectl edit cm cm";
    cluster.shell(edit).succeeded(|| cluster.log()).prints("configmap/cm edited");
    let left = cluster.shell("KUBE_EDITOR=true kubectl edit cm cm");
    assert_eq!(left.errors.trim(), "Edit cancelled, no changes made.");
}

#[test]
fn what_is_served_is_explained() {
    let cluster = Cluster::start_with("explained", &["--disable-agent"]);
    let containers = cluster.kubectl("explain pod.spec.containers").text;
    assert!(
        containers.starts_with("KIND:       Pod\nVERSION:    v1\n\nFIELD: containers <[]Container>\n"),
        "{containers}"
    );
    assert!(containers.contains("  image\t<string>\n    Container image name."), "{containers}");
    let service = cluster.kubectl("explain service.spec.ports --recursive").text;
    assert!(service.contains("  targetPort\t<IntOrString>"), "{service}");
    let none = cluster.try_kubectl("explain pod.spec.none");
    assert_eq!(none.errors.trim(), "error: field \"none\" does not exist");
    walk(
        &cluster,
        &[
            ("top nodes", "error: Metrics API not available"),
            ("auth can-i create pods", "yes"),
            ("get --raw /healthz", "ok"),
        ],
    );
    assert!(
        cluster
            .kubectl("cluster-info")
            .text
            .starts_with("Kubernetes control plane is running at https://127.0.0.1:6443")
    );
    assert!(cluster.kubectl("api-versions").text.lines().any(|version| version == "apps/v1"));
    let bad = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: a, image: b, imag: c}]}}";
    let bad = file(&cluster, "bad.yaml", &format!("---\n{bad}\n"));
    let strict = cluster.try_kubectl(&format!("apply -f {bad}"));
    assert!(
        strict.errors.contains("Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \"spec.containers[0].imag\""),
        "{}",
        strict.errors
    );
    let warned = cluster.try_kubectl(&format!("apply -f {bad} --validate=warn"));
    assert_eq!(warned.errors.trim(), "Warning: unknown field \"spec.containers[0].imag\"");
    let applied = cluster.try_kubectl(&format!("apply --server-side --force-conflicts -f {bad}"));
    assert_eq!(
        applied.errors.trim(),
        "Error from server: failed to create typed patch object (default/p; v1, Kind=Pod): .spec.containers[name=\"a\"].imag: field not declared in schema"
    );
}
