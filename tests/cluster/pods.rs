//! Pods in every state a user meets, in kubectl's words: what they wait for, how they fail, who they are, when they are
//! ready.

use crate::harness::{Cluster, image};

fn cluster(name: &str) -> Cluster {
    let mut cluster = Cluster::prepare(name, &[]);
    image::import(&cluster, "busybox:1", &["/bin/sh"]);
    cluster.up();
    cluster
}

fn apply(cluster: &Cluster, manifest: &str) {
    let file = cluster.scratch().join("manifest.yaml");
    std::fs::write(&file, manifest).expect("the manifest is written");
    cluster.kubectl(&format!("apply -f {}", file.display()));
}

/// A pod of one container; `spec` and `container` are further members.
fn pod(name: &str, spec: &str, container: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec: {{terminationGracePeriodSeconds: 1, {spec} containers: [{{name: c, {container}}}]}}
---
"
    )
}

const SLEEP: &str = "image: 'busybox:1', command: [sleep, '1000']";

fn shell(script: &str) -> String {
    format!("image: 'busybox:1', command: [sh, -c, '{script}']")
}

/// The pod comes to show `status`, and `describe` comes to say all of `said`.
fn shows(cluster: &Cluster, name: &str, status: &str, said: &[&str]) {
    cluster.until(&format!("get pod {name} --no-headers"), |text| {
        text.split_whitespace().nth(2) == Some(status)
    });
    for words in said {
        cluster.until(&format!("describe pod {name}"), |text| text.contains(words));
    }
}

#[test]
fn pods_that_fail_say_why() {
    let cluster = cluster("failures");
    let never = "restartPolicy: Never,";
    apply(
        &cluster,
        &[
            pod("done", never, "image: 'busybox:1', command: ['true']"),
            pod("error", never, &shell("exit 3")),
            pod(
                "oom",
                never,
                "image: 'busybox:1', command: [tail, /dev/zero], resources: {limits: {memory: 20Mi}}",
            ),
            pod("crash", "", "image: 'busybox:1', command: ['false']"),
            pod("nosuch", "", "image: 'busybox:1', command: [/nosuch]"),
            pod("root", "securityContext: {runAsNonRoot: true},", SLEEP),
            pod("name", "", "image: 'BUSYBOX:1'"),
            pod("never", "", "image: 'nosuch:1', imagePullPolicy: Never"),
            pod("pull", "", "image: '127.0.0.1:1/nosuch:1'"),
            pod("env", "", &format!("{SLEEP}, envFrom: [{{configMapRef: {{name: nosuch}}}}]")),
            pod("late", "activeDeadlineSeconds: 1,", SLEEP),
            pod(
                "verbose",
                "",
                &format!(
                    "{}, resources: {{limits: {{ephemeral-storage: 1Mi}}}}",
                    shell("head -c 3000000 /dev/zero > /x; exec sleep 1000")
                ),
            ),
            pod(
                "large",
                "volumes: [{name: v, emptyDir: {sizeLimit: 1Mi}}],",
                &format!(
                    "{}, volumeMounts: [{{name: v, mountPath: /v}}]",
                    shell("head -c 3000000 /dev/zero > /v/x; exec sleep 1000")
                ),
            ),
        ]
        .concat(),
    );
    shows(&cluster, "done", "Completed", &["Reason:       Completed"]);
    shows(&cluster, "error", "Error", &["Exit Code:    3"]);
    shows(&cluster, "oom", "OOMKilled", &["Exit Code:    137"]);
    shows(
        &cluster,
        "crash",
        "CrashLoopBackOff",
        &["Back-off restarting failed container c in pod crash_default("],
    );
    shows(&cluster, "nosuch", "CrashLoopBackOff", &["Exit Code:    128", "no such file or directory"]);
    shows(
        &cluster,
        "root",
        "CreateContainerConfigError",
        &["Error: container has runAsNonRoot and image will run as root (pod: \"root_default("],
    );
    shows(
        &cluster,
        "name",
        "InvalidImageName",
        &[
            "InspectFailed",
            "Failed to apply default image tag \"BUSYBOX:1\": couldn't parse image name \"BUSYBOX:1\": invalid reference format: repository name (library/BUSYBOX) must be lowercase",
        ],
    );
    shows(
        &cluster,
        "never",
        "ErrImageNeverPull",
        &["Container image \"nosuch:1\" is not present with pull policy of Never"],
    );
    shows(
        &cluster,
        "pull",
        "ImagePullBackOff",
        &[
            "Failed to pull image \"127.0.0.1:1/nosuch:1\": ",
            "Error: ErrImagePull",
            "Back-off pulling image \"127.0.0.1:1/nosuch:1\"",
        ],
    );
    shows(&cluster, "env", "CreateContainerConfigError", &["Error: configmap \"nosuch\" not found"]);
    cluster.until("describe pod late", |text| {
        text.contains("DeadlineExceeded")
            && text.contains("Pod was active on the node longer than the specified deadline")
    });
    cluster.until("get pod large -o 'jsonpath={.status.phase} {.status.reason} {.status.message}'", |text| {
        text == "Failed Evicted Usage of EmptyDir volume \"v\" exceeds the limit \"1Mi\". "
    });
    cluster.until("get pod verbose -o 'jsonpath={.status.phase} {.status.reason} {.status.message}'", |text| {
        text == "Failed Evicted Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "
    });
}

