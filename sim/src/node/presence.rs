//! Whether a node is there: its object, its heartbeat, and the times when it is away.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kelson_machinery::{meta, time};
use kelson_plans::view::NODE_LEASES;
use kelson_plans::{Key, Resource};
use serde_json::{Value, json};

use super::Node;
use crate::api::{Api, Part, Place, Stored};
use crate::clock::later;

/// How often a heartbeat is sent.
pub const RENEW: SignedDuration = SignedDuration::from_secs(40);
/// How long a node may be silent; as many heartbeats as everywhere.
pub const GRACE: SignedDuration = SignedDuration::from_secs(200);

impl Node {
    pub(super) fn is_away(&self, now: Timestamp) -> bool {
        self.away_until.is_some_and(|until| now < until)
    }

    /// The process hangs: nothing is done or heard until then.
    pub fn hang(&mut self, until: Timestamp) {
        (self.away_until, self.settled_at) = (Some(until), None);
    }

    /// The power fails until then, and everything with it.
    pub fn fail(&mut self, until: Timestamp) {
        self.hang(until);
        self.machine.lose_all();
        self.restart();
        self.plane = self.plane.fresh();
        self.next_beat = until;
    }

    /// Whatever kept it away is over.
    pub fn recover(&mut self) {
        self.away_until = None;
    }

    fn place(&self) -> Place {
        let resource = Resource::of::<k8s_openapi::api::core::v1::Node>(false);
        Place { resource, key: Key::cluster(&self.name) }
    }

    /// The API's Node.
    pub(super) fn object<'a>(&self, api: &'a Api) -> Option<&'a std::sync::Arc<Stored>> {
        let place = self.place();
        api.get(&place.resource, &place.key)
    }

    /// Whether the API says that the node is ready.
    pub fn is_ready(&self, api: &Api) -> bool {
        let conditions = self.object(api).map(|node| meta::get_list(node, &["status", "conditions"]));
        conditions.is_some_and(|all| all.iter().any(|one| one["type"] == "Ready" && one["status"] == "True"))
    }

    /// Renews the heartbeat, and says again what is no longer said.
    pub(super) fn beat(&mut self, api: &mut Api) {
        self.next_beat = later(api.now, RENEW);
        if self.object(api).is_none() {
            self.register(api);
        }
        if !self.is_ready(api) {
            self.say_ready(api);
        }
        self.look_after_lease(api);
        let Some(uid) = self.object(api).map(|node| meta::uid(node).to_owned()) else { return };
        let place =
            Place { resource: Resource::of::<Lease>(true), key: Key::new(NODE_LEASES, self.name.as_str()) };
        let renewed = time::micros(self.clock.read(api.now));
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": self.name, "namespace": NODE_LEASES, "ownerReferences": self.owner(&uid)},
            "spec": {"holderIdentity": self.name, "leaseDurationSeconds": GRACE.as_secs(), "renewTime": renewed},
        });
        let told = match api.get(&place.resource, &place.key) {
            None => api.create(lease).map(drop),
            Some(_) => api.edit(&place, Part::Main, |object| {
                object["spec"] = lease["spec"].clone();
                object["metadata"]["ownerReferences"] = lease["metadata"]["ownerReferences"].clone();
            }),
        };
        if let Err(refusal) = told {
            api.faults.push(format!("the API refuses a heartbeat of {}: {refusal:?}", self.name));
        }
    }

    fn register(&mut self, api: &mut Api) {
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {
                "name": self.name, "labels": {"kubernetes.io/hostname": self.name},
                "annotations": {"kelson.dev/local-volumes": "/volumes"},
            },
        });
        if let Err(refusal) = api.create(node) {
            api.faults.push(format!("the API refuses {}: {refusal:?}", self.name));
        }
    }

    fn say_ready(&mut self, api: &mut Api) {
        let since = time::seconds(self.clock.read(api.now));
        let conditions: Vec<Value> =
            [("Ready", "True"), ("MemoryPressure", "False"), ("DiskPressure", "False")]
                .into_iter()
                .chain([("PIDPressure", "False")])
                .map(|(kind, status)| json!({"type": kind, "status": status, "lastTransitionTime": since}))
                .collect();
        let status = json!({
            "addresses": [{"type": "InternalIP", "address": self.address.to_string()}],
            "allocatable": {"cpu": "64", "memory": "64Gi", "pods": "50"},
            "capacity": {"cpu": "64", "memory": "64Gi", "pods": "50"},
            "conditions": conditions,
        });
        match api.edit(&self.place(), Part::Status, |node| node["status"] = status) {
            Ok(()) => (self.ready_version, self.settled_at) = (api.version(), None),
            Err(refusal) => api.faults.push(format!("the API refuses a node's status: {refusal:?}")),
        }
    }
}
