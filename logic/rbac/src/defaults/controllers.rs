//! One role a controller, `system:controller:NAME`, bound to the ServiceAccount of that name in `kube-system`.

use super::{CORE, READ, events};
use crate::rule::Rule;

const APPS: &[&str] = &["apps"];
const BATCH: &[&str] = &["batch"];
const BOTH: &[&str] = &["apps", "extensions"];
const CERTIFICATES: &[&str] = &["certificates.k8s.io"];
const SLICES: &[&str] = &["discovery.k8s.io"];
const POLICY: &[&str] = &["policy"];
const STORAGE: &[&str] = &["storage.k8s.io"];

const MAKE: &str = "create delete list patch watch";

/// Every controller's name and rules.
pub(super) fn roles() -> Vec<(&'static str, Vec<Rule>)> {
    workloads().into_iter().chain(services()).chain(volumes()).chain(cluster()).collect()
}

fn workloads() -> Vec<(&'static str, Vec<Rule>)> {
    vec![
        ("cronjob-controller", cron_job()),
        ("daemon-set-controller", daemon_set()),
        ("deployment-controller", deployment()),
        ("disruption-controller", disruption()),
        ("horizontal-pod-autoscaler", autoscaler()),
        ("job-controller", job()),
        ("pod-garbage-collector", pod_garbage()),
        ("replicaset-controller", replicas(BOTH, "replicasets")),
        ("replication-controller", replicas(CORE, "replicationcontrollers")),
        ("statefulset-controller", stateful_set()),
        ("ttl-after-finished-controller", vec![Rule::on("delete get list watch", BATCH, "jobs"), events()]),
    ]
}

fn cron_job() -> Vec<Rule> {
    vec![
        Rule::on("get list update watch", BATCH, "cronjobs"),
        Rule::on("create delete get list patch update watch", BATCH, "jobs"),
        Rule::on("update", BATCH, "cronjobs/status"),
        Rule::on("update", BATCH, "cronjobs/finalizers"),
        Rule::on("delete list", CORE, "pods"),
        events(),
    ]
}

fn daemon_set() -> Vec<Rule> {
    vec![
        Rule::on(READ, BOTH, "daemonsets"),
        Rule::on("update", BOTH, "daemonsets/status"),
        Rule::on("update", BOTH, "daemonsets/finalizers"),
        Rule::on("list watch", CORE, "nodes"),
        Rule::on(MAKE, CORE, "pods"),
        Rule::on("create", CORE, "pods/binding"),
        Rule::on("create delete get list patch update watch", APPS, "controllerrevisions"),
        events(),
    ]
}

fn deployment() -> Vec<Rule> {
    vec![
        Rule::on("get list update watch", BOTH, "deployments"),
        Rule::on("update", BOTH, "deployments/status"),
        Rule::on("update", BOTH, "deployments/finalizers"),
        Rule::on("create delete get list patch update watch", BOTH, "replicasets"),
        Rule::on("get list update watch", CORE, "pods"),
        events(),
    ]
}

fn disruption() -> Vec<Rule> {
    vec![
        Rule::on(READ, BOTH, "deployments"),
        Rule::on(READ, BOTH, "replicasets"),
        Rule::on(READ, CORE, "replicationcontrollers"),
        Rule::on(READ, POLICY, "poddisruptionbudgets"),
        Rule::on(READ, APPS, "statefulsets"),
        Rule::on("update", POLICY, "poddisruptionbudgets/status"),
        Rule::on("get", &["*"], "*/scale"),
        events(),
        Rule::on("patch", CORE, "pods/status"),
    ]
}

fn autoscaler() -> Vec<Rule> {
    vec![
        Rule::on(READ, &["autoscaling"], "horizontalpodautoscalers"),
        Rule::on("update", &["autoscaling"], "horizontalpodautoscalers/status"),
        Rule::on("get update", &["*"], "*/scale"),
        Rule::on("list", CORE, "pods"),
        Rule::on("list", &["metrics.k8s.io"], "pods"),
        Rule::on("get list", &["custom.metrics.k8s.io"], "*"),
        Rule::on("get list", &["external.metrics.k8s.io"], "*"),
        events(),
    ]
}

