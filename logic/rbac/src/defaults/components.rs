//! Roles of the cluster's own programs and add-ons: nodes, proxy, scheduler, controllers, DNS.
//!
//! `system:node` is bound to nobody: the node authorizer gives it out, a node its own part.

use super::{CORE, READ, READ_WRITE, events};
use crate::rule::Rule;

const AUTHENTICATION: &[&str] = &["authentication.k8s.io"];
const AUTHORIZATION: &[&str] = &["authorization.k8s.io"];
const CERTIFICATES: &[&str] = &["certificates.k8s.io"];
const LEASES: &[&str] = &["coordination.k8s.io"];
const STORAGE: &[&str] = &["storage.k8s.io"];

pub(super) fn roles() -> Vec<(&'static str, Vec<Rule>)> {
    let services = |verbs: &str| vec![Rule::on(verbs, CORE, "endpoints services")];
    let heapster = vec![
        Rule::on(READ, CORE, "events namespaces nodes pods"),
        Rule::on(READ, &["extensions"], "deployments"),
    ];
    let issuer = "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/";
    let mut roles = vec![
        ("system:node", node()),
        ("system:node-proxier", node_proxier()),
        ("system:node-problem-detector", problem_detector()),
        ("system:node-bootstrapper", vec![signing_requests()]),
        ("system:kubelet-api-admin", kubelet_admin()),
        ("system:kube-scheduler", scheduler()),
        ("system:volume-scheduler", volume_scheduler()),
        ("system:kube-controller-manager", controllers()),
        ("system:persistent-volume-provisioner", provisioner()),
        ("system:kube-dns", services("list watch")),
        ("system:kube-aggregator", services(READ)),
        ("system:heapster", heapster),
        ("system:auth-delegator", reviews("subjectaccessreviews")),
        ("system:service-account-issuer-discovery", vec![Rule::paths("get", issuer)]),
    ];
    roles.extend(certificates());
    roles
}

pub(super) fn bindings() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    [
        ("system:node", &[][..]),
        ("system:node-proxier", &["User system:kube-proxy"][..]),
        ("system:kube-controller-manager", &["User system:kube-controller-manager"][..]),
        ("system:kube-dns", &["ServiceAccount kube-system kube-dns"][..]),
        ("system:kube-scheduler", &["User system:kube-scheduler"][..]),
        ("system:volume-scheduler", &["User system:kube-scheduler"][..]),
        ("system:service-account-issuer-discovery", &["Group system:serviceaccounts"][..]),
    ]
    .into_iter()
}

fn reviews(access: &str) -> Vec<Rule> {
    vec![Rule::on("create", AUTHENTICATION, "tokenreviews"), Rule::on("create", AUTHORIZATION, access)]
}

fn signing_requests() -> Rule {
    Rule::on("create get list watch", CERTIFICATES, "certificatesigningrequests")
}

pub(super) fn node() -> Vec<Rule> {
    let mut rules = reviews("localsubjectaccessreviews subjectaccessreviews");
    rules.extend([
        Rule::on(READ, CORE, "services"),
        Rule::on("create get list watch", CORE, "nodes"),
        Rule::on("patch update", CORE, "nodes/status"),
        Rule::on("patch update", CORE, "nodes"),
        events(),
        Rule::on(READ, CORE, "pods"),
        Rule::on("create delete", CORE, "pods"),
        Rule::on("patch update", CORE, "pods/status"),
        Rule::on("create", CORE, "pods/eviction"),
        Rule::on(READ, CORE, "configmaps secrets"),
        Rule::on("get", CORE, "persistentvolumeclaims persistentvolumes"),
        Rule::on("get", CORE, "endpoints"),
        signing_requests(),
        Rule::on("create delete get patch update", LEASES, "leases"),
        Rule::on("get", STORAGE, "volumeattachments"),
        Rule::on("create", CORE, "serviceaccounts/token"),
        Rule::on("get patch update", CORE, "persistentvolumeclaims/status"),
        Rule::on(READ, STORAGE, "csidrivers"),
        Rule::on("create delete get patch update", STORAGE, "csinodes"),
        Rule::on(READ, &["node.k8s.io"], "runtimeclasses"),
        Rule::on("get", CORE, "serviceaccounts"),
    ]);
    rules
}

