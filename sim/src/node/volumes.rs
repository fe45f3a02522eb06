//! Volumes on this node that nobody claims any more: their data goes, then their object. As `io/agent`'s reclaim.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kelson_machinery::meta;
use kelson_plans::{Key, Resource};
use serde_json::Value;

use super::Node;
use crate::api::{Api, Deletion, Part, Place};
use crate::watch::Heard;

/// The finalizer by which a node holds its volumes.
const FINALIZER: &str = "kelson.dev/local";

impl Node {
    pub(super) fn hear_volumes(&mut self, api: &Api) {
        let Some(heard) = self.volumes.next(api) else { return };
        match heard {
            Heard::Listed(volumes) => {
                self.unclaimed.clear();
                volumes.iter().for_each(|volume| self.note(volume));
            }
            Heard::Applied(volume) => self.note(&volume),
            Heard::Deleted(key) => drop(self.unclaimed.remove(&key.name)),
        }
    }

    fn note(&mut self, volume: &Value) {
        let phase = meta::get_str(volume, &["status", "phase"]);
        let deleting = meta::deletion_timestamp(volume).is_some();
        let doomed = meta::get_str(volume, &["spec", "persistentVolumeReclaimPolicy"]) == "Delete";
        let over = phase == "Released" && doomed || deleting && phase != "Bound";
        let held = meta::finalizers(volume).contains(&FINALIZER);
        let name = meta::name(volume).to_owned();
        match over && held && self.is_here(volume) {
            true => drop(self.unclaimed.insert(name)),
            false => drop(self.unclaimed.remove(&name)),
        }
    }

    fn is_here(&self, volume: &Value) -> bool {
        let here =
            volume.pointer("/spec/nodeAffinity/required/nodeSelectorTerms/0/matchExpressions/0/values/0");
        here.and_then(Value::as_str) == Some(self.name.as_str())
    }

    pub(super) fn can_reclaim(&self, api: &Api) -> bool {
        self.unclaimed.iter().any(|name| self.is_free(name, api))
    }

    /// Whether the API has no such claim any more, and no pod here uses it. A pod that names a younger claim of the same
    /// name uses that: while it was in use the older one could not have gone.
    fn is_free(&self, name: &str, api: &Api) -> bool {
        let volumes = Resource::of::<PersistentVolume>(false);
        let Some(volume) = api.get(&volumes, &Key::cluster(name)) else { return true };
        let reference = |field: &str| meta::get_str(volume, &["spec", "claimRef", field]);
        let key = Key::new(reference("namespace"), reference("name"));
        let claims = Resource::of::<PersistentVolumeClaim>(true);
        if let Some(claim) = api.get(&claims, &key) {
            return meta::uid(claim) != reference("uid");
        }
        let names = |pod: &Pod| {
            let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
            let mut claims = volumes.filter_map(|volume| volume.persistent_volume_claim.as_ref());
            pod.metadata.namespace.as_ref() == Some(&key.namespace)
                && !kelson_plans::pod::is_terminal(pod)
                && claims.any(|claim| claim.claim_name == key.name)
        };
        !self.lives.values().any(|tended| names(&tended.pod))
    }

    pub(super) fn reclaim(&mut self, api: &mut Api) {
        let Some(name) = self.unclaimed.iter().find(|name| self.is_free(name, api)).cloned() else { return };
        self.unclaimed.remove(&name);
        let place = Place { resource: Resource::of::<PersistentVolume>(false), key: Key::cluster(name) };
        // Stale means that it has gone meanwhile.
        let _ = api.delete(&place, &Deletion::default());
        let _ = api.edit(&place, Part::Main, |volume| {
            let left: Vec<String> = meta::finalizers(volume).into_iter().map(str::to_owned).collect();
            let left: Vec<&str> = left.iter().map(String::as_str).filter(|name| *name != FINALIZER).collect();
            meta::set_finalizers(volume, &left);
        });
    }
}