fn job() -> Vec<Rule> {
    vec![
        Rule::on("get list patch update watch", BATCH, "jobs"),
        Rule::on("update", BATCH, "jobs/status"),
        Rule::on("update", BATCH, "jobs/finalizers"),
        Rule::on(MAKE, CORE, "pods"),
        events(),
    ]
}

fn pod_garbage() -> Vec<Rule> {
    vec![
        Rule::on("delete list watch", CORE, "pods"),
        Rule::on("get list", CORE, "nodes"),
        Rule::on("patch", CORE, "pods/status"),
    ]
}

fn replicas(groups: &[&str], plural: &str) -> Vec<Rule> {
    vec![
        Rule::on("get list update watch", groups, plural),
        Rule::on("update", groups, &format!("{plural}/status")),
        Rule::on("update", groups, &format!("{plural}/finalizers")),
        Rule::on(MAKE, CORE, "pods"),
        events(),
    ]
}

fn stateful_set() -> Vec<Rule> {
    vec![
        Rule::on("list watch", CORE, "pods"),
        Rule::on(READ, APPS, "statefulsets"),
        Rule::on("update", APPS, "statefulsets/status"),
        Rule::on("update", APPS, "statefulsets/finalizers"),
        Rule::on("create delete get patch update", CORE, "pods"),
        Rule::on("create delete get list patch update watch", APPS, "controllerrevisions"),
        Rule::on("create get", CORE, "persistentvolumeclaims"),
        events(),
        Rule::on("delete update", CORE, "persistentvolumeclaims"),
    ]
}

fn services() -> Vec<(&'static str, Vec<Rule>)> {
    let owned = |plural: &str| Rule::on("update", CORE, &format!("{plural}/finalizers"));
    let slices = || Rule::on("create delete get list update", SLICES, "endpointslices");
    let endpoint = vec![
        Rule::on(READ, CORE, "pods services"),
        Rule::on("create delete get list update", CORE, "endpoints"),
        Rule::on("create", CORE, "endpoints/restricted"),
        events(),
    ];
    let slice = vec![Rule::on(READ, CORE, "nodes pods services"), owned("services"), slices(), events()];
    let mirroring = vec![
        Rule::on(READ, CORE, "endpoints services"),
        owned("services"),
        owned("endpoints"),
        slices(),
        events(),
    ];
    let service = vec![
        Rule::on(READ, CORE, "services"),
        Rule::on("patch update", CORE, "services/status"),
        Rule::on("list watch", CORE, "nodes"),
        events(),
    ];
    let route =
        vec![Rule::on("list watch", CORE, "nodes"), Rule::on("patch", CORE, "nodes/status"), events()];
    vec![
        ("endpoint-controller", endpoint),
        ("endpointslice-controller", slice),
        ("endpointslicemirroring-controller", mirroring),
        ("route-controller", route),
        ("service-controller", service),
    ]
}

fn volumes() -> Vec<(&'static str, Vec<Rule>)> {
    let ephemeral = vec![
        Rule::on(READ, CORE, "pods"),
        Rule::on("update", CORE, "pods/finalizers"),
        Rule::on("create get list watch", CORE, "persistentvolumeclaims"),
        events(),
    ];
    let guard = |plural: &str| Rule::on("get list update watch", CORE, plural);
    let claims = vec![guard("persistentvolumeclaims"), Rule::on(READ, CORE, "pods"), events()];
    vec![
        ("attachdetach-controller", attach()),
        ("ephemeral-volume-controller", ephemeral),
        ("expand-controller", expand()),
        ("persistent-volume-binder", bind_volumes()),
        ("pv-protection-controller", vec![guard("persistentvolumes"), events()]),
        ("pvc-protection-controller", claims),
    ]
}

fn attach() -> Vec<Rule> {
    vec![
        Rule::on("list watch", CORE, "persistentvolumeclaims persistentvolumes"),
        Rule::on(READ, CORE, "nodes"),
        Rule::on("patch update", CORE, "nodes/status"),
        Rule::on("list watch", CORE, "pods"),
        events(),
        Rule::on("create delete get list watch", STORAGE, "volumeattachments"),
        Rule::on(READ, STORAGE, "csidrivers"),
        Rule::on(READ, STORAGE, "csinodes"),
    ]
}

