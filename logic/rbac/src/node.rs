//! What nodes may do (upstream's Node authorizer): read what the pods bound to them refer to, and keep what is theirs.
//!
//! Invariant: what a node may read of Secrets, ConfigMaps, claims, volumes and accounts follows from pods alone, never
//! from a rule. Which of its pods a node may change is admission's to say, which sees the pod.

mod graph;

use kelson_machinery::selector::FieldSelector;
use kelson_machinery::status::Attempt;
use kelson_machinery::text::quote;

pub use graph::{PodGraph, Thing, Volumes, references};

use crate::Decision;
use crate::defaults;
use crate::rule::Rule;

/// Where nodes say that they live.
const LEASES: &str = "kube-node-lease";

/// What every node may do, and how the rest is judged.
pub struct Nodes {
    rules: Vec<Rule>,
}

impl Default for Nodes {
    fn default() -> Self {
        Self { rules: defaults::node_rules() }
    }
}

/// What is known of who refers to what.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The pods.
    pub pods: &'a PodGraph,
    /// The PersistentVolumes.
    pub volumes: &'a Volumes,
}

impl Nodes {
    /// Whether `node` may do this; where not, the reason is upstream's and may be empty.
    pub fn decide(&self, node: &str, attempt: &Attempt<'_>, known: Known<'_>) -> Decision {
        let asked = Asked { node, attempt, known };
        match self.judge(&asked) {
            Ok(()) => Decision { allowed: true, reason: String::new() },
            Err(reason) => Decision { allowed: false, reason },
        }
    }

    fn judge(&self, asked: &Asked<'_>) -> Result<(), String> {
        match (asked.attempt.group, asked.attempt.resource) {
            ("", "secrets") => asked.read(Thing::Secret),
            ("", "configmaps") => asked.read(Thing::ConfigMap),
            ("", "persistentvolumeclaims") if asked.attempt.subresource == "status" => asked.claim_status(),
            ("", "persistentvolumeclaims") => asked.get_alone(Thing::Claim),
            ("", "persistentvolumes") => asked.get_alone(Thing::Volume),
            ("", "serviceaccounts") => asked.token(),
            ("", "nodes") => asked.node(),
            ("", "pods") => asked.pod(),
            ("coordination.k8s.io", "leases") => asked.lease(),
            ("storage.k8s.io", "csinodes") => asked.csi_node(),
            _ if self.rules.iter().any(|rule| rule.allows(asked.attempt)) => Ok(()),
            _ => Err(String::new()),
        }
    }
}

/// One attempt of one node.
struct Asked<'a> {
    node: &'a str,
    attempt: &'a Attempt<'a>,
    known: Known<'a>,
}

impl Asked<'_> {
    fn read(&self, thing: Thing) -> Result<(), String> {
        ensure(
            matches!(self.attempt.verb, "get" | "list" | "watch"),
            "can only read resources of this type",
        )?;
        ensure(self.attempt.subresource.is_empty(), "cannot read subresource")?;
        ensure(!self.attempt.namespace.is_empty(), "can only read namespaced object of this type")?;
        self.related(thing)
    }

    fn get_alone(&self, thing: Thing) -> Result<(), String> {
        ensure(self.attempt.verb == "get", "can only get individual resources of this type")?;
        ensure(self.attempt.subresource.is_empty(), "cannot get subresource")?;
        self.related(thing)
    }

    fn claim_status(&self) -> Result<(), String> {
        let changes = matches!(self.attempt.verb, "update" | "patch");
        ensure(changes, "can only get/update/patch this type")?;
        self.related(Thing::Claim)
    }

    fn token(&self) -> Result<(), String> {
        let one = self.attempt.verb == "create" && !self.attempt.name.is_empty();
        ensure(one, "can only create tokens for individual service accounts")?;
        let token = self.attempt.subresource == "token";
        ensure(token, "can only create token subresource of serviceaccount")?;
        self.related(Thing::ServiceAccount)
    }

    /// Its own Node, which it asks for before there is one. Changes are narrowed by admission.
    fn node(&self) -> Result<(), String> {
        let node = self.node;
        match (self.attempt.subresource, self.attempt.verb, self.attempt.name) {
            ("", "create" | "update" | "patch", _) | ("status", "update" | "patch", _) => Ok(()),
            ("", "get" | "list" | "watch", name) if name == node => Ok(()),
            ("", "get" | "list" | "watch", "") => {
                Err(format!("node '{node}' cannot read all nodes, only its own Node object"))
            }
            ("", "get" | "list" | "watch", name) => {
                Err(format!("node '{node}' cannot read '{name}', only its own Node object"))
            }
            _ => Err(String::new()),
        }
    }

    fn pod(&self) -> Result<(), String> {
        match (self.attempt.subresource, self.attempt.verb) {
            ("", "get") => self.related(Thing::Pod),
            ("", "list" | "watch") if self.selects_own_pods() => Ok(()),
            ("", "list" | "watch") if !self.attempt.name.is_empty() => self.related(Thing::Pod),
            ("", "list" | "watch") => {
                Err("can only list/watch pods with spec.nodeName field selector".to_owned())
            }
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => Ok(()),
            _ => Err(String::new()),
        }
    }

    fn selects_own_pods(&self) -> bool {
        let selector = FieldSelector::parse(self.attempt.field_selector);
        selector.is_ok_and(|selector| selector.exact("spec.nodeName") == Some(self.node))
    }

    /// Its own lease; the name of one that is created is not known here.
    fn lease(&self) -> Result<(), String> {
        let verb = matches!(self.attempt.verb, "get" | "create" | "update" | "patch" | "delete");
        ensure(verb, "can only get, create, update, patch, or delete a node lease")?;
        let place = format!("can only access leases in the {} system namespace", quote(LEASES));
        ensure(self.attempt.namespace == LEASES, &place)?;
        let own = self.attempt.verb == "create" || self.attempt.name == self.node;
        ensure(own, "can only access node lease with the same name as the requesting node")
    }

    fn csi_node(&self) -> Result<(), String> {
        let verb = matches!(self.attempt.verb, "get" | "create" | "update" | "patch" | "delete");
        ensure(verb, "can only get, create, update, patch, or delete a CSINode")?;
        ensure(self.attempt.subresource.is_empty(), "cannot authorize CSINode subresources")?;
        let own = self.attempt.verb == "create" || self.attempt.name == self.node;
        ensure(own, "can only access CSINode with the same name as the requesting node")
    }

    /// Whether a pod bound to the node refers to what is asked for, or is it.
    fn related(&self, thing: Thing) -> Result<(), String> {
        let (namespace, name) = (self.attempt.namespace, self.attempt.name);
        ensure(!name.is_empty(), "No Object name found")?;
        let Known { pods, volumes } = self.known;
        let found = match thing {
            Thing::Volume => volumes
                .claim(name)
                .is_some_and(|(namespace, claim)| pods.reaches(self.node, Thing::Claim, namespace, claim)),
            thing => pods.reaches(self.node, thing, namespace, name),
        };
        ensure(found, &format!("no relationship found between node '{}' and this object", self.node))
    }
}

fn ensure(holds: bool, reason: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(reason.to_owned()) }
}

#[cfg(test)]
mod tests;
