//! The workload controllers with the real kubectl: StatefulSet, DaemonSet, Job, CronJob, and `rollout` for each (spec H).

use crate::harness::{Cluster, image};

/// One cluster with an image that serves a page.
fn cluster(name: &str) -> Cluster {
    let cluster = Cluster::start(name);
    image::import(&cluster, "server:1", &["sh", "-c", image::HTTP_SERVER]);
    image::import(&cluster, "server:2", &["sh", "-c", image::HTTP_SERVER]);
    cluster
}

fn apply(cluster: &Cluster, manifest: &str) -> String {
    let file = cluster.scratch().join("manifest.yaml");
    std::fs::write(&file, manifest).expect("the manifest is written");
    cluster.kubectl(&format!("apply -f {}", file.display())).text
}

/// The messages of an object's events of one reason, as they were last told.
fn events(cluster: &Cluster, object: &str, reason: &str) -> Vec<String> {
    let (kind, name) = object.split_once('/').expect("kind/name");
    let fields = format!("involvedObject.kind={kind},involvedObject.name={name},reason={reason}");
    let path = "'{range .items[*]}{.metadata.resourceVersion} {.message}{\"\\n\"}{end}'";
    let listed = cluster.kubectl(&format!("get events --field-selector {fields} -o jsonpath={path}")).text;
    // By version, as several are told within a second, which is all their times tell.
    let versioned = listed.lines().filter_map(|line| line.split_once(' '));
    let mut messages: Vec<(u64, String)> = versioned
        .map(|(version, message)| (version.parse().expect("a version is a number"), message.to_owned()))
        .collect();
    messages.sort();
    messages.into_iter().map(|(_, message)| message).collect()
}

/// The pods of a label as `name=image`, by name.
fn images(cluster: &Cluster, selector: &str) -> Vec<String> {
    let path = "'{range .items[*]}{.metadata.name}={.spec.containers[0].image}{\"\\n\"}{end}'";
    let listed = cluster.kubectl(&format!("get pods -l {selector} -o jsonpath={path}")).text;
    listed.lines().map(str::to_owned).collect()
}

/// The revisions that `kubectl rollout history` lists.
fn history(cluster: &Cluster, workload: &str) -> Vec<String> {
    let listed = cluster.kubectl(&format!("rollout history {workload}")).text;
    let mut lines = listed.lines();
    let heading = [lines.next(), lines.next()].map(|line| line.unwrap_or_default().trim_end().to_owned());
    assert_eq!(heading[1], "REVISION  CHANGE-CAUSE", "{listed}");
    let rows = lines.filter_map(|line| line.split_whitespace().next());
    rows.map(str::to_owned).collect()
}

/// The last line that `kubectl rollout status` prints.
fn rolled_out(cluster: &Cluster, workload: &str) -> String {
    let told = cluster.kubectl(&format!("rollout status {workload} --timeout=60s")).text;
    told.lines().last().unwrap_or_default().to_owned()
}

