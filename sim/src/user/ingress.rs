//! Users and Ingresses: hosts, paths, default backends, classes, certificates; many of them claiming the same.

use serde_json::{Value, json};

use super::{APPS, User};

pub(crate) const HOSTS: [&str; 4] = ["shop.test", "www.shop.test", "*.shop.test", ""];
pub(crate) const PATHS: [&str; 5] = ["/", "/a", "/a/b", "/a/", "/cart"];

impl User<'_> {
    pub(super) fn ingresses(&mut self) {
        let name = format!("{}-in", self.app);
        match self.random.below(4) {
            0 => self.delete("ingresses", &name),
            1 => {
                let spec = self.ingress_spec();
                self.edit("ingresses", &name, |object| object["spec"] = spec);
            }
            _ => {
                let spec = self.ingress_spec();
                let metadata = json!({"name": name, "namespace": self.namespace});
                self.create(json!({
                    "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec,
                }));
            }
        }
    }

    fn ingress_spec(&mut self) -> Value {
        let rules: Vec<Value> = (0..self.random.below(3)).map(|_| self.rule()).collect();
        let mut spec = json!({"rules": rules});
        if rules.is_empty() || self.random.once_in(4) {
            spec["defaultBackend"] = self.backend();
        }
        match self.random.below(5) {
            0 => {}
            1 => spec["ingressClassName"] = "other".into(),
            _ => spec["ingressClassName"] = "kelson".into(),
        }
        if self.random.once_in(3) {
            let host = HOSTS[self.random.below(3)];
            spec["tls"] = json!([{"hosts": [host], "secretName": format!("{}-tls", self.app)}]);
        }
        spec
    }

    fn rule(&mut self) -> Value {
        let paths: Vec<Value> = (0..1 + self.random.below(3))
            .map(|_| {
                let kind = ["Prefix", "Exact", "ImplementationSpecific"][self.random.below(3)];
                json!({"path": PATHS[self.random.below(5)], "pathType": kind, "backend": self.backend()})
            })
            .collect();
        match HOSTS[self.random.below(HOSTS.len())] {
            "" => json!({"http": {"paths": paths}}),
            host => json!({"host": host, "http": {"paths": paths}}),
        }
    }

    fn backend(&mut self) -> Value {
        let app = APPS[self.random.below(APPS.len())];
        let name = match self.random.below(6) {
            0 => format!("{app}-alias"),
            1 => format!("{app}-outside"),
            _ => app.to_owned(),
        };
        let port = match self.random.below(5) {
            0 => json!({"number": 82}),
            1 | 2 => json!({"name": "http"}),
            _ => json!({"number": 80}),
        };
        json!({"service": {"name": name, "port": port}})
    }
}
