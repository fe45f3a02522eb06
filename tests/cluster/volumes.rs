//! Claims and the volumes of pods, as a user sees them: bound on first use, kept beyond the pod, gone with the claim.

use crate::harness::{Cluster, image};

const CLAIM: &str = "apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
";

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

/// A pod that runs `script` with the claim `data` at /d.
fn user(name: &str, script: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  securityContext: {{fsGroup: 4321}}
  volumes: [{{name: v, persistentVolumeClaim: {{claimName: data}}}}]
  containers:
  - {{name: c, image: 'busybox:1', command: [sh, -c, '{script}'], volumeMounts: [{{name: v, mountPath: /d}}]}}
"
    )
}

#[test]
fn data_outlives_the_pod_and_goes_with_the_claim() {
    let mut cluster = cluster("claims");
    let classes = cluster.kubectl("get storageclass").rows();
    let heading =
        ["NAME", "PROVISIONER", "RECLAIMPOLICY", "VOLUMEBINDINGMODE", "ALLOWVOLUMEEXPANSION", "AGE"];
    assert_eq!(classes[0], heading);
    let row = ["local-path (default)", "kelson.dev/local", "Delete", "WaitForFirstConsumer", "false"];
    assert_eq!(classes[1][..5], row);

    apply(&cluster, CLAIM);
    cluster.until("describe pvc data", |text| {
        text.contains("WaitForFirstConsumer")
            && text.contains("waiting for first consumer to be created before binding")
    });
    assert_eq!(cluster.kubectl("get pvc data").rows()[1][..3], ["data", "Pending", "local-path"]);

    apply(&cluster, &user("writer", "echo kept > /d/word; stat -c %g /d"));
    cluster.until("get pod writer -o jsonpath={.status.phase}", |phase| phase == "Succeeded");
    cluster.kubectl("logs writer").prints("4321");
    let volume = cluster.kubectl("get pvc data -o jsonpath={.spec.volumeName}").text;
    let claims = cluster.kubectl("get pvc data").rows();
    assert_eq!(claims[1][..6], ["data", "Bound", &volume, "1Gi", "RWO", "local-path"]);
    let volumes = cluster.kubectl("get pv").rows();
    assert_eq!(
        volumes[0][..7],
        ["NAME", "CAPACITY", "ACCESS MODES", "RECLAIM POLICY", "STATUS", "CLAIM", "STORAGECLASS"]
    );
    assert_eq!(volumes[1][..7], [&volume, "1Gi", "RWO", "Delete", "Bound", "default/data", "local-path"]);
    let described = cluster.kubectl("describe pvc data").text;
    for said in [
        "External provisioner is provisioning volume for claim \"default/data\"",
        &format!("Successfully provisioned volume {volume}"),
        "Finalizers:    [kubernetes.io/pvc-protection]",
    ] {
        assert!(described.contains(said), "{said} is missing in\n{described}");
    }

    cluster.kubectl("delete pod writer");
    cluster.kill();
    cluster.up();
    apply(&cluster, &user("reader", "cat /d/word; exec sleep 1000"));
    cluster.until("logs reader", |text| text == "kept\n");

    // In use, it stays.
    cluster.kubectl("delete pvc data --wait=false");
    cluster.until("get pvc data", |text| text.contains("Terminating"));
    let place = cluster.data_dir().join("volumes");
    assert_eq!(std::fs::read_dir(&place).expect("volumes are there").count(), 1);
    cluster.kubectl("delete pod reader");
    cluster.until("get pv,pvc", str::is_empty);
    assert_eq!(std::fs::read_dir(&place).expect("the place stays").count(), 0);
}

#[test]
fn volumes_made_by_hand_are_bound_by_class_size_and_name() {
    let cluster = cluster("by-hand");
    let host = cluster.scratch().join("exported");
    std::fs::create_dir_all(&host).expect("a directory");
    std::fs::write(host.join("word"), "from the host\n").expect("a file");
    apply(
        &cluster,
        &format!(
            "apiVersion: v1
kind: PersistentVolume
metadata: {{name: hand}}
spec:
  capacity: {{storage: 2Gi}}
  accessModes: [ReadWriteOnce]
  storageClassName: manual
  hostPath: {{path: {}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: data}}
spec: {{storageClassName: manual, accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
---
{}",
            host.display(),
            user("reader", "cat /d/word")
        ),
    );
    cluster.until("logs reader", |text| text == "from the host\n");
    assert_eq!(cluster.kubectl("get pvc data").rows()[1][..4], ["data", "Bound", "hand", "2Gi"]);
    cluster.until("get pod reader -o jsonpath={.status.phase}", |phase| phase == "Succeeded");
    cluster.kubectl("delete pod reader");
    cluster.kubectl("delete pvc data");
    // The default policy of volumes made by hand: what was in it is the user's.
    cluster.until("get pv hand -o jsonpath={.status.phase}", |phase| phase == "Released");
    assert!(host.join("word").exists());
    cluster.kubectl("delete pv hand");
    assert!(host.join("word").exists());
}

#[test]
fn a_pod_whose_claim_is_missing_says_so() {
    let cluster = cluster("no-claim");
    apply(&cluster, &user("lonely", "true"));
    let why = "0/1 nodes are available: persistentvolumeclaim \"data\" not found.";
    cluster.until("describe pod lonely", |text| text.contains(why));
    apply(&cluster, CLAIM);
    cluster.until("get pod lonely -o jsonpath={.status.phase}", |phase| phase == "Succeeded");
}

#[test]
fn every_kind_of_volume_shows_its_files() {
    let cluster = cluster("kinds");
    cluster.kubectl("create configmap settings --from-literal=color=red");
    cluster.kubectl("create secret generic hidden --from-literal=word=open");
    apply(
        &cluster,
        "apiVersion: v1
kind: Pod
metadata: {name: all, labels: {tier: front}}
spec:
  terminationGracePeriodSeconds: 1
  volumes:
  - {name: cm, configMap: {name: settings}}
  - {name: secret, secret: {secretName: hidden, defaultMode: 0400, items: [{key: word, path: deep/word}]}}
  - {name: none, configMap: {name: nosuch, optional: true}}
  - {name: down, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
  - {name: memory, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
  - {name: both, projected: {sources: [{configMap: {name: settings}}, {secret: {name: hidden}}]}}
  containers:
  - name: c
    image: busybox:1
    env: [{name: PART, value: part}]
    command: [sh, -c, 'cat /cm/color /secret/deep/word /both/color /both/word; echo; ls /none | wc -l; stat -L -c %a /secret/deep/word; df /m | grep -c tmpfs; echo x > /cm/new || echo read-only; exec sleep 1000']
    volumeMounts:
    - {name: cm, mountPath: /cm}
    - {name: secret, mountPath: /secret}
    - {name: none, mountPath: /none}
    - {name: down, mountPath: /down}
    - {name: memory, mountPath: /m}
    - {name: memory, mountPath: /sub, subPathExpr: $(PART)}
    - {name: both, mountPath: /both}
",
    );
    let log = cluster.until("logs all", |text| text.contains("read-only"));
    assert!(log.starts_with("redopenredopen\n0\n400\n1\n"), "{log}");
    cluster.kubectl("exec all -- sh -c 'echo y > /sub/file; cat /m/part/file'").prints("y");
    cluster.kubectl("exec all -- cat /down/labels").prints("tier=\"front\"");
    cluster.kubectl("patch configmap settings --type=merge -p '{\"data\":{\"color\":\"blue\"}}'");
    cluster.until("exec all -- cat /cm/color", |text| text == "blue");
}
