//! All controllers: which there are, whom a change wakes, and whose plan a task asks for.
//!
//! The one place that names every plan; `io/cluster` and the simulation know controllers only through it.
//! A new controller is one variant and one line in each table.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::key::Key;
use crate::plan::{Plan, Reason};
use crate::view::{Changed, View};
use crate::{
    cron_job, daemon_set, deployment, disruption, endpoint_slice, endpoint_slice_mirroring, endpoints,
    garbage, job, load_balancer, namespace, node_lifecycle, persistent_volume, pod_garbage, programmed,
    provision, replica_set, resource_quota, schedule, service_account, stateful_set,
};

macro_rules! controllers {
    ($($variant:ident: $module:ident, $component:literal;)*) => {
        /// A controller.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Controller { $($variant,)* }

        impl Controller {
            pub const ALL: &[Controller] = &[$(Controller::$variant,)*];

            /// How the controller signs its Events, as upstream's does.
            pub fn component(self) -> &'static str {
                match self { $(Controller::$variant => $component,)* }
            }

            fn plan(self, view: &View, key: &Key, now: Timestamp) -> Plan {
                match self { $(Controller::$variant => $module::plan(view, key, now),)* }
            }

            fn wake(self, view: &View, changed: &Changed) -> Vec<Key> {
                match self { $(Controller::$variant => $module::wake(view, changed),)* }
            }
        }
    };
}

controllers! {
    Deployment: deployment, "deployment-controller";
    ReplicaSet: replica_set, "replicaset-controller";
    StatefulSet: stateful_set, "statefulset-controller";
    DaemonSet: daemon_set, "daemonset-controller";
    Job: job, "job-controller";
    CronJob: cron_job, "cronjob-controller";
    Schedule: schedule, "default-scheduler";
    EndpointSlice: endpoint_slice, "endpoint-slice-controller";
    Endpoints: endpoints, "endpoint-controller";
    EndpointSliceMirroring: endpoint_slice_mirroring, "endpoint-slice-mirroring-controller";
    Garbage: garbage, "garbage-collector-controller";
    Namespace: namespace, "namespace-controller";
    ServiceAccount: service_account, "serviceaccount-controller";
    NodeLifecycle: node_lifecycle, "node-controller";
    PodGarbage: pod_garbage, "pod-garbage-collector";
    LoadBalancer: load_balancer, "service-controller";
    Programmed: programmed, "programmed-controller";
    PersistentVolume: persistent_volume, "persistentvolume-controller";
    Provision: provision, "kelson.dev/local";
    Disruption: disruption, "controllermanager";
    ResourceQuota: resource_quota, "resourcequota-controller";
}

/// One thing for one controller to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Task {
    pub controller: Controller,
    pub key: Key,
}

impl Task {
    pub fn new(controller: Controller, key: Key) -> Self {
        Self { controller, key }
    }
}

/// What the controller wants done about the task's object.
pub fn plan(view: &View, task: &Task, now: Timestamp) -> Plan {
    task.controller.plan(view, &task.key, now)
}

/// Every task that a change might have given something to do. The view already holds the change.
pub fn wake(view: &View, changed: &Changed) -> BTreeSet<Task> {
    let tasks = Controller::ALL.iter().flat_map(|controller| {
        controller.wake(view, changed).into_iter().map(|key| Task::new(*controller, key))
    });
    tasks.collect()
}

/// What a change gives occasion to tell though nothing is to be done about it, and in whose name. The view already holds
/// the change; what is merely listed when all begins is no change.
pub fn remarks(view: &View, changed: &Changed) -> Vec<(Controller, Reason)> {
    let of_balancers = load_balancer::remarks(view, changed).into_iter();
    of_balancers.map(|reason| (Controller::LoadBalancer, reason)).collect()
}
