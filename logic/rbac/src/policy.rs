//! All roles and bindings of a cluster, indexed by whom they concern, so that a decision looks at nobody else's.
//!
//! Kept by [`Policy::put`] and [`Policy::remove`], an object a time. Invariant: the index holds exactly the subjects of
//! the bindings that are there.

use std::collections::BTreeMap;

use kelson_machinery::status::Attempt;
use kelson_machinery::text::{aggregate, quote};
use kelson_machinery::{Object, meta};

use crate::rule::{Rule, rules_of};
use crate::subject::{self, Subject, Who};

/// The four kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Role,
    ClusterRole,
    RoleBinding,
    ClusterRoleBinding,
}

impl Kind {
    /// The kind whose resource this is.
    pub fn of_plural(plural: &str) -> Option<Self> {
        match plural {
            "roles" => Some(Self::Role),
            "clusterroles" => Some(Self::ClusterRole),
            "rolebindings" => Some(Self::RoleBinding),
            "clusterrolebindings" => Some(Self::ClusterRoleBinding),
            _ => None,
        }
    }
}

/// Namespace (empty for the cluster's) and name.
type Key = (String, String);

/// Whether somebody may do something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// False says that nobody allowed it.
    pub allowed: bool,
    /// By which binding, or which roles could not be found; may be empty.
    pub reason: String,
}

/// A binding, made ready.
struct Binding {
    /// `ClusterRole` or `Role`.
    role_kind: String,
    role: String,
    subjects: Vec<(Subject, String)>,
}

/// Roles and bindings; see the module's head.
#[derive(Default)]
pub struct Policy {
    /// Roles and ClusterRoles with their rules.
    roles: BTreeMap<Key, (Object, Vec<Rule>)>,
    bindings: BTreeMap<Key, Binding>,
    /// Who is named → in which namespace → by which bindings.
    named: BTreeMap<Subject, BTreeMap<String, Vec<String>>>,
}

impl Policy {
    /// Takes an object in, in place of what had its name.
    pub fn put(&mut self, kind: Kind, object: Object) {
        let key = (meta::namespace(&object).to_owned(), meta::name(&object).to_owned());
        self.remove(kind, &key.0, &key.1);
        match kind {
            Kind::Role | Kind::ClusterRole => {
                let rules = rules_of(&object);
                self.roles.insert(key, (object, rules));
            }
            Kind::RoleBinding | Kind::ClusterRoleBinding => self.bind(key, &object),
        }
    }

    /// Forgets an object.
    pub fn remove(&mut self, kind: Kind, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        match kind {
            Kind::Role | Kind::ClusterRole => drop(self.roles.remove(&key)),
            Kind::RoleBinding | Kind::ClusterRoleBinding => self.unbind(&key),
        }
    }

    fn bind(&mut self, key: Key, object: &Object) {
        let listed = meta::get_list(object, &["subjects"]).iter();
        let subjects: Vec<_> = listed.filter_map(|one| subject::of_binding(one, &key.0)).collect();
        for (subject, _) in &subjects {
            let names = self.named.entry(subject.clone()).or_default().entry(key.0.clone()).or_default();
            if !names.contains(&key.1) {
                names.push(key.1.clone());
            }
        }
        let text = |field: &str| meta::get_str(object, &["roleRef", field]).to_owned();
        let binding = Binding { role_kind: text("kind"), role: text("name"), subjects };
        self.bindings.insert(key, binding);
    }

    fn unbind(&mut self, key: &Key) {
        let Some(binding) = self.bindings.remove(key) else { return };
        for (subject, _) in binding.subjects {
            let Some(places) = self.named.get_mut(&subject) else { continue };
            if let Some(names) = places.get_mut(&key.0) {
                names.retain(|name| *name != key.1);
                if names.is_empty() {
                    places.remove(&key.0);
                }
            }
            if places.is_empty() {
                self.named.remove(&subject);
            }
        }
    }

    /// A role's object. Namespace empty for ClusterRoles.
    pub fn role(&self, namespace: &str, name: &str) -> Option<&Object> {
        self.roles.get(&(namespace.to_owned(), name.to_owned())).map(|(object, _)| object)
    }