fn node_proxier() -> Vec<Rule> {
    vec![
        Rule::on("list watch", CORE, "endpoints services"),
        Rule::on(READ, CORE, "nodes"),
        events(),
        Rule::on("list watch", &["networking.k8s.io"], "servicecidrs"),
        Rule::on("list watch", &["discovery.k8s.io"], "endpointslices"),
    ]
}

fn problem_detector() -> Vec<Rule> {
    vec![Rule::on("get", CORE, "nodes"), Rule::on("patch", CORE, "nodes/status"), events()]
}

fn kubelet_admin() -> Vec<Rule> {
    vec![
        Rule::on(READ, CORE, "nodes"),
        Rule::on("proxy", CORE, "nodes"),
        Rule::on("*", CORE, "nodes/log nodes/metrics nodes/proxy nodes/stats"),
        Rule::on("*", CORE, "nodes/configz nodes/healthz nodes/pods"),
    ]
}

fn scheduler() -> Vec<Rule> {
    let mut rules = vec![
        events(),
        Rule::on("create", LEASES, "leases"),
        Rule::on("get list update watch", LEASES, "leases").named("kube-scheduler"),
        Rule::on(READ_WRITE, LEASES, "leasecandidates"),
        Rule::on(READ, CORE, "nodes"),
        Rule::on("delete get list watch", CORE, "pods"),
        Rule::on("create", CORE, "bindings pods/binding"),
        Rule::on("patch update", CORE, "pods/status"),
        Rule::on(READ, CORE, "replicationcontrollers services"),
        Rule::on(READ, &["apps", "extensions"], "replicasets"),
        Rule::on(READ, &["apps"], "statefulsets"),
        Rule::on(READ, &["policy"], "poddisruptionbudgets"),
        Rule::on(READ, CORE, "persistentvolumeclaims persistentvolumes"),
    ];
    rules.extend(reviews("subjectaccessreviews"));
    rules.extend([
        Rule::on(READ, STORAGE, "csinodes"),
        Rule::on(READ, STORAGE, "volumeattachments"),
        Rule::on(READ, CORE, "namespaces"),
        Rule::on(READ, STORAGE, "csidrivers"),
        Rule::on(READ, STORAGE, "csistoragecapacities"),
    ]);
    rules
}

fn volume_scheduler() -> Vec<Rule> {
    vec![
        Rule::on("get list patch update watch", CORE, "persistentvolumes"),
        Rule::on(READ, STORAGE, "storageclasses"),
        Rule::on("get list patch update watch", CORE, "persistentvolumeclaims"),
    ]
}

fn controllers() -> Vec<Rule> {
    let mut rules = vec![
        events(),
        Rule::on("create", LEASES, "leases"),
        Rule::on("get update", LEASES, "leases").named("kube-controller-manager"),
        Rule::on("create", CORE, "secrets serviceaccounts"),
        Rule::on("delete", CORE, "secrets"),
        Rule::on("get", CORE, "configmaps namespaces secrets serviceaccounts"),
        Rule::on("update", CORE, "secrets serviceaccounts"),
    ];
    rules.extend(reviews("subjectaccessreviews"));
    rules.extend([Rule::on("list watch", &["*"], "*"), Rule::on("create", CORE, "serviceaccounts/token")]);
    rules
}

fn provisioner() -> Vec<Rule> {
    vec![
        Rule::on("create delete get list watch", CORE, "persistentvolumes"),
        Rule::on("get list update watch", CORE, "persistentvolumeclaims"),
        Rule::on(READ, STORAGE, "storageclasses"),
        Rule::on("watch", CORE, "events"),
        events(),
    ]
}

fn certificates() -> impl Iterator<Item = (&'static str, Vec<Rule>)> {
    let request =
        |below: &str| Rule::on("create", CERTIFICATES, &format!("certificatesigningrequests/{below}"));
    let approve =
        |signer: &str| Rule::on("approve", CERTIFICATES, "signers").named(&format!("kubernetes.io/{signer}"));
    [
        ("system:certificates.k8s.io:certificatesigningrequests:nodeclient", request("nodeclient")),
        ("system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", request("selfnodeclient")),
        ("system:certificates.k8s.io:kube-apiserver-client-approver", approve("kube-apiserver-client")),
        (
            "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver",
            approve("kube-apiserver-client-kubelet"),
        ),
        ("system:certificates.k8s.io:kubelet-serving-approver", approve("kubelet-serving")),
        ("system:certificates.k8s.io:legacy-unknown-approver", approve("legacy-unknown")),
    ]
    .into_iter()
    .map(|(name, rule)| (name, vec![rule]))
}
