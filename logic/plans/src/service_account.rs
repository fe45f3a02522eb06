//! ServiceAccount: every namespace has a `default` account and the cluster's CA for its pods to read.
//!
//! View → the account and the ConfigMap made, or the ConfigMap put right. Invariant: a namespace on its way
//! out gets nothing new.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::key::Key;
use crate::kinds::Any;
use crate::plan::{Action, Plan, Step};
use crate::view::{Changed, View};

const ACCOUNT: &str = "default";
/// The ConfigMap with the CA, projected into every pod beside its token.
pub const ROOT_CA: &str = "kube-root-ca.crt";
const ROOT_CA_FIELD: &str = "ca.crt";
const DESCRIPTION: &str = "kubernetes.io/description";
const DESCRIPTION_TEXT: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

/// The next step for one namespace.
pub fn plan(view: &View, key: &Key, _now: Timestamp) -> Plan {
    let Some(namespace) = view.namespaces.get(key).filter(|namespace| is_active(namespace)) else {
        return Plan::default();
    };
    let name = namespace.metadata.name.as_deref().unwrap_or_default();
    let actions = account(view, name).into_iter().chain(root_ca(view, name));
    Plan::of(actions.map(Step::from).collect())
}

fn is_active(namespace: &Namespace) -> bool {
    namespace.metadata.deletion_timestamp.is_none()
}

fn account(view: &View, namespace: &str) -> Option<Action> {
    let missing = view.service_accounts.get(&Key::new(namespace, ACCOUNT)).is_none();
    let account = ServiceAccount { metadata: named(namespace, ACCOUNT), ..ServiceAccount::default() };
    missing.then(|| Action::create(&account))
}

fn root_ca(view: &View, namespace: &str) -> Option<Action> {
    let certificate = view.settings.root_ca.clone()?;
    let data = BTreeMap::from([(ROOT_CA_FIELD.to_owned(), certificate)]);
    let Some(present) = view.config_maps.get(&Key::new(namespace, ROOT_CA)) else {
        let mut metadata = named(namespace, ROOT_CA);
        metadata.annotations = Some(BTreeMap::from([(DESCRIPTION.to_owned(), DESCRIPTION_TEXT.to_owned())]));
        return Some(Action::create(&ConfigMap { metadata, data: Some(data), ..ConfigMap::default() }));
    };
    let mut after = present.as_ref().clone();
    after.data = Some(data);
    let annotations = after.metadata.annotations.get_or_insert_default();
    annotations.insert(DESCRIPTION.to_owned(), DESCRIPTION_TEXT.to_owned());
    Action::patch(present.as_ref(), &after)
}

fn named(namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta { namespace: Some(namespace.to_owned()), name: Some(name.to_owned()), ..ObjectMeta::default() }
}

/// The namespaces that a change concerns.
pub(crate) fn wake(_view: &View, changed: &Changed) -> Vec<Key> {
    let keys = changed.old.iter().chain(&changed.new).filter_map(|any| match any {
        Any::Namespace(_) => Some(changed.key.clone()),
        Any::ServiceAccount(_) if changed.key.name == ACCOUNT => Some(Key::cluster(&changed.key.namespace)),
        Any::ConfigMap(_) if changed.key.name == ROOT_CA => Some(Key::cluster(&changed.key.namespace)),
        _ => None,
    });
    keys.collect()
}

#[cfg(test)]
mod tests;