    /// Every ClusterRole, by name.
    pub fn cluster_roles(&self) -> impl Iterator<Item = &Object> + Clone {
        let roles = self.roles.iter().take_while(|((namespace, _), _)| namespace.is_empty());
        roles.map(|(_, (object, _))| object)
    }

    /// Whether `who` may do this. The reason names the binding that allows it.
    pub fn decide(&self, who: Who<'_>, attempt: &Attempt<'_>) -> Decision {
        let mut problems = Vec::new();
        for (key, binding) in self.bindings_of(who, attempt.namespace) {
            match self.rules(binding, &key.0) {
                Ok(rules) if rules.iter().any(|rule| rule.allows(attempt)) => {
                    return Decision { allowed: true, reason: describe(key, binding, who) };
                }
                Ok(_) => {}
                Err(problem) => problems.push(problem),
            }
        }
        let reason =
            if problems.is_empty() { String::new() } else { format!("RBAC: {}", aggregate(problems)) };
        Decision { allowed: false, reason }
    }

    /// All rules `who` has in a namespace (empty for the cluster's alone), and what could not be found.
    pub fn rules_for(&self, who: Who<'_>, namespace: &str) -> (Vec<Rule>, Vec<String>) {
        let (mut rules, mut problems) = (Vec::new(), Vec::new());
        for (key, binding) in self.bindings_of(who, namespace) {
            match self.rules(binding, &key.0) {
                Ok(own) => rules.extend_from_slice(own),
                Err(problem) => problems.push(problem),
            }
        }
        (rules, problems)
    }

    /// The rules of what a binding in `namespace` refers to; the error is upstream's.
    pub fn rules_of_reference(&self, kind: &str, name: &str, namespace: &str) -> Result<&[Rule], String> {
        let (home, said) = match kind {
            "ClusterRole" => ("", "clusterrole"),
            "Role" => (namespace, "role"),
            other => return Err(format!("unsupported role reference kind: {}", quote(other))),
        };
        let found = self.roles.get(&(home.to_owned(), name.to_owned()));
        found
            .map(|(_, rules)| rules.as_slice())
            .ok_or_else(|| format!("{said}.{} {} not found", crate::GROUP, quote(name)))
    }

    fn rules(&self, binding: &Binding, namespace: &str) -> Result<&[Rule], String> {
        self.rules_of_reference(&binding.role_kind, &binding.role, namespace)
    }

    /// The bindings that name `who`, each once: the cluster's, then the namespace's.
    fn bindings_of<'a>(
        &'a self,
        who: Who<'a>,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a Binding)> {
        let subjects = std::iter::once(Subject::User(who.name.to_owned()))
            .chain(who.groups.iter().map(|group| Subject::Group(group.clone())));
        let places: Vec<&BTreeMap<String, Vec<String>>> =
            subjects.filter_map(|subject| self.named.get(&subject)).collect();
        let homes = std::iter::once("").chain(Some(namespace).filter(|namespace| !namespace.is_empty()));
        homes.flat_map(move |home| {
            let mut names: Vec<&String> =
                places.iter().filter_map(|place| place.get(home)).flatten().collect();
            names.sort_unstable();
            names.dedup();
            let keys = names.into_iter().map(move |name| (home.to_owned(), name.clone()));
            keys.filter_map(|key| self.bindings.get_key_value(&key))
        })
    }
}

/// `RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "r" to Group "g"`.
fn describe(key: &Key, binding: &Binding, who: Who<'_>) -> String {
    let applies = |subject: &Subject| match subject {
        Subject::User(name) => name == who.name,
        Subject::Group(name) => who.groups.contains(name),
    };
    let named = binding.subjects.iter().find(|(subject, _)| applies(subject));
    let to = named.map_or("", |(_, described)| described);
    let by = match key.0.as_str() {
        "" => format!("ClusterRoleBinding {}", quote(&key.1)),
        namespace => format!("RoleBinding {}", quote(&format!("{}/{namespace}", key.1))),
    };
    format!("RBAC: allowed by {by} of {} {} to {to}", binding.role_kind, quote(&binding.role))
}

#[cfg(test)]
mod tests;
