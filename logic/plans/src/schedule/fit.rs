//! What a pod asks for and what a node has left: resources, room, host ports. Pure leaf of `schedule`.
//!
//! Amounts are in thousandths, as quantities are compared. A quantity that cannot be read counts as nothing:
//! the API refuses such pods.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, Node, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::refusal::Verdict;

type Amounts = BTreeMap<String, i128>;
type Port = (String, String, i32);

/// What a pod asks of its node.
pub(super) struct Request {
    amounts: Amounts,
    ports: BTreeSet<Port>,
}

/// What a node has and what is left of it.
pub(super) struct Free {
    allocatable: Amounts,
    left: Amounts,
    room: i128,
    pods: i128,
    ports: BTreeSet<Port>,
}

impl Request {
    /// The containers and sidecars together, or the largest step of starting, if that is more.
    pub(super) fn of(pod: &Pod) -> Self {
        let Some(spec) = &pod.spec else { return Self { amounts: Amounts::new(), ports: BTreeSet::new() } };
        let mut amounts = Amounts::new();
        spec.containers.iter().for_each(|container| add(&mut amounts, &requests(container)));
        let mut sidecars = Amounts::new();
        let mut peak = Amounts::new();
        for container in spec.init_containers.iter().flatten() {
            let mut step = requests(container);
            if container.restart_policy.as_deref() == Some("Always") {
                add(&mut sidecars, &step);
                step.clear();
            }
            add(&mut step, &sidecars);
            raise(&mut peak, &step);
        }
        add(&mut amounts, &sidecars);
        raise(&mut amounts, &peak);
        add(&mut amounts, &amounts_of(spec.overhead.as_ref()));
        amounts.retain(|_, amount| *amount > 0);
        let ports = spec.containers.iter().flat_map(|container| container.ports.iter().flatten());
        let ports = ports.filter_map(|port| {
            let host_port = port.host_port.filter(|number| *number > 0)?;
            let ip = port.host_ip.clone().unwrap_or_default();
            Some((ip, port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()), host_port))
        });
        Self { amounts, ports: ports.collect() }
    }
}

fn requests(container: &Container) -> Amounts {
    amounts_of(container.resources.as_ref().and_then(|resources| resources.requests.as_ref()))
}

fn amounts_of(quantities: Option<&BTreeMap<String, Quantity>>) -> Amounts {
    let amounts = quantities.into_iter().flatten().map(|(name, quantity)| (name.clone(), milli(quantity)));
    amounts.collect()
}

fn milli(quantity: &Quantity) -> i128 {
    let parsed = kelson_machinery::quantity::Quantity::parse(&quantity.0).ok();
    parsed.map_or(0, |quantity| match quantity.value() {
        // Beyond this a thousandth no longer fits the number; nothing so large needs one.
        whole if whole > i64::MAX / 1000 => i128::from(whole) * 1000,
        _ => i128::from(quantity.milli()),
    })
}

fn add(to: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        *to.entry(name.clone()).or_default() += amount;
    }
}

fn raise(to: &mut Amounts, at_least: &Amounts) {
    for (name, amount) in at_least {
        let present = to.entry(name.clone()).or_default();
        *present = (*present).max(*amount);
    }
}

impl Free {
    pub(super) fn of(node: &Node) -> Self {
        let status = node.status.as_ref();
        let mut allocatable = amounts_of(status.and_then(|status| status.allocatable.as_ref()));
        let room = allocatable.remove("pods").unwrap_or(0) / 1000;
        Self { left: allocatable.clone(), allocatable, room, pods: 0, ports: BTreeSet::new() }
    }

    pub(super) fn take(&mut self, request: &Request) {
        for (name, amount) in &request.amounts {
            *self.left.entry(name.clone()).or_default() -= amount;
        }
        self.pods += 1;
        self.ports.extend(request.ports.iter().cloned());
    }

    /// Two pods cannot have one port of one address; no address means all of them.
    pub(super) fn has_port_conflict(&self, request: &Request) -> bool {
        let any = |ip: &str| matches!(ip, "" | "0.0.0.0" | "::");
        let clash = |one: &Port, other: &Port| {
            one.1 == other.1 && one.2 == other.2 && (any(&one.0) || any(&other.0) || one.0 == other.0)
        };
        request.ports.iter().any(|wanted| self.ports.iter().any(|taken| clash(wanted, taken)))
    }

    /// How much of the fuller of CPU and memory would be used, in percent.
    pub(super) fn percent_used_with(&self, request: &Request) -> usize {
        let percent = |name: &str| {
            let total = self.allocatable.get(name).copied().unwrap_or(0);
            let left = self.left.get(name).copied().unwrap_or(0);
            let used = total - left + request.amounts.get(name).copied().unwrap_or(0);
            if total <= 0 { 0 } else { usize::try_from(used * 100 / total).unwrap_or(0) }
        };
        percent("cpu").max(percent("memory"))
    }
}

/// Everything that is short, in upstream's words and order: room, CPU, memory, then the rest.
pub(super) fn verdicts(free: &Free, request: &Request) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    if free.pods + 1 > free.room {
        verdicts.push(Verdict::passing("Too many pods"));
    }
    let mut short: Vec<&String> =
        request.amounts.keys().filter(|name| is_short(free, request, name)).collect();
    short.sort_by_key(|name| match name.as_str() {
        "cpu" => 0,
        "memory" => 1,
        "ephemeral-storage" => 2,
        _ => 3,
    });
    for name in short {
        let hopeless = request.amounts[name] > free.allocatable.get(name).copied().unwrap_or(0);
        let message = format!("Insufficient {name}");
        verdicts.push(if hopeless { Verdict::final_(message) } else { Verdict::passing(message) });
    }
    verdicts
}

fn is_short(free: &Free, request: &Request, name: &str) -> bool {
    request.amounts[name] > free.left.get(name).copied().unwrap_or(0)
}