fn expand() -> Vec<Rule> {
    vec![
        Rule::on("get list patch update watch", CORE, "persistentvolumes"),
        Rule::on("patch update", CORE, "persistentvolumeclaims/status"),
        Rule::on(READ, CORE, "persistentvolumeclaims"),
        Rule::on(READ, STORAGE, "storageclasses"),
        Rule::on("get", CORE, "endpoints services"),
        Rule::on("get", CORE, "secrets"),
        events(),
    ]
}

fn bind_volumes() -> Vec<Rule> {
    vec![
        Rule::on("create delete get list update watch", CORE, "persistentvolumes"),
        Rule::on("update", CORE, "persistentvolumes/status"),
        Rule::on("get list update watch", CORE, "persistentvolumeclaims"),
        Rule::on("update", CORE, "persistentvolumeclaims/status"),
        Rule::on("create delete get list watch", CORE, "pods"),
        Rule::on(READ, STORAGE, "storageclasses"),
        Rule::on("create delete get update", CORE, "endpoints"),
        Rule::on("create delete get", CORE, "services"),
        Rule::on("get", CORE, "secrets"),
        Rule::on("get list", CORE, "nodes"),
        Rule::on("watch", CORE, "events"),
        events(),
    ]
}

fn cluster() -> Vec<(&'static str, Vec<Rule>)> {
    let gather = Rule::on("escalate get list patch update watch", &[crate::GROUP], "clusterroles");
    let garbage = vec![Rule::on("delete get list patch update watch", &["*"], "*"), events()];
    let quota = vec![
        Rule::on("list watch", &["*"], "*"),
        Rule::on("update", CORE, "resourcequotas/status"),
        events(),
    ];
    let cleaner = vec![
        Rule::on("get", CORE, "configmaps").named("kube-apiserver-legacy-service-account-token-tracking"),
        Rule::on("delete patch", CORE, "secrets"),
    ];
    vec![
        ("certificate-controller", certificate()),
        ("clusterrole-aggregation-controller", vec![gather]),
        ("generic-garbage-collector", garbage),
        ("legacy-service-account-token-cleaner", cleaner),
        ("namespace-controller", namespace()),
        ("node-controller", node()),
        ("resourcequota-controller", quota),
        ("root-ca-cert-publisher", vec![Rule::on("create update", CORE, "configmaps"), events()]),
        ("service-account-controller", vec![Rule::on("create", CORE, "serviceaccounts"), events()]),
        ("ttl-controller", vec![Rule::on("list patch update watch", CORE, "nodes"), events()]),
    ]
}

fn certificate() -> Vec<Rule> {
    let requests = "certificatesigningrequests/approval certificatesigningrequests/status";
    let signers = "kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet \
                   kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown";
    vec![
        Rule::on("delete get list watch", CERTIFICATES, "certificatesigningrequests"),
        Rule::on("update", CERTIFICATES, requests),
        Rule::on("approve", CERTIFICATES, "signers").named("kubernetes.io/kube-apiserver-client-kubelet"),
        Rule::on("sign", CERTIFICATES, "signers").named(signers),
        Rule::on("create", &["authorization.k8s.io"], "subjectaccessreviews"),
        events(),
    ]
}

fn namespace() -> Vec<Rule> {
    vec![
        Rule::on("delete get list watch", CORE, "namespaces"),
        Rule::on("update", CORE, "namespaces/finalize namespaces/status"),
        Rule::on("delete deletecollection get list", &["*"], "*"),
    ]
}

fn node() -> Vec<Rule> {
    vec![
        Rule::on("delete get list patch update", CORE, "nodes"),
        Rule::on("patch update", CORE, "nodes/status"),
        Rule::on("patch update", CORE, "pods/status"),
        Rule::on("delete list", CORE, "pods"),
        events(),
        Rule::on("get", CORE, "pods"),
    ]
}
