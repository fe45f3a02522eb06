//! The disruption budget of a pod: found by its selector, asked, and charged.
//!
//! Invariant: what is charged is what was read. `plans/disruption` keeps the figures.

use kelson_machinery::selector::LabelSelector;
use kelson_machinery::status::{GroupName, Reason, Status};
use kelson_machinery::{Object, meta, time};
use kelson_registry::Kind;
use serde_json::{Value, json};

use crate::bootstrap;
use crate::objects;
use crate::state::Call;
use crate::verbs::update::{Mode, change};

/// Evictions that may be granted and not yet noticed.
const GRANTED_MAX: usize = 2000;
/// Most budgets of a namespace that are looked through.
const BUDGETS_MAX: usize = 10_000;
const REFUSAL: &str = "Cannot evict pod as it would violate the pod's disruption budget.";
const CAUSE: &str = "DisruptionBudget";
const CONDITION: &str = "DisruptionAllowed";

/// What a budget says to an eviction.
pub(super) enum Word {
    /// It has been charged, or there is none.
    Granted,
    /// The pod is not ready, and so no loss as long as it stays so.
    Unhealthy { budget: String },
}

/// Asks the budget of the pod; the error is upstream's refusal.
pub(super) async fn ask(call: &Call, pod: &Object, dry_run: bool) -> Result<Word, Status> {
    let budgets = of(call, pod).await?;
    let budget = match budgets.as_slice() {
        [] => return Ok(Word::Granted),
        [budget] => budget,
        _ => {
            let why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Status::new(500, Reason::Unknown, why));
        }
    };
    if !is_ready(pod) && lets_unhealthy_go(budget) {
        return Ok(Word::Unhealthy { budget: meta::name(budget).to_owned() });
    }
    let own =
        bootstrap::call(&call.core, "poddisruptionbudgets", meta::namespace(budget), meta::name(budget))?;
    change(&own, Mode::Internal, dry_run, |old| charged(old, meta::name(pod), &time::seconds(call.now)))
        .await?;
    Ok(Word::Granted)
}

/// Whether the pod has the condition Ready.
pub(super) fn is_ready(pod: &Object) -> bool {
    let conditions = meta::get_list(pod, &["status", "conditions"]).iter();
    conditions.into_iter().any(|it| it["type"] == "Ready" && it["status"] == "True")
}

/// The refusal of who asks before the budget's figures are up to date.
pub(super) fn in_progress(budget: &str) -> Status {
    let why = format!("The disruption budget {budget} is still being processed by the server.");
    Status::too_many_requests(REFUSAL, 10).cause(CAUSE, &why, "")
}

async fn of(call: &Call, pod: &Object) -> Result<Vec<Object>, Status> {
    let prefix = objects::prefix(kind(), Some(call.namespace()));
    let listed = call.core.store.list(&prefix, None, BUDGETS_MAX).await.map_err(objects::store_failure)?;
    let budgets: Result<Vec<Object>, Status> =
        listed.entries.iter().map(|entry| objects::decode(entry)).collect();
    Ok(budgets?.into_iter().filter(|budget| covers(budget, pod)).collect())
}

fn kind() -> &'static Kind {
    kelson_registry::resolve("policy", "v1", "poddisruptionbudgets")
        .map(|(kind, _)| kind)
        .expect("the registry declares PodDisruptionBudget")
}

/// Here a budget without a selector, or with an empty one, covers nothing.
fn covers(budget: &Object, pod: &Object) -> bool {
    let selector = &budget["spec"]["selector"];
    let selector = LabelSelector::from_json(selector).ok().filter(|_| selector.is_object());
    selector.is_some_and(|selector| !selector.is_everything() && selector.matches_object(pod))
}

fn lets_unhealthy_go(budget: &Object) -> bool {
    let (healthy, desired) = (figure(budget, "currentHealthy"), figure(budget, "desiredHealthy"));
    budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow" || healthy >= desired && desired > 0
}

fn figure(budget: &Object, field: &str) -> i64 {
    meta::get_i64(budget, &["status", field]).unwrap_or_default()
}

/// The budget after one more eviction.
fn charged(budget: &Object, pod: &str, now: &str) -> Result<Object, Status> {
    let name = meta::name(budget);
    if figure(budget, "observedGeneration") < meta::generation(budget) {
        return Err(in_progress(name));
    }
    let forbidden = |why| Err(Status::forbidden(&GroupName::new("policy", "poddisruptionbudget"), name, why));
    let allowed = figure(budget, "disruptionsAllowed");
    if allowed < 0 {
        return forbidden("pdb disruptions allowed is negative");
    }
    if budget["status"]["disruptedPods"].as_object().is_some_and(|pods| pods.len() > GRANTED_MAX) {
        return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
    }
    if allowed == 0 {
        return Err(Status::too_many_requests(REFUSAL, 0).cause(CAUSE, &why_not(budget), ""));
    }
    let mut after = budget.clone();
    meta::set(&mut after, &["status", "disruptionsAllowed"], allowed - 1);
    meta::set(&mut after, &["status", "disruptedPods", pod], now);
    if allowed == 1 {
        exhaust(&mut after, now);
    }
    Ok(after)
}

fn why_not(budget: &Object) -> String {
    let name = meta::name(budget);
    let conditions = meta::get_list(budget, &["status", "conditions"]).iter();
    let failed = conditions.into_iter().find(|it| it["type"] == CONDITION && it["reason"] == "SyncFailed");
    match failed {
        Some(condition) => format!(
            "The disruption budget {name} does not allow evicting pods currently because it failed sync: {}",
            meta::get_str(condition, &["message"])
        ),
        None => format!(
            "The disruption budget {name} needs {} healthy pods and has {} currently",
            figure(budget, "desiredHealthy"),
            figure(budget, "currentHealthy")
        ),
    }
}

/// The condition says that nothing is left.
fn exhaust(budget: &mut Object, now: &str) {
    let condition = json!({"type": CONDITION, "status": "False", "reason": "InsufficientPods", "message": "",
        "lastTransitionTime": now, "observedGeneration": figure(budget, "observedGeneration")});
    let conditions = meta::entry(budget, &["status", "conditions"]);
    match conditions.as_array_mut() {
        Some(list) => {
            list.retain(|known| known["type"] != CONDITION);
            list.push(condition);
        }
        None => *conditions = Value::Array(vec![condition]),
    }
}