const STATEFUL_SET: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: None
  selector: {app: web}
  ports: [{name: http, port: 80}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  replicas: 3
  serviceName: web
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: c
        image: server:1
        ports: [{containerPort: 80}]
";

#[test]
fn h4_a_stateful_sets_pods_keep_their_names_and_their_order() {
    let cluster = cluster("stateful");
    assert_eq!(apply(&cluster, STATEFUL_SET), "service/web created\nstatefulset.apps/web created\n");
    assert_eq!(
        rolled_out(&cluster, "sts/web"),
        "partitioned roll out complete: 3 new pods have been updated..."
    );
    let rows = cluster.kubectl("get sts").rows();
    assert_eq!((rows[0].join(" "), rows[1][..2].join(" ")), ("NAME READY AGE".into(), "web 3/3".into()));
    let created: Vec<String> =
        (0..3).map(|ordinal| format!("create Pod web-{ordinal} in StatefulSet web successful")).collect();
    assert_eq!(events(&cluster, "StatefulSet/web", "SuccessfulCreate"), created);
    assert!(cluster.kubectl("describe sts web").text.contains(&created[2]));
    names_lead_to_the_pods(&cluster);
    updates_go_down_to_the_partition_and_back(&cluster);
    cluster.kubectl("scale sts web --replicas=1").prints("statefulset.apps/web scaled");
    cluster.until("get pods -l app=web -o name", |text| text == "pod/web-0\n");
    let gone = [2, 1].map(|ordinal| format!("delete Pod web-{ordinal} in StatefulSet web successful"));
    cluster.eventually("the highest goes first", || {
        events(&cluster, "StatefulSet/web", "SuccessfulDelete").ends_with(&gone).then_some(())
    });
}

fn names_lead_to_the_pods(cluster: &Cluster) {
    for ordinal in 0..3 {
        let pod = format!("web-{ordinal}");
        cluster.kubectl(&format!("exec {pod} -- hostname")).prints(&pod);
        let address = cluster.kubectl(&format!("get pod {pod} -o jsonpath='{{.status.podIP}}'")).text;
        let name = format!("{pod}.web.default.svc.cluster.local");
        cluster.eventually(&name, || {
            let answer = cluster.shell(&format!("dig +short +tries=1 +time=2 @10.96.0.10 A {name}")).text;
            (answer.trim() == address).then_some(())
        });
    }
    let page = cluster.kubectl("exec web-0 -- wget -qO- http://web-2.web").text;
    assert!(page.contains("processed by host: web-2"), "{page}");
    let labels = cluster.kubectl("get pod web-1 -o jsonpath='{.metadata.labels}'").text;
    for label in
        ["\"statefulset.kubernetes.io/pod-name\":\"web-1\"", "\"apps.kubernetes.io/pod-index\":\"1\""]
    {
        assert!(labels.contains(label), "{labels}");
    }
}

fn updates_go_down_to_the_partition_and_back(cluster: &Cluster) {
    let partition = |ordinal: usize| {
        let patch =
            format!("{{\"spec\":{{\"updateStrategy\":{{\"rollingUpdate\":{{\"partition\":{ordinal}}}}}}}}}");
        cluster.kubectl(&format!("patch sts web -p '{patch}'")).prints("statefulset.apps/web patched");
    };
    partition(2);
    cluster.kubectl("set image sts/web c=server:2").prints("statefulset.apps/web image updated");
    assert_eq!(
        rolled_out(cluster, "sts/web"),
        "partitioned roll out complete: 1 new pods have been updated..."
    );
    assert_eq!(images(cluster, "app=web"), ["web-0=server:1", "web-1=server:1", "web-2=server:2"]);
    partition(0);
    assert_eq!(
        rolled_out(cluster, "sts/web"),
        "partitioned roll out complete: 3 new pods have been updated..."
    );
    assert_eq!(images(cluster, "app=web"), ["web-0=server:2", "web-1=server:2", "web-2=server:2"]);
    assert_eq!(history(cluster, "sts/web"), ["1", "2"]);
    let first = cluster.kubectl("rollout history sts/web --revision=1").text;
    assert!(first.contains("statefulset.apps/web with revision #1") && first.contains("server:1"), "{first}");
    cluster.kubectl("rollout undo sts/web").prints("statefulset.apps/web rolled back");
    rolled_out(cluster, "sts/web");
    assert_eq!(images(cluster, "app=web"), ["web-0=server:1", "web-1=server:1", "web-2=server:1"]);
    assert_eq!(history(cluster, "sts/web"), ["2", "3"]);
    cluster.kubectl("rollout restart sts/web").prints("statefulset.apps/web restarted");
    rolled_out(cluster, "sts/web");
    assert_eq!(history(cluster, "sts/web"), ["2", "3", "4"]);
}

const CLAIMED: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: c, image: \"server:1\", volumeMounts: [{name: data, mountPath: /data}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
";

#[test]
fn h4_10_a_stateful_sets_data_outlives_its_pods() {
    let cluster = cluster("claimed");
    apply(&cluster, CLAIMED);
    rolled_out(&cluster, "sts/db");
    cluster
        .kubectl("get pvc data-db-0 -o jsonpath='{.status.phase} {.metadata.labels.app}'")
        .prints("Bound db");
    assert_eq!(
        events(&cluster, "StatefulSet/db", "SuccessfulCreate"),
        [
            "create Claim data-db-0 Pod db-0 in StatefulSet db success",
            "create Pod db-0 in StatefulSet db successful"
        ]
    );
    cluster.kubectl("exec db-0 -- sh -c 'echo kept > /data/file'");
    cluster.kubectl("delete pod db-0").prints("pod \"db-0\" deleted");
    cluster.until("exec db-0 -- cat /data/file", |text| text == "kept\n");
    cluster.kubectl("delete sts db");
    cluster.until("get pods -l app=db -o name", str::is_empty);
    cluster.kubectl("get pvc -o name").prints("persistentvolumeclaim/data-db-0");
}

const DAEMON_SET: &str = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: \"server:1\"}]
";

#[test]
fn h5_a_daemon_set_has_a_pod_on_the_node() {
    let cluster = cluster("daemon");
    assert_eq!(apply(&cluster, DAEMON_SET), "daemonset.apps/agent created\n");
    assert_eq!(rolled_out(&cluster, "ds/agent"), "daemon set \"agent\" successfully rolled out");
    let rows = cluster.kubectl("get ds").rows();
    let heading = ["NAME", "DESIRED", "CURRENT", "READY", "UP-TO-DATE", "AVAILABLE", "NODE SELECTOR", "AGE"];
    assert_eq!(rows[0], heading);
    assert_eq!(rows[1][..7], ["agent", "1", "1", "1", "1", "1", "<none>"]);
    cluster.kubectl("get pods -l app=agent -o jsonpath='{.items[0].spec.nodeName}'").prints("node-1");
    let labels = cluster.kubectl("get pods -l app=agent -o jsonpath='{.items[0].metadata.labels}'").text;
    assert!(
        labels.contains("\"pod-template-generation\":\"1\"") && labels.contains("controller-revision-hash"),
        "{labels}"
    );

    cluster.kubectl("set image ds/agent c=server:2").prints("daemonset.apps/agent image updated");
    assert_eq!(rolled_out(&cluster, "ds/agent"), "daemon set \"agent\" successfully rolled out");
    assert_eq!(history(&cluster, "ds/agent"), ["1", "2"]);
    cluster.kubectl("rollout undo ds/agent").prints("daemonset.apps/agent rolled back");
    rolled_out(&cluster, "ds/agent");
    assert_eq!(history(&cluster, "ds/agent"), ["2", "3"]);
    cluster.kubectl("rollout restart ds/agent").prints("daemonset.apps/agent restarted");
    rolled_out(&cluster, "ds/agent");
    let pods = images(&cluster, "app=agent");
    assert!(pods.len() == 1 && pods[0].ends_with("=server:1"), "{pods:?}");
    let described = cluster.kubectl("describe ds agent").text;
    assert!(
        described.contains("SuccessfulCreate") && described.contains("Created pod: agent-"),
        "{described}"
    );

    let patch = "{\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":{\"disk\":\"ssd\"}}}}}";
    cluster.kubectl(&format!("patch ds agent -p '{patch}'"));
    cluster.until("get pods -l app=agent -o name", str::is_empty);
    cluster.kubectl("label node node-1 disk=ssd");
    cluster.until("get ds agent -o jsonpath='{.status.numberAvailable}'", |text| text == "1");
}

/// A Job that runs a shell line.
fn job(name: &str, spec: &str, line: &str) -> String {
    format!(
        "
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}}}
spec:
  {spec}
  template:
    spec:
      restartPolicy: Never
      containers:
      - {{name: c, image: \"server:1\", command: [sh, -c, {line:?}]}}
"
    )
}

#[test]
fn h6_jobs_run_to_their_end_one_way_or_the_other() {
    let cluster = cluster("jobs");
    apply(&cluster, &job("work", "completions: 3\n  parallelism: 2", "echo done"));
    cluster
        .kubectl("wait --for=condition=Complete job/work --timeout=30s")
        .prints("job.batch/work condition met");
    let rows = cluster.kubectl("get jobs").rows();
    assert_eq!(rows[0].join(" "), "NAME STATUS COMPLETIONS DURATION AGE");
    assert_eq!(rows[1][..3], ["work", "Complete", "3/3"]);
    cluster.kubectl("logs job/work -c c --tail=1").prints("done");
    let pods = cluster.kubectl("get pods -l job-name=work --no-headers").rows();
    assert!(pods.len() == 3 && pods.iter().all(|pod| pod[2] == "Completed"), "{pods:?}");
    let described = cluster.kubectl("describe job work").text;
    assert!(described.contains("0 Active (0 Ready) / 3 Succeeded / 0 Failed"), "{described}");
    assert!(described.contains("Completed") && described.contains("Job completed"), "{described}");
    let conditions = "get job work -o jsonpath='{range .status.conditions[*]}{.type}={.reason} {end}'";
    cluster.kubectl(conditions).prints("SuccessCriteriaMet=CompletionsReached Complete=CompletionsReached");

    apply(&cluster, &job("broken", "backoffLimit: 0", "exit 3"));
    cluster.kubectl("wait --for=condition=Failed job/broken --timeout=30s");
    assert_eq!(
        events(&cluster, "Job/broken", "BackoffLimitExceeded"),
        ["Job has reached the specified backoff limit"]
    );
    let rows = cluster.kubectl("get job broken --no-headers").rows();
    assert_eq!(rows[0][..3], ["broken", "Failed", "0/1"]);
    indexed(&cluster);
    cluster.kubectl("delete job work broken indexed --timeout=30s");
    cluster.until("get pods -o name", str::is_empty);
}

fn indexed(cluster: &Cluster) {
    let spec = "completionMode: Indexed\n  completions: 2\n  parallelism: 2";
    apply(cluster, &job("indexed", spec, "echo $JOB_COMPLETION_INDEX on $(hostname)"));
    cluster.kubectl("wait --for=condition=Complete job/indexed --timeout=30s");
    cluster.kubectl("get job indexed -o jsonpath='{.status.completedIndexes}'").prints("0,1");
    for index in 0..2 {
        let selector = format!("batch.kubernetes.io/job-completion-index={index}");
        cluster.kubectl(&format!("logs -l {selector}")).prints(&format!("{index} on indexed-{index}"));
    }
}

#[test]
fn h6_suspended_and_out_of_time() {
    let cluster = cluster("deadline");
    apply(&cluster, &job("resting", "suspend: true", "sleep 60"));
    cluster.until("get job resting --no-headers", |text| text.contains("Suspended"));
    cluster.kubectl("get pods -o name").prints("");
    apply(&cluster, &job("slow", "activeDeadlineSeconds: 1", "trap 'exit 1' TERM; sleep 60 & wait"));
    cluster.kubectl("wait --for=condition=Failed job/slow --timeout=40s");
    assert_eq!(
        events(&cluster, "Job/slow", "DeadlineExceeded"),
        ["Job was active longer than specified deadline"]
    );
    apply(&cluster, &job("brief", "ttlSecondsAfterFinished: 1", "true"));
    cluster.kubectl("wait --for=delete job/brief --timeout=30s");
    cluster.until("get pods -l job-name=brief -o name", str::is_empty);
}

#[test]
fn h7_cron_jobs_make_jobs() {
    let cluster = cluster("cron");
    let create = "create cronjob tick --image=server:1 --schedule='@every 2s' -- echo tock";
    cluster.kubectl(create).prints("cronjob.batch/tick created");
    cluster.until("get jobs -o name", |text| text.starts_with("job.batch/tick-2"));
    cluster.kubectl("patch cronjob tick -p '{\"spec\":{\"suspend\":true,\"schedule\":\"*/5 * * * *\"}}'");
    let rows = cluster.kubectl("get cj").rows();
    assert_eq!(rows[0].join(" "), "NAME SCHEDULE TIMEZONE SUSPEND ACTIVE LAST SCHEDULE AGE");
    assert_eq!(rows[1][..4], ["tick", "*/5 * * * *", "<none>", "True"]);
    let created = events(&cluster, "CronJob/tick", "SuccessfulCreate");
    assert!(created.iter().all(|told| told.starts_with("Created job tick-2")), "{created:?}");
    cluster.until("describe cj tick", |text| text.contains("Saw completed job: tick-"));
    cluster.until("get cj tick -o jsonpath='{.status.active}'", str::is_empty);

    cluster.kubectl("create job by-hand --from=cronjob/tick").prints("job.batch/by-hand created");
    cluster.kubectl("wait --for=condition=Complete job/by-hand --timeout=30s");
    cluster.kubectl("logs job/by-hand").prints("tock");
    let odd = cluster.try_kubectl("create cronjob odd --image=server:1 --schedule=often -- true");
    assert!(
        odd.errors
            .contains("spec.schedule: Invalid value: \"often\": expected exactly 5 fields, found 1: [often]"),
        "{}",
        odd.errors
    );
    cluster.kubectl("delete cj tick").prints("cronjob.batch \"tick\" deleted");
    cluster.until("get jobs,pods -o name", str::is_empty);
}

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 2
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: \"server:1\"}]
";

#[test]
fn h2_a_deployment_is_paused_resumed_undone_and_restarted() {
    let cluster = cluster("rollouts");
    apply(&cluster, DEPLOYMENT);
    let done = "deployment \"app\" successfully rolled out";
    assert_eq!(rolled_out(&cluster, "deploy/app"), done);
    cluster.kubectl("rollout pause deploy/app").prints("deployment.apps/app paused");
    cluster.until(
        "get deploy app -o jsonpath='{.status.conditions[?(@.type==\"Progressing\")].reason}'",
        |text| text == "DeploymentPaused",
    );
    cluster.kubectl("set image deploy/app c=server:2").prints("deployment.apps/app image updated");
    let waiting =
        "Waiting for deployment \"app\" rollout to finish: 0 out of 2 new replicas have been updated...";
    cluster.until("rollout status deploy/app --watch=false", |text| text.trim_end() == waiting);
    cluster.kubectl("scale deploy app --replicas=3");
    cluster.until("get deploy app -o jsonpath='{.status.readyReplicas}'", |text| text == "3");
    assert!(images(&cluster, "app=app").iter().all(|pod| pod.ends_with("=server:1")));
    let refused = cluster.try_kubectl("rollout undo deploy/app --to-revision=1");
    let why = "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again";
    assert!(refused.errors.contains(why), "{}", refused.errors);
    cluster.kubectl("rollout resume deploy/app").prints("deployment.apps/app resumed");
    assert_eq!(rolled_out(&cluster, "deploy/app"), done);
    cluster.until("get pods -l app=app --no-headers", |text| text.lines().count() == 3);
    assert!(images(&cluster, "app=app").iter().all(|pod| pod.ends_with("=server:2")));
    assert_eq!(history(&cluster, "deploy/app"), ["1", "2"]);

    cluster.kubectl("rollout undo deploy/app --to-revision=1").prints("deployment.apps/app rolled back");
    assert_eq!(rolled_out(&cluster, "deploy/app"), done);
    assert_eq!(history(&cluster, "deploy/app"), ["2", "3"]);
    cluster.kubectl("rollout restart deploy/app").prints("deployment.apps/app restarted");
    assert_eq!(rolled_out(&cluster, "deploy/app"), done);
    assert_eq!(history(&cluster, "deploy/app"), ["2", "3", "4"]);
    let told = cluster.kubectl("describe deploy app").text;
    for said in ["ScalingReplicaSet", "from 2 to 3", "NewReplicaSetAvailable", "MinimumReplicasAvailable"] {
        assert!(told.contains(said), "{said} is missing in\n{told}");
    }
}

#[test]
fn h2_11_a_rollout_that_gets_nowhere_is_told_and_can_be_undone() {
    let cluster = cluster("stuck");
    apply(&cluster, DEPLOYMENT);
    rolled_out(&cluster, "deploy/app");
    cluster.kubectl("patch deploy app -p '{\"spec\":{\"progressDeadlineSeconds\":2}}'");
    let patch = "{\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":{\"no\":\"where\"}}}}}";
    cluster.kubectl(&format!("patch deploy app -p '{patch}'"));
    let stuck = cluster.try_kubectl("rollout status deploy/app --timeout=30s");
    assert_eq!(stuck.errors.trim(), "error: deployment \"app\" exceeded its progress deadline");
    assert_eq!(stuck.code, 1);
    cluster.kubectl("get deploy app -o jsonpath='{.status.availableReplicas}'").prints("2");
    cluster.kubectl("rollout undo deploy/app").prints("deployment.apps/app rolled back");
    assert_eq!(rolled_out(&cluster, "deploy/app"), "deployment \"app\" successfully rolled out");
}
