//! The verbs of kubectl that reach into pods or wait for them, with what upstream prints.

use crate::harness::{Cluster, image};
use crate::verbs::walk;

const COUNT: &str = "i=0; while true; do echo line $i; i=$((i+1)); sleep 0.2; done";

fn cluster(name: &str) -> Cluster {
    let mut cluster = Cluster::prepare(name, &[]);
    image::import(&cluster, "busybox:latest", &["/bin/sh", "-c", image::HTTP_SERVER]);
    cluster.up();
    cluster
}

#[test]
fn pods_are_read_entered_and_copied_to() {
    let cluster = cluster("inpods");
    cluster.kubectl(&format!("run lines --image=busybox --restart=Never -- sh -c '{COUNT}'"));
    walk(
        &cluster,
        &[
            ("wait --for=condition=Ready pod/lines --timeout=20s", "pod/lines condition met"),
            ("wait --for=jsonpath='{.status.phase}'=Running pod/lines", "pod/lines condition met"),
            ("wait --for=delete pod/none", ""),
            (
                "wait --for=condition=Never pod/lines --timeout=1s",
                "error: timed out waiting for the condition on pods/lines",
            ),
            (
                "logs lines --previous",
                "Error from server (BadRequest): previous terminated container \"lines\" in pod \"lines\" not found",
            ),
            (
                "logs none",
                "error: error from server (NotFound): pods \"none\" not found in namespace \"default\"",
            ),
            ("logs lines -c none", "error: container none is not valid for pod lines"),
            ("exec lines -- echo out", "out"),
            ("exec none -- ls", "Error from server (NotFound): pods \"none\" not found"),
            (
                "exec lines -c x -- ls",
                "Error from server (BadRequest): container x is not valid for pod lines",
            ),
        ],
    );
    cluster.until("logs lines --tail=2", |text| text.lines().count() == 2 && text.starts_with("line "));
    assert!(
        cluster.kubectl("logs -l run=lines --tail=1 --prefix").text.starts_with("[pod/lines/lines] line ")
    );
    let stamped = cluster.kubectl("logs lines --timestamps --tail=1").text;
    assert!(stamped.starts_with("20") && stamped.contains("Z line "), "{stamped}");
    let followed = cluster.shell("timeout 2 kubectl logs -f lines --since=1s");
    assert!(followed.text.lines().count() > 5, "{}", followed.text);
    let failed = cluster.try_kubectl("exec lines -- sh -c 'echo err >&2; exit 3'");
    assert_eq!((failed.code, failed.errors.as_str()), (3, "err\ncommand terminated with exit code 3\n"));
    assert_eq!(cluster.shell("echo hello | kubectl exec -i lines -- cat").text, "hello\n");
    let attached = cluster.shell("timeout 2 kubectl attach lines");
    assert!(attached.text.contains("line "), "{}{}", attached.text, attached.errors);

    let up = crate::verbs::file(&cluster, "up.txt", "carried\n");
    cluster.kubectl(&format!("cp {up} lines:/tmp/there.txt"));
    cluster.kubectl("exec lines -- cat /tmp/there.txt").prints("carried");
    let down = cluster.scratch().join("down.txt");
    cluster.kubectl(&format!("cp lines:/tmp/there.txt {}", down.display()));
    assert_eq!(std::fs::read_to_string(down).expect("the file came back"), "carried\n");
    let asked = cluster.shell("(echo one; sleep 1; echo two) | kubectl run ask --image=busybox --restart=Never -i --rm -- sh -c 'read a; read b; echo got $a $b'");
    assert!(
        asked.text.contains("got one two\n") && asked.text.ends_with("pod \"ask\" deleted\n"),
        "{}",
        asked.text
    );
}

#[test]
fn a_workload_is_rolled_forwarded_to_and_drained() {
    let cluster = cluster("drained");
    cluster.kubectl("create deployment web --image=busybox --replicas=2");
    walk(
        &cluster,
        &[
            ("wait --for=condition=Available deploy/web --timeout=30s", "deployment.apps/web condition met"),
            ("get deploy web -o jsonpath='{.metadata.generation}'", "1"),
            ("set env deploy/web A=b", "deployment.apps/web env updated"),
        ],
    );
    let status = cluster.kubectl("rollout status deploy/web --timeout=60s").text;
    assert!(status.ends_with("deployment \"web\" successfully rolled out\n"), "{status}");
    walk(
        &cluster,
        &[
            (
                "rollout history deploy/web",
                "deployment.apps/web \nREVISION  CHANGE-CAUSE\n1         <none>\n2         <none>",
            ),
            ("rollout undo deploy/web", "deployment.apps/web rolled back"),
        ],
    );
    cluster.kubectl("rollout status deploy/web --timeout=60s");
    let forwarded = cluster.shell(
        "kubectl port-forward deploy/web 8081:80 >/dev/null & for i in $(seq 50); do curl -sf http://127.0.0.1:8081/ && break; sleep 0.1; done; kill $!",
    );
    assert!(forwarded.text.starts_with("<h1>This request was processed by host: web-"), "{}", forwarded.text);
    walk(
        &cluster,
        &[
            ("taint node node-1 k=v:NoSchedule", "node/node-1 tainted"),
            ("taint node node-1 k-", "node/node-1 untainted"),
            ("cordon node-1", "node/node-1 cordoned"),
            ("cordon node-1", "node/node-1 already cordoned"),
        ],
    );
    assert_eq!(cluster.kubectl("get nodes").rows()[1][1], "Ready,SchedulingDisabled");
    let drained = cluster.kubectl("drain node-1 --ignore-daemonsets --grace-period=1 --timeout=60s").text;
    assert!(
        drained.matches("evicted").count() == 2 && drained.ends_with("node/node-1 drained\n"),
        "{drained}"
    );
    walk(&cluster, &[("uncordon node-1", "node/node-1 uncordoned")]);
    cluster.kubectl("wait --for=condition=Available deploy/web --timeout=30s");
}
