//! What users do: make, change, scale and delete all there is; delete pods; close nodes.
//!
//! A refusal is an answer, not a failure: users ask for much that the API will not have.

mod batch;
mod budgets;
mod cluster;
mod guests;
mod ingress;
mod services;
mod workloads;

use kelson_machinery::meta;
use kelson_plans::Key;
use kelson_plans::plan::Propagation;
use serde_json::Value;

use crate::api::{Api, Deletion, Part, Place};
use crate::random::Random;
use crate::world::resource;

const APPS: [&str; 4] = ["web", "shop", "cart", "mail"];
const NAMESPACES: [&str; 2] = ["default", "shop"];

/// The user at work, with one name in mind.
struct User<'a> {
    api: &'a mut Api,
    random: &'a mut Random,
    namespace: &'static str,
    app: &'static str,
    calm: bool,
}

/// One request of a user. In a calm world only what costs no pod its readiness, but for rollouts.
pub(crate) fn act(api: &mut Api, random: &mut Random, calm: bool) {
    let namespace = NAMESPACES[random.below(NAMESPACES.len())];
    let app = APPS[random.below(APPS.len())];
    let what = random.below(22);
    let mut user = User { api, random, namespace, app, calm };
    match what {
        0..=5 => user.workloads(),
        6..=8 => user.services(),
        9 | 10 => user.ingresses(),
        11..=13 => user.batch(),
        _ if calm => user.workloads(),
        14 | 15 => user.budgets(),
        16 => user.set_aside(),
        17 => user.quota(),
        18 | 19 => user.guests(),
        _ => user.cluster(),
    }
}

/// What users do at last, so that a world can come to rest: nodes are open, nothing starts of itself, and no
/// pod is left that nobody answers for.
pub(crate) fn leave(api: &mut Api) {
    cluster::delete_aside(api);
    guests::leave(api);
    for (plural, field, value) in
        [("nodes", "unschedulable", Value::Null), ("cronjobs", "suspend", true.into())]
    {
        let keys: Vec<Key> = api.all(&resource(plural)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            let place = Place { resource: resource(plural), key };
            let _ = api.edit(&place, Part::Main, |object| object["spec"][field] = value.clone());
        }
    }
}

impl User<'_> {
    fn create(&mut self, object: Value) {
        let _ = self.api.create(object);
    }

    fn edit(&mut self, plural: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let _ = self.api.edit(&self.place(plural, name), Part::Main, change);
    }

    fn place(&self, plural: &str, name: &str) -> Place {
        Place { resource: resource(plural), key: Key::new(self.namespace, name) }
    }

    fn delete(&mut self, plural: &str, name: &str) {
        let propagation = match self.random.below(4) {
            0 => Some(Propagation::Foreground),
            1 => Some(Propagation::Orphan),
            _ => Some(Propagation::Background),
        };
        let how = Deletion { propagation, ..Deletion::default() };
        let _ = self.api.delete(&self.place(plural, name), &how);
    }

    /// A key of what is there of a kind, whatever its namespace.
    fn any(&mut self, plural: &str) -> Option<Place> {
        let keys: Vec<Key> = self.api.all(&resource(plural)).map(|(key, _)| key.clone()).collect();
        let key = self.random.of(&keys)?.clone();
        Some(Place { resource: resource(plural), key })
    }

    fn delete_some_pod(&mut self) {
        let Some(place) = self.any("pods") else { return };
        let grace_seconds = match self.random.below(4) {
            0 => Some(0),
            1 => Some(1 + self.random.below(10) as i64),
            _ => None,
        };
        let _ = self.api.delete(&place, &Deletion { grace_seconds, ..Deletion::default() });
    }

    fn labelled(&self, name: String, extra: &[(&str, &str)]) -> Value {
        let mut metadata = serde_json::json!({"name": name, "namespace": self.namespace});
        extra.iter().for_each(|(label, value)| meta::set(&mut metadata, &["labels", label], *value));
        metadata
    }
}
