//! Users and what is scarce: single pods of all ranks that want much of a node or one of its ports, and quotas.

use kelson_machinery::meta;
use serde_json::{Value, json};

use super::{APPS, NAMESPACES, User};
use crate::api::{Api, Deletion, Part, Place};
use crate::controllers::GUEST;
use crate::world::resource;

/// The host port that belongs to an app of a namespace: everybody who wants a port wants one of these.
pub(super) fn port_of(namespace: &str, app: &str) -> usize {
    let place = |all: &[&str], one: &str| all.iter().position(|other| *other == one).unwrap_or(0);
    8000 + 10 * place(&NAMESPACES, namespace) + place(&APPS, app)
}

impl User<'_> {
    /// Some pods that nobody answers for, and that may drive others away.
    pub(super) fn guests(&mut self) {
        for _ in 0..1 + self.random.below(6) {
            let name = format!("{GUEST}-{}", self.random.below(12));
            match self.random.once_in(6) {
                true => self.delete("pods", &name),
                false => self.guest(name),
            }
        }
    }

    fn guest(&mut self, name: String) {
        let cpu = ["16", "40", "60"][self.random.below(3)];
        let mut container = json!({"name": "c", "image": "guest:0", "resources": {"requests": {"cpu": cpu}}});
        if self.random.once_in(2) {
            let port = port_of(self.namespace, self.app);
            container["ports"] = json!([{"containerPort": 8080, "hostPort": port}]);
        }
        let policy = if self.random.once_in(6) { "Never" } else { "PreemptLowerPriority" };
        let spec = json!({"containers": [container], "priority": 10 * self.random.below(4), "preemptionPolicy": policy,
            "terminationGracePeriodSeconds": 1 + self.random.below(20)});
        let mut metadata = self.labelled(name, &[]);
        meta::set(&mut metadata, &["labels", "app"], GUEST);
        self.create(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}));
    }

    /// A quota is made, altered or taken away.
    pub(super) fn quota(&mut self) {
        let name = format!("quota-{}", self.random.below(2));
        match self.random.below(5) {
            0 | 1 => self.delete("resourcequotas", &name),
            2 => {
                let pods = self.random.below(12).to_string();
                self.edit("resourcequotas", &name, |quota| meta::set(quota, &["spec", "hard", "pods"], pods));
            }
            _ => {
                let spec = match self.random.below(5) {
                    0 => {
                        json!({"hard": {"pods": (2 + self.random.below(8)).to_string()}, "scopes": ["NotTerminating"]})
                    }
                    1 => json!({"hard": {"requests.cpu": "40", "count/pods": "20"}}),
                    2 => json!({"hard": {"services.nodeports": "2", "configmaps": "3"}}),
                    3 => {
                        json!({"hard": {"persistentvolumeclaims": "2", "requests.storage": "3Gi", "pods": "12"}})
                    }
                    _ => json!({"hard": {"pods": self.random.below(10).to_string()}}),
                };
                let metadata = json!({"name": name, "namespace": self.namespace});
                self.create(
                    json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": spec}),
                );
            }
        }
    }
}

/// Guests go, and every quota leaves room for all there is.
pub(super) fn leave(api: &mut Api) {
    let pods = resource("pods");
    let is_guest = |pod: &Value| pod["metadata"]["labels"]["app"] == GUEST;
    let keys: Vec<_> = api.all(&pods).filter(|(_, pod)| is_guest(pod)).map(|(key, _)| key.clone()).collect();
    for key in keys {
        let _ = api.delete(&Place { resource: pods.clone(), key }, &Deletion::default());
    }
    let quotas = resource("resourcequotas");
    let keys: Vec<_> = api.all(&quotas).map(|(key, _)| key.clone()).collect();
    for key in keys {
        let _ = api.edit(&Place { resource: quotas.clone(), key }, Part::Main, |quota| {
            let Some(hard) = quota["spec"]["hard"].as_object_mut() else { return };
            // What asks of others more than they say cannot be satisfied by room.
            hard.remove("requests.cpu");
            hard.iter_mut().for_each(|(_, most)| *most = "1000Gi".into());
        });
    }
}
