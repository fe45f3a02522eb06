//! Roles for people: cluster-admin, admin, edit and view, and what everyone may see.

use super::{CORE, READ, READ_WRITE, WRITE};
use crate::rule::Rule;

const TO_ADMIN: &str = "rbac.authorization.k8s.io/aggregate-to-admin";
const TO_EDIT: &str = "rbac.authorization.k8s.io/aggregate-to-edit";
const TO_VIEW: &str = "rbac.authorization.k8s.io/aggregate-to-view";

const WORKLOADS: &str =
    "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale";
const SEEN_WORKLOADS: &str = "daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets \
                              replicasets/scale replicasets/status";

/// Roles whose rules are gathered by the label on the right.
pub(super) const LABELLED: &[(&str, &str)] = &[
    ("system:aggregate-to-admin", TO_ADMIN),
    ("system:aggregate-to-edit", TO_EDIT),
    ("system:aggregate-to-view", TO_VIEW),
];

/// Name, the label gathered by, the labels it is itself gathered by.
pub(super) fn gathered() -> impl Iterator<Item = (&'static str, &'static str, &'static [&'static str])> {
    [("admin", TO_ADMIN, &[][..]), ("edit", TO_EDIT, &[TO_ADMIN][..]), ("view", TO_VIEW, &[TO_EDIT][..])]
        .into_iter()
}

pub(super) fn roles() -> Vec<(&'static str, Vec<Rule>)> {
    let known = "/healthz /livez /readyz /version /version/";
    let found = format!("{known} /api /api/* /apis /apis/* /openapi /openapi/*");
    vec![
        ("cluster-admin", vec![Rule::on("*", &["*"], "*"), Rule::paths("*", "*")]),
        ("system:discovery", vec![Rule::paths("get", &found)]),
        ("system:public-info-viewer", vec![Rule::paths("get", known)]),
        ("system:basic-user", basic_user()),
        ("system:monitoring", monitoring()),
        ("system:aggregate-to-admin", admin()),
        ("system:aggregate-to-edit", edit()),
        ("system:aggregate-to-view", view()),
    ]
}

pub(super) fn bindings() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    let everyone = &["Group system:authenticated", "Group system:unauthenticated"][..];
    let authenticated = &everyone[..1];
    [
        ("cluster-admin", &["Group system:masters"][..]),
        ("system:monitoring", &["Group system:monitoring"][..]),
        ("system:discovery", authenticated),
        ("system:basic-user", authenticated),
        ("system:public-info-viewer", everyone),
    ]
    .into_iter()
}

fn basic_user() -> Vec<Rule> {
    vec![
        Rule::on("create", &["authorization.k8s.io"], "selfsubjectaccessreviews selfsubjectrulesreviews"),
        Rule::on("create", &["authentication.k8s.io"], "selfsubjectreviews"),
    ]
}

fn monitoring() -> Vec<Rule> {
    let paths = "/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*";
    vec![Rule::paths("get", paths), Rule::on("get", CORE, "nodes/metrics")]
}

fn admin() -> Vec<Rule> {
    vec![
        Rule::on("create", &["authorization.k8s.io"], "localsubjectaccessreviews"),
        Rule::on(READ_WRITE, &["rbac.authorization.k8s.io"], "rolebindings roles"),
    ]
}

fn edit() -> Vec<Rule> {
    let streams = "pods/attach pods/exec pods/portforward pods/proxy";
    let plain = "configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets \
                 serviceaccounts services services/proxy";
    let old = format!("{WORKLOADS} ingresses networkpolicies replicationcontrollers/scale");
    vec![
        Rule::on(READ, CORE, &format!("{streams} secrets services/proxy")),
        Rule::on("impersonate", CORE, "serviceaccounts"),
        Rule::on(WRITE, CORE, &format!("pods {streams}")),
        Rule::on("create", CORE, "pods/eviction"),
        Rule::on(WRITE, CORE, plain),
        Rule::on("create", CORE, "serviceaccounts/token"),
        Rule::on(WRITE, &["", "events.k8s.io"], "events"),
        Rule::on(WRITE, &["apps"], &format!("{WORKLOADS} statefulsets statefulsets/scale")),
        Rule::on(WRITE, &["autoscaling"], "horizontalpodautoscalers"),
        Rule::on(WRITE, &["batch"], "cronjobs jobs"),
        Rule::on(WRITE, &["extensions"], &old),
        Rule::on(WRITE, &["policy"], "poddisruptionbudgets"),
        Rule::on(WRITE, &["networking.k8s.io"], "ingresses networkpolicies"),
        Rule::on(READ_WRITE, &["coordination.k8s.io"], "leases"),
    ]
}

fn view() -> Vec<Rule> {
    let plain = "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers \
                 replicationcontrollers/scale serviceaccounts services services/status";
    let quiet = "bindings limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas \
                 resourcequotas/status";
    let sets = "controllerrevisions statefulsets statefulsets/scale statefulsets/status";
    let old =
        format!("{SEEN_WORKLOADS} ingresses ingresses/status networkpolicies replicationcontrollers/scale");
    vec![
        Rule::on(READ, CORE, plain),
        Rule::on(READ, CORE, quiet),
        Rule::on(READ, CORE, "namespaces"),
        Rule::on(READ, &["", "events.k8s.io"], "events"),
        Rule::on(READ, &["discovery.k8s.io"], "endpointslices"),
        Rule::on(READ, &["apps"], &format!("{SEEN_WORKLOADS} {sets}")),
        Rule::on(READ, &["autoscaling"], "horizontalpodautoscalers horizontalpodautoscalers/status"),
        Rule::on(READ, &["batch"], "cronjobs cronjobs/status jobs jobs/status"),
        Rule::on(READ, &["extensions"], &old),
        Rule::on(READ, &["policy"], "poddisruptionbudgets poddisruptionbudgets/status"),
        Rule::on(READ, &["networking.k8s.io"], "ingresses ingresses/status networkpolicies"),
    ]
}
