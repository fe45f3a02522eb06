//! Which node's pods refer to what, kept a pod at a time, so that a question is one look-up however many pods there are.
//!
//! Invariant: the counts are those of the pods that are there. A mirror pod refers to nothing: a node makes it itself,
//! and could otherwise give itself rights.

use std::collections::BTreeMap;
use std::sync::Arc;

use kelson_machinery::{Object, meta};
use serde_json::Value;

/// What marks the API's image of a pod that a node runs by a file of its own.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Kinds that nodes have a part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    Secret,
    ConfigMap,
    /// A PersistentVolumeClaim.
    Claim,
    /// A PersistentVolume.
    Volume,
    ServiceAccount,
    Pod,
}

/// Kind, namespace and name.
pub type Vertex = (Thing, String, String);

/// Where a pod is bound to, and what it refers to there.
type Bound = (String, Vec<Arc<Vertex>>);

/// The pods that are bound, and what they refer to.
#[derive(Default)]
pub struct PodGraph {
    /// By namespace and name.
    pods: BTreeMap<(String, String), Bound>,
    /// What is referred to → by how many pods of which node.
    referrers: BTreeMap<Arc<Vertex>, BTreeMap<String, usize>>,
}

impl PodGraph {
    /// Takes a pod in, in place of what had its name.
    pub fn put(&mut self, pod: &Object) {
        let (namespace, name) = (meta::namespace(pod), meta::name(pod));
        self.remove(namespace, name);
        let node = meta::get_str(pod, &["spec", "nodeName"]);
        if node.is_empty() {
            return;
        }
        let mirrors = meta::annotation(pod, MIRROR).is_some();
        let referred = if mirrors { Vec::new() } else { references(pod) };
        let vertices: Vec<Arc<Vertex>> =
            referred.into_iter().map(|vertex| self.count(vertex, node)).collect();
        self.pods.insert((namespace.to_owned(), name.to_owned()), (node.to_owned(), vertices));
    }

    /// Forgets a pod.
    pub fn remove(&mut self, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        let Some((node, vertices)) = self.pods.remove(&key) else { return };
        for vertex in vertices {
            let Some(nodes) = self.referrers.get_mut(&vertex) else { continue };
            let count = nodes.get_mut(&node).map_or(0, |count| {
                *count -= 1;
                *count
            });
            if count == 0 {
                nodes.remove(&node);
            }
            if nodes.is_empty() {
                self.referrers.remove(&vertex);
            }
        }
    }

    /// Whether a pod bound to `node` refers to this, or is it.
    pub fn reaches(&self, node: &str, thing: Thing, namespace: &str, name: &str) -> bool {
        if thing == Thing::Pod {
            let pod = self.pods.get(&(namespace.to_owned(), name.to_owned()));
            return pod.is_some_and(|(own, _)| own == node);
        }
        let vertex = (thing, namespace.to_owned(), name.to_owned());
        self.referrers.get(&vertex).is_some_and(|nodes| nodes.contains_key(node))
    }

    fn count(&mut self, vertex: Vertex, node: &str) -> Arc<Vertex> {
        let known = self.referrers.get_key_value(&vertex).map(|(known, _)| known.clone());
        let vertex = known.unwrap_or_else(|| Arc::new(vertex));
        *self.referrers.entry(vertex.clone()).or_default().entry(node.to_owned()).or_default() += 1;
        vertex
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.pods.is_empty() && self.referrers.is_empty()
    }
}

/// Which claim each PersistentVolume is for.
#[derive(Default)]
pub struct Volumes(BTreeMap<String, (String, String)>);

impl Volumes {
    /// Takes a volume in, in place of what had its name.
    pub fn put(&mut self, volume: &Object) {
        let part = |field: &str| meta::get_str(volume, &["spec", "claimRef", field]).to_owned();
        let claim = (part("namespace"), part("name"));
        match claim.1.is_empty() {
            true => drop(self.0.remove(meta::name(volume))),
            false => drop(self.0.insert(meta::name(volume).to_owned(), claim)),
        }
    }

    /// Forgets a volume.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Namespace and name of the claim that a volume is for.
    pub fn claim(&self, volume: &str) -> Option<(&str, &str)> {
        self.0.get(volume).map(|(namespace, name)| (namespace.as_str(), name.as_str()))
    }
}

/// Everything a pod refers to, each once.
pub fn references(pod: &Object) -> Vec<Vertex> {
    let namespace = meta::namespace(pod);
    let mut all: Vec<(Thing, String)> = Vec::new();
    let account = meta::get_str(pod, &["spec", "serviceAccountName"]);
    all.push((Thing::ServiceAccount, account.to_owned()));
    let pulls = meta::get_list(pod, &["spec", "imagePullSecrets"]).iter();
    all.extend(pulls.map(|one| (Thing::Secret, meta::get_str(one, &["name"]).to_owned())));
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        meta::get_list(pod, &["spec", list]).iter().for_each(|one| of_container(one, &mut all));
    }
    for volume in meta::get_list(pod, &["spec", "volumes"]) {
        of_volume(volume, meta::name(pod), &mut all);
    }
    all.retain(|(_, name)| !name.is_empty());
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(|(thing, name)| (thing, namespace.to_owned(), name)).collect()
}

fn of_container(container: &Value, all: &mut Vec<(Thing, String)>) {
    let name = |value: &Value, path: &[&str]| meta::get_str(value, path).to_owned();
    for from in meta::get_list(container, &["envFrom"]) {
        all.push((Thing::Secret, name(from, &["secretRef", "name"])));
        all.push((Thing::ConfigMap, name(from, &["configMapRef", "name"])));
    }
    for variable in meta::get_list(container, &["env"]) {
        all.push((Thing::Secret, name(variable, &["valueFrom", "secretKeyRef", "name"])));
        all.push((Thing::ConfigMap, name(variable, &["valueFrom", "configMapKeyRef", "name"])));
    }
}

fn of_volume(volume: &Value, pod: &str, all: &mut Vec<(Thing, String)>) {
    let name = |value: &Value, path: &[&str]| meta::get_str(value, path).to_owned();
    all.push((Thing::ConfigMap, name(volume, &["configMap", "name"])));
    all.push((Thing::Claim, name(volume, &["persistentVolumeClaim", "claimName"])));
    if volume.get("ephemeral").is_some_and(Value::is_object) {
        all.push((Thing::Claim, format!("{pod}-{}", meta::get_str(volume, &["name"]))));
    }
    for source in meta::get_list(volume, &["projected", "sources"]) {
        all.push((Thing::Secret, name(source, &["secret", "name"])));
        all.push((Thing::ConfigMap, name(source, &["configMap", "name"])));
    }
    // However a kind of volume is called, it names its Secret in one of these ways.
    for source in volume.as_object().into_iter().flat_map(serde_json::Map::values) {
        all.push((Thing::Secret, name(source, &["secretName"])));
        all.push((Thing::Secret, name(source, &["secretRef", "name"])));
        all.push((Thing::Secret, name(source, &["nodePublishSecretRef", "name"])));
    }
}
