//! What authorization keeps of stored objects: roles and bindings for everyone, pods and volumes for nodes.
//!
//! Only says how a path of the store names an object; what it means is `kelson_rbac`'s.

use kelson_machinery::Object;
use kelson_rbac::node::{PodGraph, Volumes};
use kelson_rbac::{Kind, Policy};

use super::follow::Index;

impl Index for Policy {
    fn put(&mut self, path: &str, object: Object) {
        if let Some((kind, ..)) = role(path) {
            Policy::put(self, kind, object);
        }
    }

    fn remove(&mut self, path: &str) {
        if let Some((kind, namespace, name)) = role(path) {
            Policy::remove(self, kind, namespace, name);
        }
    }
}

impl Index for PodGraph {
    fn put(&mut self, _: &str, object: Object) {
        PodGraph::put(self, &object);
    }

    fn remove(&mut self, path: &str) {
        if let Some((namespace, name)) = path.split_once('/') {
            PodGraph::remove(self, namespace, name);
        }
    }
}

impl Index for Volumes {
    fn put(&mut self, _: &str, object: Object) {
        Volumes::put(self, &object);
    }

    fn remove(&mut self, path: &str) {
        Volumes::remove(self, path);
    }
}

/// Kind, namespace and name.
fn role(path: &str) -> Option<(Kind, &str, &str)> {
    let (plural, rest) = path.split_once('/')?;
    let kind = Kind::of_plural(plural)?;
    match kind {
        Kind::ClusterRole | Kind::ClusterRoleBinding => Some((kind, "", rest)),
        Kind::Role | Kind::RoleBinding => rest.split_once('/').map(|(home, name)| (kind, home, name)),
    }
}