#[test]
fn pods_that_get_no_node_say_why() {
    let cluster = cluster("unplaced");
    apply(
        &cluster,
        &[
            pod("greedy", "", &format!("{SLEEP}, resources: {{requests: {{cpu: '1000'}}}}")),
            pod("choosy", "nodeSelector: {disk: ssd},", SLEEP),
            pod("gated", "schedulingGates: [{name: example.com/wait}],", SLEEP),
            pod("forced", "nodeName: node-1, nodeSelector: {disk: ssd},", SLEEP),
        ]
        .concat(),
    );
    let refused = |why: &str| {
        format!(
            "0/1 nodes are available: 1 {why}. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        )
    };
    shows(&cluster, "greedy", "Pending", &["FailedScheduling", &refused("Insufficient cpu")]);
    shows(&cluster, "choosy", "Pending", &[&refused("node(s) didn't match Pod's node affinity/selector")]);
    shows(&cluster, "gated", "SchedulingGated", &[]);
    let why = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector";
    shows(&cluster, "forced", "NodeAffinity", &[why]);
    // What stood in the way is taken out of it.
    cluster.kubectl("label node node-1 disk=ssd");
    cluster
        .kubectl("patch pod gated --type=json -p '[{\"op\":\"remove\",\"path\":\"/spec/schedulingGates\"}]'");
    for name in ["choosy", "gated"] {
        shows(&cluster, name, "Running", &[&format!("Successfully assigned default/{name} to node-1")]);
    }
    cluster.kubectl("taint node node-1 gpu=yes:NoSchedule");
    apply(&cluster, &pod("plain", "", SLEEP));
    shows(&cluster, "plain", "Pending", &[&refused("node(s) had untolerated taint(s)")]);
    apply(&cluster, &pod("tolerant", "tolerations: [{key: gpu, operator: Exists}],", SLEEP));
    shows(&cluster, "tolerant", "Running", &[]);
    cluster.kubectl("cordon node-1");
    apply(&cluster, &pod("late", "tolerations: [{key: gpu, operator: Exists}],", SLEEP));
    shows(&cluster, "late", "Pending", &[&refused("node(s) were unschedulable")]);
}

/// Every kind of readiness probe takes the pod's address out of the Service's endpoints, and puts it back.
#[test]
fn endpoints_follow_readiness() {
    let cluster = cluster("readiness");
    let serve = "mkdir -p /tmp/www; echo fine > /tmp/www/live; httpd -p 8080 -h /tmp/www; exec sleep 1000";
    let each = |name: &str, probe: &str| {
        let container = format!(
            "{}, ports: [{{name: http, containerPort: 8080}}], readinessProbe: {{{probe}, periodSeconds: 1, failureThreshold: 1}}",
            shell(serve)
        );
        let service = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{selector: {{app: {name}}}, ports: [{{port: 80, targetPort: http}}]}}\n---\n"
        );
        pod(name, "", &container) + &service
    };
    apply(
        &cluster,
        &[
            each("by-exec", "exec: {command: [sh, -c, 'test -e /tmp/www/live || { echo gone; exit 1; }']}"),
            each("by-http", "httpGet: {path: /live, port: http}"),
            each("by-tcp", "tcpSocket: {port: 8080}"),
        ]
        .concat(),
    );
    let addresses = |name: &str, some: bool| {
        cluster
            .until(&format!("get endpoints {name} -o 'jsonpath={{.subsets[*].addresses[*].ip}}'"), |text| {
                text.is_empty() != some
            })
    };
    let said = [
        ("by-exec", "rm /tmp/www/live", "echo fine > /tmp/www/live", "Readiness probe failed: gone"),
        (
            "by-http",
            "rm /tmp/www/live",
            "echo fine > /tmp/www/live",
            "Readiness probe failed: HTTP probe failed with statuscode: 404",
        ),
        ("by-tcp", "killall httpd", "httpd -p 8080 -h /tmp/www", "connect: connection refused"),
    ];
    for (name, take_down, put_up, why) in said {
        let address = addresses(name, true);
        cluster.kubectl(&format!("exec {name} -- sh -c '{take_down}'"));
        addresses(name, false);
        cluster
            .until(&format!("describe pod {name}"), |text| text.contains("Unhealthy") && text.contains(why));
        cluster.kubectl(&format!("exec {name} -- sh -c '{put_up}'"));
        assert_eq!(addresses(name, true), address);
        let restarts = cluster
            .kubectl(&format!("get pod {name} -o jsonpath={{.status.containerStatuses[0].restartCount}}"));
        restarts.prints("0");
    }
}

