//! Users and Services: of every type, with selector and without, and Endpoints made by hand.

use serde_json::{Value, json};

use super::{APPS, NAMESPACES, User};

impl User<'_> {
    pub(super) fn services(&mut self) {
        let app = self.app;
        match self.random.below(10) {
            0..=4 => {
                let service = self.service();
                self.create(service);
            }
            5 | 6 => {
                let wanted = self.service()["spec"].clone();
                self.edit("services", app, |object| reshape(object, &wanted));
            }
            7 => self.delete("services", app),
            8 => self.make_alias(),
            _ => self.make_bare(),
        }
    }

    fn service(&mut self) -> Value {
        let selector = match self.random.below(4) {
            0 => json!({"tier": "a"}),
            _ => json!({"app": self.app}),
        };
        let target = if self.random.once_in(2) { json!("http") } else { json!(8080) };
        let ports = json!([{"name": "http", "port": 80, "targetPort": target}]);
        let mut spec = json!({"selector": selector, "ports": ports});
        match self.random.below(7) {
            0 => spec["clusterIP"] = "None".into(),
            1 => spec["type"] = "NodePort".into(),
            2 => spec["publishNotReadyAddresses"] = true.into(),
            3 => spec["type"] = "LoadBalancer".into(),
            _ => {}
        }
        let metadata = json!({"name": self.app, "namespace": self.namespace});
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    }

    /// Another name for a Service, of this namespace or of the other.
    fn make_alias(&mut self) {
        let name = format!("{}-alias", self.app);
        if self.random.once_in(4) {
            return self.delete("services", &name);
        }
        let of = APPS[self.random.below(APPS.len())];
        let namespace = NAMESPACES[self.random.below(NAMESPACES.len())];
        let target = match self.random.once_in(6) {
            true => "www.example.com".to_owned(),
            false => format!("{of}.{namespace}.svc.cluster.local"),
        };
        let spec = json!({"type": "ExternalName", "externalName": target});
        let metadata = json!({"name": name, "namespace": self.namespace});
        self.create(json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}));
    }

    /// Endpoints made by hand for a Service without selector, which may or may not be there.
    fn make_bare(&mut self) {
        let name = format!("{}-outside", self.app);
        let metadata = json!({"name": name, "namespace": self.namespace});
        let address = json!({"ip": format!("203.0.113.{}", 1 + self.random.below(9))});
        match self.random.below(6) {
            0 => self.delete("services", &name),
            1 => self.delete("endpoints", &name),
            2 | 3 => {
                let spec = json!({"ports": [{"name": "http", "port": 80, "targetPort": 9000}]});
                self.create(
                    json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}),
                );
            }
            4 => self.edit("endpoints", &name, |object| {
                object["subsets"][0]["addresses"] = json!([address]);
            }),
            _ => {
                let subset = json!({"addresses": [address], "ports": [{"name": "http", "port": 9000}]});
                let subsets = json!([subset]);
                self.create(
                    json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}),
                );
            }
        }
    }
}

/// Takes over what may change of a Service; its address stays.
fn reshape(object: &mut Value, wanted: &Value) {
    for field in ["selector", "ports", "publishNotReadyAddresses"] {
        object["spec"][field] = wanted[field].clone();
    }
    if object["spec"]["clusterIP"] != "None" {
        object["spec"]["type"] = wanted.get("type").cloned().unwrap_or_else(|| "ClusterIP".into());
    }
}
