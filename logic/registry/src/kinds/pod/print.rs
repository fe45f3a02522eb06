//! What `kubectl get pods` shows: the one word a user reads a pod's state from (upstream: printPod).

use crate::cells;
use crate::walk::{flag, int, items, or, present, text};
use jiff::Timestamp;
use kelson_machinery::{Object, age, meta};
use serde_json::Value;

/// All that the cells are made of.
pub const SHOWN: &[&str] = &[
    "metadata.name",
    "metadata.creationTimestamp",
    "metadata.deletionTimestamp",
    "spec.containers.name",
    "spec.initContainers.name",
    "spec.initContainers.restartPolicy",
    "spec.nodeName",
    "spec.readinessGates",
    "status.conditions.type",
    "status.conditions.status",
    "status.conditions.reason",
    "status.containerStatuses.name",
    "status.containerStatuses.ready",
    "status.containerStatuses.restartCount",
    "status.containerStatuses.state",
    "status.containerStatuses.lastState.terminated.finishedAt",
    "status.initContainerStatuses.name",
    "status.initContainerStatuses.ready",
    "status.initContainerStatuses.started",
    "status.initContainerStatuses.restartCount",
    "status.initContainerStatuses.state",
    "status.initContainerStatuses.lastState.terminated.finishedAt",
    "status.nominatedNodeName",
    "status.phase",
    "status.podIPs.ip",
    "status.reason",
];

/// One cell a column.
pub fn cells(pod: &Object, now: Timestamp) -> Vec<Value> {
    let summary = Summary::of(pod);
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let ready = format!("{}/{}", summary.ready, summary.total);
    vec![
        cells::name(pod),
        ready.into(),
        summary.reason.as_str().into(),
        summary.restarts(now).into(),
        cells::aged(pod, now),
        cells::or_none(&status["podIPs"][0]["ip"]),
        cells::or_none(&spec["nodeName"]),
        cells::or_none(&status["nominatedNodeName"]),
        readiness_gates(spec, status).into(),
    ]
}

struct Summary<'a> {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: &'a str,
}

impl<'a> Summary<'a> {
    fn of(pod: &'a Object) -> Self {
        let (spec, status) = (&pod["spec"], &pod["status"]);
        let sidecars = items(&spec["initContainers"]).iter().filter(|c| is_sidecar(c)).count();
        let mut summary = Summary {
            reason: first_reason(status),
            ready: 0,
            total: items(&spec["containers"]).len() + sidecars,
            restarts: 0,
            last_restart: "",
        };
        let initializing = summary.initialize(spec, status);
        if !initializing || has_condition(status, "Initialized") {
            summary.run(spec, status);
        }
        summary.deletion(pod);
        summary
    }

    /// Init containers in turn, up to the first that is not done; whether there is one.
    fn initialize(&mut self, spec: &Value, status: &'a Value) -> bool {
        let total = items(&spec["initContainers"]).len();
        for (index, container) in items(&status["initContainerStatuses"]).iter().enumerate() {
            self.count_restarts(container);
            let (terminated, waiting) = (&container["state"]["terminated"], &container["state"]["waiting"]);
            if terminated.is_object() && int(&terminated["exitCode"]) == 0 {
                continue;
            }
            if is_named_sidecar(spec, container) && flag(&container["started"]) {
                self.ready += usize::from(flag(&container["ready"]));
                continue;
            }
            self.reason = if terminated.is_object() {
                format!("Init:{}", ended(terminated))
            } else if !["", "PodInitializing"].contains(&text(&waiting["reason"])) {
                format!("Init:{}", text(&waiting["reason"]))
            } else {
                format!("Init:{index}/{total}")
            };
            return true;
        }
        false
    }

    /// The main containers; the first one's trouble wins.
    fn run(&mut self, spec: &Value, status: &'a Value) {
        (self.restarts, self.last_restart) = (0, "");
        let inits = items(&status["initContainerStatuses"]);
        inits
            .iter()
            .filter(|container| is_named_sidecar(spec, container))
            .for_each(|c| self.count_restarts(c));
        let mut running = false;
        for container in items(&status["containerStatuses"]).iter().rev() {
            self.count_restarts(container);
            let state = &container["state"];
            if present(&state["waiting"]["reason"]) {
                self.reason = text(&state["waiting"]["reason"]).to_owned();
            } else if state["terminated"].is_object() {
                self.reason = ended(&state["terminated"]);
            } else if flag(&container["ready"]) && state["running"].is_object() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            self.reason = if has_condition(status, "Ready") { "Running" } else { "NotReady" }.to_owned();
        }
    }

    fn deletion(&mut self, pod: &Object) {
        if meta::deletion_timestamp(pod).is_none() {
            return;
        }
        let status = &pod["status"];
        if text(&status["reason"]) == "NodeLost" {
            self.reason = "Unknown".to_owned();
        } else if !["Succeeded", "Failed"].contains(&text(&status["phase"])) {
            self.reason = "Terminating".to_owned();
        }
    }

    fn count_restarts(&mut self, container: &'a Value) {
        self.restarts += int(&container["restartCount"]);
        let finished = text(&container["lastState"]["terminated"]["finishedAt"]);
        // RFC 3339 in UTC without fractions sorts as text.
        self.last_restart = self.last_restart.max(finished);
    }

    fn restarts(&self, now: Timestamp) -> String {
        match (self.restarts, self.last_restart) {
            (0, _) | (_, "") => self.restarts.to_string(),
            (restarts, last) => format!("{restarts} ({} ago)", age::cell(Some(last), now)),
        }
    }
}

fn first_reason(status: &Value) -> String {
    let gated = |condition: &&Value| {
        text(&condition["type"]) == "PodScheduled" && text(&condition["reason"]) == "SchedulingGated"
    };
    match items(&status["conditions"]).iter().find(gated) {
        Some(_) => "SchedulingGated".to_owned(),
        None => text(or(&status["reason"], &status["phase"])).to_owned(),
    }
}

/// Why a container ended: its reason, its signal or its exit code.
fn ended(terminated: &Value) -> String {
    match (text(&terminated["reason"]), int(&terminated["signal"])) {
        ("", 0) => format!("ExitCode:{}", int(&terminated["exitCode"])),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn is_sidecar(container: &Value) -> bool {
    text(&container["restartPolicy"]) == "Always"
}

fn is_named_sidecar(spec: &Value, status: &Value) -> bool {
    items(&spec["initContainers"]).iter().any(|c| c["name"] == status["name"] && is_sidecar(c))
}

fn has_condition(status: &Value, kind: &str) -> bool {
    let wanted = |condition: &Value| text(&condition["type"]) == kind && text(&condition["status"]) == "True";
    items(&status["conditions"]).iter().any(wanted)
}

fn readiness_gates(spec: &Value, status: &Value) -> String {
    let gates = items(&spec["readinessGates"]);
    let open = gates.iter().filter(|gate| has_condition(status, text(&gate["conditionType"]))).count();
    if gates.is_empty() { "<none>".to_owned() } else { format!("{open}/{}", gates.len()) }
}
