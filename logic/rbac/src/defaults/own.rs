//! What kelson's own components need beyond upstream's roles: each acts under a name of its own and has no more.
//!
//! Controllers run under one name, so their role is what upstream's `system:controller:*` allow together: they change and
//! remove anything (garbage collection, namespaces), but make only what controllers make, and give nobody rights.

use super::{CORE, READ, events};
use crate::rule::Rule;

/// The users below, who need not be administrators.
pub(super) const USERS: [&str; 6] = [
    "system:kube-controller-manager",
    "system:kube-proxy",
    "system:kelson",
    "system:kelson-dns",
    "system:kelson-ingress",
    "system:kelson-volumes",
];

pub(super) fn roles() -> Vec<(&'static str, Vec<Rule>)> {
    vec![
        ("system:kelson:controllers", controllers()),
        ("system:kelson:node-proxier", node_proxier()),
        ("system:kelson:observer", vec![Rule::on(READ, CORE, "nodes")]),
        ("system:kelson:node-role", vec![Rule::on("patch", CORE, "nodes")]),
        ("system:kelson:ingress", ingress()),
        ("system:kelson:volumes", volumes()),
    ]
}

pub(super) fn bindings() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    [
        ("system:kelson:controllers", &["User system:kube-controller-manager"][..]),
        ("system:kelson:node-proxier", &["User system:kube-proxy"][..]),
        ("system:kelson:observer", &["User system:kelson"][..]),
        ("system:kelson:node-role", &["User system:kelson"][..]),
        ("system:kelson:ingress", &["User system:kelson-ingress"][..]),
        ("system:kelson:volumes", &["User system:kelson-volumes"][..]),
    ]
    .into_iter()
}

/// Rules in `kube-system`: the cluster DNS publishes its own Service.
pub(super) fn dns() -> Vec<Rule> {
    let publish = "create get patch update";
    vec![Rule::on(publish, CORE, "services"), Rule::on(publish, &["discovery.k8s.io"], "endpointslices")]
}

fn controllers() -> Vec<Rule> {
    let core = "configmaps endpoints endpoints/restricted persistentvolumeclaims persistentvolumes pods pods/binding \
                pods/eviction secrets serviceaccounts services";
    vec![
        Rule::on("delete deletecollection get list patch update watch", &["*"], "*"),
        Rule::on("create", CORE, core),
        Rule::on("create", &["apps"], "controllerrevisions replicasets"),
        Rule::on("create", &["batch"], "jobs"),
        Rule::on("create", &["discovery.k8s.io"], "endpointslices"),
        Rule::on("create", &["coordination.k8s.io"], "leases"),
        Rule::on("create", &["storage.k8s.io"], "volumeattachments"),
        events(),
    ]
}

/// It watches namespaces too, for names, and says by a Lease how far the data plane has come.
fn node_proxier() -> Vec<Rule> {
    vec![
        Rule::on("list watch", CORE, "namespaces"),
        Rule::on("create get list patch update watch", &["coordination.k8s.io"], "leases"),
    ]
}

fn ingress() -> Vec<Rule> {
    let group = &["networking.k8s.io"];
    vec![
        Rule::on(READ, group, "ingresses"),
        Rule::on("patch update", group, "ingresses/status"),
        Rule::on("create get list watch", group, "ingressclasses"),
        Rule::on("list watch", CORE, "secrets"),
        events(),
    ]
}

fn volumes() -> Vec<Rule> {
    vec![
        Rule::on("delete get list patch update watch", CORE, "persistentvolumes"),
        Rule::on(READ, CORE, "persistentvolumeclaims"),
        events(),
    ]
}
