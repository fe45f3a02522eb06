//! What the node tells others of how far it has come, and hears of how far all have; and where Ingresses are served.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::networking::v1::Ingress;
use kelson_machinery::meta;
use kelson_model::Revision;
use kelson_plans::{Key, Resource, programmed};
use serde_json::{Value, json};

use super::Node;
use crate::api::{Api, Part, Place};
use crate::watch::Heard;

impl Node {
    /// Hears how far all nodes have come.
    pub(super) fn hear_floor(&mut self, api: &Api) {
        let Some(heard) = self.floors.next(api) else { return };
        self.floor = match heard {
            Heard::Listed(leases) => {
                leases.first().map_or_else(Revision::default, |lease| programmed::revision(&lease.typed()))
            }
            Heard::Applied(lease) => programmed::revision(&lease.typed::<Lease>()),
            Heard::Deleted(_) => Revision::default(),
        };
        self.lives.values_mut().for_each(|tended| tended.stale = true);
    }

    pub(super) fn can_publish(&self, api: &Api) -> bool {
        let snapshot = &self.plane.snapshot;
        snapshot.synced && self.object(api).is_some() && self.published != Some(snapshot.revision)
    }

    /// Tells the others how far this data plane has come.
    pub(super) fn publish(&mut self, api: &mut Api) {
        let revision = self.plane.snapshot.revision;
        let name = programmed::lease_name(&self.name);
        let lease = programmed::lease(&name, &self.name, revision, self.clock.read(api.now));
        let mut lease = serde_json::to_value(&lease).expect("a Lease is JSON");
        meta::set_type(&mut lease, "coordination.k8s.io/v1", "Lease");
        let Some(uid) = self.object(api).map(|node| meta::uid(node).to_owned()) else { return };
        lease["metadata"]["ownerReferences"] = self.owner(&uid);
        let place = self.programmed();
        let told = match api.get(&place.resource, &place.key) {
            None => api.create(lease).map(drop),
            Some(_) => api.edit(&place, Part::Main, |object| {
                for field in ["annotations", "ownerReferences"] {
                    object["metadata"][field] = lease["metadata"][field].clone();
                }
            }),
        };
        if told.is_ok() {
            self.published = Some(revision);
        }
    }

    fn programmed(&self) -> Place {
        let key = Key::new(programmed::NAMESPACE, programmed::lease_name(&self.name));
        Place { resource: Resource::of::<Lease>(true), key }
    }

    /// What was published may have gone with an older object of the node: then it is said again.
    pub(super) fn look_after_lease(&mut self, api: &Api) {
        let place = self.programmed();
        let owner =
            api.get(&place.resource, &place.key).map(|lease| &lease["metadata"]["ownerReferences"][0]["uid"]);
        let uid = self.object(api).map(|node| meta::uid(node));
        if uid.is_none() || owner.and_then(Value::as_str) != uid {
            self.published = None;
        }
    }

    /// The node as its Leases refer to it: they go with it.
    pub(super) fn owner(&self, uid: &str) -> Value {
        json!([{"apiVersion": "v1", "kind": "Node", "name": self.name, "uid": uid}])
    }

    /// Tells Ingresses where they are served.
    pub(super) fn tell_ingresses(&mut self, api: &mut Api) {
        if !self.leads {
            return;
        }
        for write in self.plane.statuses() {
            let key = Key::new(write.ingress.namespace, write.ingress.name);
            let place = Place { resource: Resource::of::<Ingress>(true), key };
            let shown: Vec<Value> =
                write.addresses.iter().map(|address| json!({"ip": address.to_string()})).collect();
            let status = json!({"status": {"loadBalancer": {"ingress": shown}}});
            // Stale means that it is another by now, of which there is news to come.
            let _ = api.patch(&place, Part::Status, write.uid.as_deref(), None, &status);
        }
    }
}
