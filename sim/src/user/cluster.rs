//! Users and the cluster itself: nodes, namespaces, accounts, claims, single pods.

use kelson_machinery::meta;
use serde_json::json;

use super::User;
use crate::api::{Deletion, Part};

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
