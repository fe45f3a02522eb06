//! Requests and limits: as cgroup figures, and as the downward API gives them.
//!
//! The arithmetic is the kubelet's (`MilliCPUToShares`, `MilliCPUToQuota`, OOM scores by quality of service).

use crate::spec;
use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};
use kelson_machinery::quantity::Quantity;

/// Bounds of a cgroup; None leaves the kernel's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cgroup {
    /// cgroup v1 `cpu.shares`.
    pub cpu_shares: u64,
    /// Microseconds of CPU in each period.
    pub cpu_quota_us: Option<i64>,
    /// Bytes.
    pub memory_limit: Option<i64>,
    /// −1000 to 1000.
    pub oom_score_adj: i32,
}

/// The period every quota is counted in.
pub const CPU_PERIOD_US: u64 = 100_000;
const SHARES_MIN: i64 = 2;
const SHARES_MAX: i64 = 262_144;
const QUOTA_MIN_US: i64 = 1000;
const OOM_GUARANTEED: i64 = -997;
const OOM_BEST_EFFORT: i64 = 1000;

/// The bounds of one container. `node_memory` is the node's capacity in bytes.
pub fn of_container(pod: &Pod, container: &Container, node_memory: i64) -> Cgroup {
    let cpu_limit = amount(container, Side::Limits, "cpu").map(|it| it.milli()).unwrap_or(0);
    let cpu_request = amount(container, Side::Requests, "cpu").map_or(cpu_limit, |it| it.milli());
    let memory = amount(container, Side::Limits, "memory").map(|it| it.value()).filter(|bytes| *bytes > 0);
    Cgroup {
        cpu_shares: shares(cpu_request),
        cpu_quota_us: quota(cpu_limit),
        memory_limit: memory,
        oom_score_adj: oom_score(pod, container, node_memory),
    }
}

/// The bounds of all containers together; a limit holds only if every container has one.
pub fn of_pod(pod: &Pod, node_memory: i64) -> Cgroup {
    let containers = spec::main_containers(pod);
    let each: Vec<Cgroup> = containers.iter().map(|it| of_container(pod, it, node_memory)).collect();
    let sum = |pick: fn(&Cgroup) -> Option<i64>| {
        each.iter().map(pick).sum::<Option<i64>>().filter(|_| !each.is_empty())
    };
    let requests = containers.iter().map(|it| {
        amount(it, Side::Requests, "cpu").or(amount(it, Side::Limits, "cpu")).map_or(0, |it| it.milli())
    });
    Cgroup {
        cpu_shares: shares(requests.sum()),
        cpu_quota_us: sum(|it| it.cpu_quota_us),
        memory_limit: sum(|it| it.memory_limit),
        oom_score_adj: 0,
    }
}

fn shares(milli: i64) -> u64 {
    let shares = milli.saturating_mul(1024) / 1000;
    u64::try_from(shares.clamp(SHARES_MIN, SHARES_MAX)).expect("clamped to a positive range")
}

fn quota(milli: i64) -> Option<i64> {
    let period = i64::try_from(CPU_PERIOD_US).expect("a small constant");
    (milli > 0).then(|| (milli.saturating_mul(period) / 1000).max(QUOTA_MIN_US))
}

fn oom_score(pod: &Pod, container: &Container, node_memory: i64) -> i32 {
    let class = pod.spec.as_ref().map(spec::qos_class).unwrap_or("BestEffort");
    let request = amount(container, Side::Requests, "memory").map_or(0, |it| it.value());
    let share = i128::from(request) * 1000 / i128::from(node_memory.max(1));
    let burstable = i64::try_from(1000 - share).unwrap_or(0);
    let score = match class {
        "Guaranteed" => OOM_GUARANTEED,
        "BestEffort" => OOM_BEST_EFFORT,
        _ => burstable.clamp(1000 + OOM_GUARANTEED, OOM_BEST_EFFORT - 1),
    };
    i32::try_from(score).expect("between -1000 and 1000")
}

#[derive(Clone, Copy)]
enum Side {
    Requests,
    Limits,
}

/// A request or limit, if it is given and can be read.
fn amount(container: &Container, side: Side, name: &str) -> Option<Quantity> {
    let resources = container.resources.as_ref()?;
    let side = match side {
        Side::Requests => &resources.requests,
        Side::Limits => &resources.limits,
    };
    Quantity::parse(&side.as_ref()?.get(name)?.0).ok()
}

/// `resourceFieldRef`: the amount over the divisor, rounded up; an absent limit is what the node has.
pub fn field(
    pod: &Pod,
    own: &Container,
    selector: &ResourceFieldSelector,
    node_cpu_milli: i64,
    node_memory: i64,
) -> Result<String, String> {
    let container = match selector.container_name.as_deref().filter(|name| !name.is_empty()) {
        None => own,
        Some(name) => spec::container(pod, name).ok_or_else(|| format!("container {name} not found"))?,
    };
    let unsupported = || format!("unsupported container resource : {}", selector.resource);
    let (side, name) = match selector.resource.split_once('.') {
        Some(("limits", name)) => (Side::Limits, name),
        Some(("requests", name)) => (Side::Requests, name),
        _ => return Err(unsupported()),
    };
    let written = selector.divisor.as_ref().map_or("1", |it| it.0.as_str());
    let divisor = Quantity::parse(if written == "0" || written.is_empty() { "1" } else { written })
        .map_err(|error| error.to_string())?;
    let given = amount(container, side, name).filter(|it| !it.is_zero());
    let limits = matches!(side, Side::Limits);
    let (amount, divisor) = match name {
        "cpu" => (given.map_or(if limits { node_cpu_milli } else { 0 }, |it| it.milli()), divisor.milli()),
        "memory" => (given.map_or(if limits { node_memory } else { 0 }, |it| it.value()), divisor.value()),
        name if name == "ephemeral-storage" || name.starts_with("hugepages-") => {
            (given.map_or(0, |it| it.value()), divisor.value())
        }
        _ => return Err(unsupported()),
    };
    let divisor = divisor.max(1);
    Ok(((amount + divisor - 1) / divisor).to_string())
}
