//! Users and what runs for ever: Deployments, StatefulSets, DaemonSets, with claims and without.

use serde_json::{Value, json};

use super::User;
use super::guests::port_of;

impl User<'_> {
    pub(super) fn workloads(&mut self) {
        let (app, set) = (self.app, format!("{}-set", self.app));
        let daemon = format!("{}-everywhere", self.app);
        match self.random.below(if self.calm { 8 } else { 15 }) {
            0 | 1 => self.make_deployment(),
            2..=4 => {
                let image = self.image();
                self.edit("deployments", app, |object| set_image(object, &image));
            }
            5 => self.make_set(),
            6 => {
                let image = self.image();
                self.edit("statefulsets", &set, |object| set_image(object, &image));
            }
            7 => {
                let rank = if self.random.once_in(2) { 15 } else { 0 };
                self.create(daemon_set(self.namespace, app, rank));
            }
            8 | 9 => {
                let replicas = self.random.below(6);
                self.edit("deployments", app, |object| object["spec"]["replicas"] = replicas.into());
            }
            10 => {
                let replicas = self.random.below(4);
                self.edit("statefulsets", &set, |object| object["spec"]["replicas"] = replicas.into());
            }
            11 => {
                let paused = self.random.once_in(3);
                self.edit("deployments", app, |object| object["spec"]["paused"] = paused.into());
            }
            12 => self.delete("deployments", app),
            13 => self.delete("statefulsets", &set),
            _ => match self.random.once_in(2) {
                true => self.delete("daemonsets", &daemon),
                false => self.edit("daemonsets", &daemon, |object| set_image(object, "web:1")),
            },
        }
    }

    fn image(&mut self) -> String {
        format!("web:{}", self.random.below(4))
    }

    fn make_deployment(&mut self) {
        let strategy = match self.random.below(3) {
            0 => json!({"type": "Recreate"}),
            1 => json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
            _ => json!({"type": "RollingUpdate"}),
        };
        let mut container =
            json!({"name": "c", "image": "web:0", "ports": [{"name": "http", "containerPort": 8080}]});
        if self.random.once_in(2) {
            container["readinessProbe"] = json!({"httpGet": {"port": "http"}, "periodSeconds": 10});
        }
        let tier = if self.random.once_in(2) { "a" } else { "b" };
        let labels = json!({"app": self.app, "tier": tier});
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": self.app, "namespace": self.namespace},
            "spec": {
                "replicas": self.random.below(5), "strategy": strategy,
                "selector": {"matchLabels": {"app": self.app, "tier": tier}},
                "minReadySeconds": self.random.below(3),
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [container], "terminationGracePeriodSeconds": 30},
                },
            },
        });
        self.create(object);
    }

    /// Its pods bear the same label as the Deployment's, so that one Service leads to both.
    fn make_set(&mut self) {
        let policy = if self.random.once_in(2) { "Parallel" } else { "OrderedReady" };
        let mut spec = json!({
            "replicas": self.random.below(4), "serviceName": self.app, "podManagementPolicy": policy,
            "selector": {"matchLabels": {"app": self.app, "set": "true"}}, "template": template(self.app, "set"),
        });
        if self.random.once_in(2) {
            let claim = json!({
                "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            });
            spec["volumeClaimTemplates"] = json!([claim]);
            let mut policy = || if self.random.once_in(2) { "Delete" } else { "Retain" };
            spec["persistentVolumeClaimRetentionPolicy"] =
                json!({"whenDeleted": policy(), "whenScaled": policy()});
        }
        let metadata = json!({"name": format!("{}-set", self.app), "namespace": self.namespace});
        self.create(
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec}),
        );
    }
}

fn set_image(object: &mut Value, image: &str) {
    object["spec"]["template"]["spec"]["containers"][0]["image"] = image.into();
}

/// Its pods have a port of every node, and drive away who has it, if that is less important.
fn daemon_set(namespace: &str, app: &str, rank: i32) -> Value {
    let mut template = template(app, "everywhere");
    template["spec"]["priority"] = rank.into();
    template["spec"]["containers"][0]["ports"][0]["hostPort"] = port_of(namespace, app).into();
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": format!("{app}-everywhere"), "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": app, "everywhere": "true"}}, "template": template,
        },
    })
}

fn template(app: &str, mark: &str) -> Value {
    let ports = json!([{"name": "http", "containerPort": 8080}]);
    json!({
        "metadata": {"labels": {"app": app, mark: "true"}},
        "spec": {"containers": [{"name": "c", "image": "web:0", "ports": ports}]},
    })
}
