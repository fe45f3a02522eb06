//! `kubectl debug`: a container put into a pod that runs, a copy of a pod, a pod on the node; as a user looks into things.

use crate::harness::{Cluster, image};

fn cluster(name: &str) -> Cluster {
    let mut cluster = Cluster::prepare(name, &[]);
    image::import(&cluster, "busybox:1", &["/bin/sh"]);
    cluster.up();
    cluster
}

/// A pod called `web` whose first process is `sleep 4321`, in a file system that holds /tmp/mark.
fn web(cluster: &Cluster) {
    cluster.kubectl("run web --image=busybox:1 -- sh -c 'echo marked > /tmp/mark; exec sleep 4321'");
    cluster.kubectl("wait --for=condition=Ready pod/web --timeout=30s");
}

/// What the API says about the ephemeral container at `index`.
fn told(cluster: &Cluster, pod: &str, index: usize, what: &str) -> String {
    let path = format!("{{.status.ephemeralContainerStatuses[{index}].{what}}}");
    cluster.try_kubectl(&format!("get pod {pod} -o jsonpath='{path}'")).text
}

#[test]
fn a_container_is_put_beside_another_and_looked_through() {
    let mut cluster = cluster("debugged");
    web(&cluster);
    let address = cluster.kubectl("get pod web -o jsonpath='{.status.podIP}'").text;
    let debug = "debug web --image=busybox:1 -c look --target=web -- sh -c 'ps -o pid,args; ip -4 addr; exec sleep 8765'";
    let said = cluster.kubectl(debug);
    assert!(
        format!("{}{}", said.text, said.errors).contains("Targeting container \"web\"."),
        "{}",
        said.errors
    );
    cluster.until("logs web -c look", |log| {
        log.lines().any(|line| line.trim() == "1 sleep 4321") && log.contains(&format!("inet {address}/"))
    });
    cluster.kubectl("exec web -c look -- cat /proc/1/root/tmp/mark").prints("marked");
    cluster.kubectl("exec web -- ls /proc/1/root/tmp/mark").prints("/proc/1/root/tmp/mark");
    assert_eq!(&cluster.kubectl("get pod web --no-headers").rows()[0][1..4], ["1/1", "Running", "0"]);
    let described = cluster.kubectl("describe pod web").text;
    let ephemeral = described.split_once("\nEphemeral Containers:\n").expect("describe lists them").1;
    let ephemeral = ephemeral.split_once("\nConditions:").expect("conditions follow").0;
    assert!(ephemeral.starts_with("  look:\n    Container ID:  kelson://"), "{described}");
    assert!(ephemeral.contains("State:          Running"), "{described}");
    for event in ["Created container: look", "Started container look"] {
        let select = "get events --field-selector involvedObject.fieldPath=spec.ephemeralContainers{look}";
        cluster.until(select, |events| events.contains(event));
    }

    let refused = cluster.try_kubectl("debug web --image=busybox:1 -c lost --target=none -- true");
    assert_eq!(refused.code, 1, "the API knows no such target: {}", refused.errors);

    cluster.kubectl("debug web --image=busybox:1 -c short -- sh -c 'echo said; exit 3'");
    cluster.eventually("the second ends", || {
        Some(told(&cluster, "web", 1, "state.terminated.exitCode")).filter(|code| code == "3")
    });
    cluster.kubectl("logs web -c short").prints("said");
    cluster.kubectl("debug web --image=none.invalid/none:1 -c never -- true");
    cluster.eventually("the third cannot be fetched", || {
        let reason = told(&cluster, "web", 2, "state.waiting.reason");
        Some(reason).filter(|reason| ["ErrImagePull", "ImagePullBackOff"].contains(&reason.as_str()))
    });

    let before = told(&cluster, "web", 0, "containerID");
    cluster.stop();
    cluster.up();
    cluster.kubectl("exec web -c look -- cat /proc/1/root/tmp/mark").prints("marked");
    assert_eq!(told(&cluster, "web", 0, "containerID"), before, "it is adopted like others");
    assert_eq!(told(&cluster, "web", 1, "restartCount"), "0");
    assert_eq!(&cluster.kubectl("get pod web --no-headers").rows()[0][1..4], ["1/1", "Running", "0"]);
    cluster.kubectl("delete pod web --grace-period=1 --timeout=30s");
}

#[test]
fn a_debugger_is_talked_to() {
    let cluster = cluster("talked");
    web(&cluster);
    let asked = cluster.shell(
        "(echo one; sleep 1; echo two) | kubectl debug -i web --image=busybox:1 -c ask -- sh -c 'read a; read b; echo got $a $b'",
    );
    assert!(asked.text.contains("got one two\n"), "{}{}", asked.text, asked.errors);
    let typed = cluster.shell(
        "(sleep 2; echo 'echo $((40+2)) in $(hostname)'; sleep 1; echo exit) | script -qec 'kubectl debug -it web --image=busybox:1 -c shell -- sh' /dev/null",
    );
    assert!(typed.text.contains("42 in web"), "{}{}", typed.text, typed.errors);
    let quiet = cluster.shell("timeout 2 kubectl attach web -c shell");
    assert!(quiet.code != 0, "it has ended: {}", quiet.text);
    cluster.kubectl("delete pod web --grace-period=1 --timeout=30s");
}

#[test]
fn a_pod_is_copied_to_be_looked_at() {
    let cluster = cluster("copied");
    cluster.kubectl("run crash --image=busybox:1 --labels=app=crash -- sh -c 'echo broken; exit 1'");
    cluster.until("logs crash", |log| log == "broken\n");
    cluster.kubectl("debug crash --copy-to=look --container=crash -- sleep 1000");
    cluster.kubectl("wait --for=condition=Ready pod/look --timeout=30s");
    let shared = "debug look --copy-to=shared --share-processes --image=busybox:1 -c tools -- sleep 1000";
    cluster.kubectl(shared);
    cluster.kubectl("wait --for=condition=Ready pod/shared --timeout=30s");
    cluster.until("exec shared -c tools -- ps -o args", |list| {
        list.lines().filter(|line| *line == "sleep 1000").count() == 2
    });
    cluster.kubectl("delete pod look shared crash --grace-period=1 --timeout=30s");
}

#[test]
fn the_node_is_looked_at_through_a_pod() {
    let cluster = cluster("node");
    let marked = cluster.scratch().join("marked");
    std::fs::write(&marked, "of the node\n").expect("the file is written");
    let script = format!(
        "cat /host{}; cat /proc/1/comm; ls /proc/self/net/dev >/dev/null; ip -o link",
        marked.display()
    );
    cluster.kubectl(&format!("debug node/node-1 --image=busybox:1 -- sh -c '{script}; exec sleep 1000'"));
    let pod = cluster.eventually("a pod on the node", || {
        let names = cluster.try_kubectl("get pods -o name").text;
        names.lines().find(|name| name.starts_with("pod/node-debugger-node-1-")).map(str::to_owned)
    });
    cluster.kubectl(&format!("wait --for=condition=Ready {pod} --timeout=30s"));
    let init = std::fs::read_to_string("/proc/1/comm").expect("the machine has a first process");
    cluster.until(&format!("logs {pod}"), |log| {
        log.starts_with(&format!("of the node\n{init}")) && log.contains("kelson0")
    });
    cluster.kubectl(&format!("exec {pod} -- chroot /host cat {}", marked.display())).prints("of the node");
    cluster.kubectl(&format!("delete {pod} --grace-period=1 --timeout=30s"));
}
