//! The verbs of issue one with the real kubectl, in upstream's words.

use crate::clusterip;
use crate::harness::Cluster;

#[test]
fn objects_are_made_changed_and_removed() {
    let cluster = Cluster::start_with("verbs", &["--disable-agent"]);
    cluster.kubectl("create namespace demo").prints("namespace/demo created");
    cluster.kubectl("create configmap cm --from-literal=a=1").prints("configmap/cm created");
    let again = cluster.try_kubectl("create configmap cm --from-literal=a=1");
    assert_eq!(again.errors.trim(), "error: failed to create configmap: configmaps \"cm\" already exists");
    cluster.kubectl("label configmap cm tier=front").prints("configmap/cm labeled");
    cluster.kubectl("annotate configmap cm note=x").prints("configmap/cm annotated");
    cluster
        .kubectl("patch configmap cm --type=merge -p '{\"data\":{\"b\":\"2\"}}'")
        .prints("configmap/cm patched");
    cluster
        .kubectl("patch configmap cm --type=json -p '[{\"op\":\"remove\",\"path\":\"/data/a\"}]'")
        .prints("configmap/cm patched");
    cluster.kubectl("get configmap cm -o jsonpath='{.data}'").prints("{\"b\":\"2\"}");
    let rows = cluster.kubectl("get configmaps -l tier=front").rows();
    assert_eq!((rows[0].join(" "), rows[1][..2].join(" ")), ("NAME DATA AGE".into(), "cm 1".into()));
    assert!(
        cluster
            .kubectl("get configmaps -l tier=back")
            .errors
            .contains("No resources found in default namespace.")
    );
    let edit = "KUBE_EDITOR=\"sed -i s/b:/c:/\" kubectl edit configmap cm";
    cluster.shell(edit).succeeded(|| cluster.log()).prints("configmap/cm edited");
    cluster.kubectl("delete configmap cm").prints("configmap \"cm\" deleted");
    let gone = cluster.try_kubectl("get configmap cm");
    assert_eq!(gone.errors.trim(), "Error from server (NotFound): configmaps \"cm\" not found");
    let rows = cluster.kubectl("create secret generic s -n demo --from-literal=p=q");
    rows.prints("secret/s created");
    cluster.kubectl("delete namespace demo").prints("namespace \"demo\" deleted");
    let missing = cluster.try_kubectl("create configmap x -n demo");
    assert_eq!(missing.errors.trim(), "error: failed to create configmap: namespaces \"demo\" not found");
}

#[test]
fn mistakes_are_answered_in_upstreams_words() {
    let cluster = Cluster::start_with("mistakes", &["--disable-agent"]);
    let refuse = |manifest: &str, expected: &str| {
        let file = cluster.scratch().join("bad.yaml");
        // kubectl takes what begins with a brace for JSON.
        std::fs::write(&file, format!("---\n{manifest}")).expect("the manifest is written");
        let refused = cluster.try_kubectl(&format!("apply -f {}", file.display()));
        assert!(refused.code != 0 && refused.errors.contains(expected), "{manifest}\n{}", refused.errors);
    };
    refuse(
        "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {selector: {a: b}}}",
        "The Service \"s\" is invalid: spec.ports: Required value",
    );
    refuse(
        "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 80}], clusterIP: 10.97.0.1}}",
        "spec.clusterIPs: Invalid value: [\"10.97.0.1\"]: failed to allocate IP 10.97.0.1",
    );
    refuse(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: Bad_Name}}",
        "The ConfigMap \"Bad_Name\" is invalid: metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 subdomain",
    );
    refuse(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {selector: {matchLabels: {a: b}}, \
         template: {metadata: {labels: {a: c}}, spec: {containers: [{name: c, image: i}]}}}}",
        "`selector` does not match template `labels`",
    );
    refuse(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, dato: {}}",
        "strict decoding error: unknown field \"dato\"",
    );
    refuse(
        "{apiVersion: v1, kind: Gadget, metadata: {name: g}}",
        "no matches for kind \"Gadget\" in version \"v1\"",
    );
}

#[test]
fn pods_are_listed_described_logged_and_entered() {
    let cluster = clusterip::cluster("pods");
    clusterip::apply(&cluster);
    let pod = clusterip::running(&cluster, 2).pop_first().expect("two pods");

    let wide = cluster.kubectl("get pods -o wide").rows();
    let heading =
        ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED NODE", "READINESS GATES"];
    assert_eq!(wide[0], heading);
    assert!(wide[1][5].starts_with("10.244.") && wide[1][6] == "node-1");
    let deployments = cluster.kubectl("get deployments").rows();
    assert_eq!(deployments[0], ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]);
    assert_eq!(deployments[1][..4], ["webapp1-clusterip-deployment", "2/2", "2", "2"]);
    assert_eq!(cluster.kubectl("get rs").rows()[0], ["NAME", "DESIRED", "CURRENT", "READY", "AGE"]);

    let described = cluster.kubectl(&format!("describe pod {pod}")).text;
    for said in
        ["Successfully assigned default/", "Created container", "Started container webapp1-clusterip-pod"]
    {
        assert!(described.contains(said), "{said} is missing in\n{described}");
    }
    cluster.kubectl(&format!("exec {pod} -- hostname")).prints(&pod);
    let failed = cluster.try_kubectl(&format!("exec {pod} -- sh -c 'echo out; echo err >&2; exit 7'"));
    assert_eq!((failed.code, failed.text.as_str()), (7, "out\n"));
    assert!(failed.errors.contains("err\n") && failed.errors.contains("command terminated with exit code 7"));
    let terminal = format!("script -qec 'kubectl exec -it {pod} -- sh -c tty' /dev/null < /dev/null");
    assert!(cluster.shell(&terminal).text.contains("/dev/pts/"), "exec -it has a terminal");
    cluster.kubectl(&format!("exec {pod} -- sh -c 'echo one > /proc/1/fd/1; echo two > /proc/1/fd/1'"));
    cluster.until(&format!("logs {pod} --tail=2"), |text| text == "one\ntwo\n");
}
