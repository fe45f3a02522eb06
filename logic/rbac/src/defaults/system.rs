//! Roles in namespaces of the system: what its programs may do there and nowhere else.

use super::{CORE, READ, events, own};
use crate::rule::Rule;

const SYSTEM: &str = "kube-system";
const PUBLIC: &str = "kube-public";
const READER: &str = "extension-apiserver-authentication-reader";
const MANAGER: &str = "system::leader-locking-kube-controller-manager";
const SCHEDULER: &str = "system::leader-locking-kube-scheduler";
const SIGNER: &str = "system:controller:bootstrap-signer";
const PROVIDER: &str = "system:controller:cloud-provider";
const DNS: &str = "system:kelson:dns";
const CLEANER: &str = "system:controller:token-cleaner";

/// Namespace, name and rules.
pub(super) fn roles() -> Vec<(&'static str, &'static str, Vec<Rule>)> {
    let locking = |name: &str| {
        vec![Rule::on("watch", CORE, "configmaps"), Rule::on("get update", CORE, "configmaps").named(name)]
    };
    let signer = vec![
        Rule::on(READ, CORE, "configmaps"),
        Rule::on("update", CORE, "configmaps").named("cluster-info"),
        events(),
    ];
    vec![
        (
            SYSTEM,
            READER,
            vec![Rule::on(READ, CORE, "configmaps").named("extension-apiserver-authentication")],
        ),
        (SYSTEM, MANAGER, locking("kube-controller-manager")),
        (SYSTEM, SCHEDULER, locking("kube-scheduler")),
        (SYSTEM, SIGNER, vec![Rule::on(READ, CORE, "secrets")]),
        (SYSTEM, PROVIDER, vec![Rule::on("create get list watch", CORE, "configmaps")]),
        (SYSTEM, CLEANER, vec![Rule::on("delete get list watch", CORE, "secrets"), events()]),
        (SYSTEM, DNS, own::dns()),
        (PUBLIC, SIGNER, signer),
    ]
}

/// Namespace, name, role and subjects.
pub(super) fn bindings() -> Vec<(&'static str, &'static str, &'static str, &'static [&'static str])> {
    vec![
        (
            SYSTEM,
            "system::extension-apiserver-authentication-reader",
            READER,
            &["User system:kube-controller-manager", "User system:kube-scheduler"],
        ),
        (
            SYSTEM,
            MANAGER,
            MANAGER,
            &["User system:kube-controller-manager", "ServiceAccount kube-system kube-controller-manager"],
        ),
        (
            SYSTEM,
            SCHEDULER,
            SCHEDULER,
            &["User system:kube-scheduler", "ServiceAccount kube-system kube-scheduler"],
        ),
        (SYSTEM, SIGNER, SIGNER, &["ServiceAccount kube-system bootstrap-signer"]),
        (SYSTEM, PROVIDER, PROVIDER, &["ServiceAccount kube-system cloud-provider"]),
        (SYSTEM, CLEANER, CLEANER, &["ServiceAccount kube-system token-cleaner"]),
        (SYSTEM, DNS, DNS, &["User system:kelson-dns"]),
        (PUBLIC, SIGNER, SIGNER, &["ServiceAccount kube-system bootstrap-signer"]),
    ]
}