#[test]
fn liveness_restarts_and_startup_holds_it_back() {
    let cluster = cluster("liveness");
    let slow = format!(
        "{}, startupProbe: {{exec: {{command: [test, -e, /tmp/up]}}, periodSeconds: 1, failureThreshold: 30}}, \
         livenessProbe: {{exec: {{command: [test, -e, /tmp/up]}}, periodSeconds: 1, failureThreshold: 1}}, \
         readinessProbe: {{exec: {{command: ['true']}}, periodSeconds: 1}}",
        shell("sleep 3; touch /tmp/up; exec sleep 1000")
    );
    apply(&cluster, &pod("slow", "", &slow));
    shows(&cluster, "slow", "Running", &["Startup probe failed"]);
    let ready = "get pod slow -o jsonpath={.status.containerStatuses[0].ready}:{.status.containerStatuses[0].restartCount}";
    cluster.until(ready, |text| text == "true:0");
    cluster.kubectl("exec slow -- rm /tmp/up");
    cluster.until("describe pod slow", |text| {
        text.contains("Liveness probe failed")
            && text.contains("Container c failed liveness probe, will be restarted")
    });
    cluster.until(ready, |text| text == "true:1");
}

#[test]
fn init_containers_go_first_and_sidecars_stay() {
    let cluster = cluster("init");
    apply(
        &cluster,
        "apiVersion: v1
kind: Pod
metadata: {name: steps}
spec:
  restartPolicy: Never
  volumes: [{name: v, emptyDir: {}}]
  initContainers:
  - {name: first, image: 'busybox:1', command: [sh, -c, 'echo first >> /v/log'], volumeMounts: [{name: v, mountPath: /v}]}
  - name: side
    image: busybox:1
    restartPolicy: Always
    command: [sh, -c, 'echo side >> /v/log; trap \"exit 0\" TERM; while true; do sleep 0.1; done']
    startupProbe: {exec: {command: [grep, -q, side, /v/log]}, periodSeconds: 1}
    volumeMounts: [{name: v, mountPath: /v}]
  - {name: last, image: 'busybox:1', command: [sh, -c, 'echo last >> /v/log'], volumeMounts: [{name: v, mountPath: /v}]}
  containers:
  - name: c
    image: busybox:1
    command: [sh, -c, 'cat /v/log; echo -n parting words > /dev/termination-log; exit 0']
    volumeMounts: [{name: v, mountPath: /v}]
",
    );
    shows(&cluster, "steps", "Completed", &["Message:      parting words"]);
    cluster.kubectl("logs steps -c c").prints("first\nside\nlast");
}

