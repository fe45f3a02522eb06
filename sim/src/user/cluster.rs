//! Users and the cluster itself: nodes, namespaces, accounts, claims, single pods.

use kelson_machinery::meta;
use serde_json::{Value, json};

use super::User;
use crate::api::{Api, Deletion, Part, Place};
use crate::world::resource;

/// The app of pods that were taken out of their Services.
const ASIDE: &str = "aside";

impl User<'_> {
    pub(super) fn cluster(&mut self) {
        match self.random.below(12) {
            0..=4 => self.delete_some_pod(),
            5 | 6 => self.cordon(),
            7 => self.namespace(),
            8 => self.delete_some("nodes"),
            9 => {
                let of = ["serviceaccounts", "configmaps", "endpointslices"][self.random.below(3)];
                self.delete_some(of);
            }
            10 => self.delete_some("persistentvolumeclaims"),
            _ => self.delete_some("replicasets"),
        }
    }

    /// Pods are taken out of their Services and ReplicaSets, to be looked at, and deleted another time.
    pub(super) fn set_aside(&mut self) {
        if self.random.once_in(2) {
            return delete_aside(self.api);
        }
        for _ in 0..3 {
            let Some(place) = self.any("pods") else { return };
            let _ = self.api.edit(&place, Part::Main, |pod| {
                if pod["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet" {
                    meta::set(pod, &["metadata", "labels", "app"], ASIDE);
                }
            });
        }
    }

    fn delete_some(&mut self, plural: &str) {
        let Some(place) = self.any(plural) else { return };
        let _ = self.api.delete(&place, &Deletion::default());
    }

    /// A namespace goes with all that is in it, or comes back.
    fn namespace(&mut self) {
        self.namespace = "";
        match self.random.once_in(3) {
            true => self.delete("namespaces", "shop"),
            false => {
                self.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}));
            }
        }
    }

    fn cordon(&mut self) {
        let Some(place) = self.any("nodes") else { return };
        let closed = self.random.once_in(2);
        let _ = self.api.edit(&place, Part::Main, |node| match closed {
            true => meta::set(node, &["spec", "unschedulable"], true),
            false => drop(meta::remove(node, &["spec", "unschedulable"])),
        });
    }
}

/// Deletes the pods that were set aside.
pub(super) fn delete_aside(api: &mut Api) {
    let pods = resource("pods");
    let is_aside = |pod: &Value| pod["metadata"]["labels"]["app"] == ASIDE;
    let keys: Vec<_> = api.all(&pods).filter(|(_, pod)| is_aside(pod)).map(|(key, _)| key.clone()).collect();
    for key in keys {
        let _ = api.delete(&Place { resource: pods.clone(), key }, &Deletion::default());
    }
}