#[test]
fn containers_are_who_their_security_context_says() {
    let cluster = cluster("identity");
    let look = "id -u; id -g; id -G; touch /x || echo read-only; grep NoNewPrivs /proc/self/status; grep CapEff /proc/self/status";
    let context = "securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}";
    let of_pod = "restartPolicy: Never, securityContext: {runAsUser: 1000, runAsGroup: 2000, fsGroup: 3000, supplementalGroups: [4000]},";
    let shared = "shareProcessNamespace: true, hostAliases: [{ip: 10.1.2.3, hostnames: [far, away]}], hostname: own, subdomain: sub, dnsPolicy: None, dnsConfig: {nameservers: [10.9.8.7], searches: [a.b], options: [{name: ndots, value: '3'}]}, restartPolicy: Never,";
    apply(
        &cluster,
        &[
            pod("user", of_pod, &format!("{}, {context}", shell(look))),
            pod(
                "mighty",
                "restartPolicy: Never,",
                &format!(
                    "{}, securityContext: {{privileged: true}}",
                    shell("ls /dev | wc -l; mount -t tmpfs x /tmp && echo mounted")
                ),
            ),
            pod("names", shared, &shell("hostname; hostname -f; grep far /etc/hosts; cat /etc/resolv.conf")),
            pod(
                "host",
                "hostNetwork: true, hostPID: true, restartPolicy: Never,",
                &shell("ip -o addr show dev kelson0 | grep -c inet; ps | wc -l"),
            ),
        ]
        .concat(),
    );
    for name in ["user", "mighty", "names", "host"] {
        shows(&cluster, name, "Completed", &[]);
    }
    let user = cluster.kubectl("logs user").text;
    let lines: Vec<&str> = user.lines().collect();
    assert_eq!(lines[..2], ["1000", "2000"], "{user}");
    assert!(
        ["2000", "3000", "4000"].iter().all(|group| lines[2].split(' ').any(|it| it == *group)),
        "{user}"
    );
    assert!(
        user.contains("read-only")
            && user.contains("NoNewPrivs:\t1")
            && user.contains("CapEff:\t0000000000000000"),
        "{user}"
    );
    let mighty = cluster.kubectl("logs mighty").text;
    assert!(
        mighty.contains("mounted") && mighty.lines().next().is_some_and(|it| it.parse::<u32>().unwrap() > 15),
        "{mighty}"
    );
    let names = cluster.kubectl("logs names").text;
    let expected = "own\nown.sub.default.svc.cluster.local\n10.1.2.3\tfar\taway\nnameserver 10.9.8.7\nsearch a.b\noptions ndots:3\n";
    assert_eq!(names, expected);
    let host = cluster.kubectl("logs host").text;
    let counts: Vec<u32> = host.lines().map(|it| it.parse().unwrap()).collect();
    assert!(counts[0] >= 1 && counts[1] > 5, "{host}");
}

#[test]
fn requests_and_limits_make_the_class_and_the_bounds() {
    let cluster = cluster("bounds");
    let both = "resources: {requests: {cpu: 100m, memory: 30Mi}, limits: {cpu: 100m, memory: 30Mi}}";
    let some = "resources: {requests: {cpu: 50m}}";
    let look = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max; exec sleep 1000";
    apply(
        &cluster,
        &[
            pod("tight", "", &format!("{}, {both}", shell(look))),
            pod("loose", "", &format!("{SLEEP}, {some}")),
            pod("free", "", SLEEP),
        ]
        .concat(),
    );
    for (name, class) in [("tight", "Guaranteed"), ("loose", "Burstable"), ("free", "BestEffort")] {
        shows(&cluster, name, "Running", &[]);
        cluster.kubectl(&format!("get pod {name} -o jsonpath={{.status.qosClass}}")).prints(class);
    }
    let bounds = cluster.until("logs tight", |text| text.lines().count() >= 2);
    let lines: Vec<&str> = bounds.lines().collect();
    assert_eq!((lines[0], lines[1].split(' ').next()), ("31457280", Some("10000")), "{bounds}");
}

#[test]
fn containers_that_share_their_processes_see_each_other_and_not_the_node() {
    let cluster = cluster("shared");
    apply(
        &cluster,
        "apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  shareProcessNamespace: true
  terminationGracePeriodSeconds: 1
  containers:
  - {name: a, image: 'busybox:1', command: [sleep, '1111']}
  - {name: b, image: 'busybox:1', command: [sleep, '2222'], securityContext: {capabilities: {add: [SYS_PTRACE]}}}
",
    );
    shows(&cluster, "p", "Running", &[]);
    let processes = cluster.until("exec p -c b -- ps -o pid,args", |text| {
        text.contains("sleep 1111") && text.contains("sleep 2222")
    });
    assert!(processes.lines().count() < 8, "only the pod's own\n{processes}");
    cluster.kubectl("exec p -c b -- sh -c 'ls -A /proc/1/root | wc -l'").prints("0");
    let number = processes
        .lines()
        .find(|line| line.contains("sleep 1111"))
        .and_then(|line| line.split_whitespace().next());
    cluster.kubectl(&format!("exec p -c b -- kill {}", number.expect("a process has a number")));
    let restarts = "get pod p -o jsonpath={.status.containerStatuses[*].restartCount}";
    cluster.until(restarts, |text| text == "1 0");
}
