//! The pods the selector found: how many are ready, and why the others are not.

use k8s_openapi::api::core::v1::{Pod, Service};

use crate::context::Context;
use crate::reason::{self, Reason};
use crate::step::{Step, StepName};
use crate::words::count;

/// Most pods whose reason is told.
const TOLD_MAX: usize = 5;

/// The step that says how many of `found` are ready; nothing when there are none.
pub(crate) fn step(context: &Context<'_>, service: &Service, found: &[&Pod]) -> Option<Step> {
    if found.is_empty() {
        return None;
    }
    let waiting: Vec<&&Pod> = found.iter().filter(|pod| !reason::is_ready(pod)).collect();
    let ready = found.len() - waiting.len();
    let reasons: Vec<Reason> = waiting.iter().take(TOLD_MAX).map(|pod| reason::of(context, pod)).collect();
    let Some((first, more)) = reasons.split_first() else {
        let sentence = if ready == 1 { "it is ready".to_owned() } else { format!("all {ready} are ready") };
        return Some(Step::ok(StepName::Pods, sentence));
    };
    let publishes = service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses) == Some(true);
    Some(if ready > 0 || publishes {
        let verb = if found.len() == 1 { "is" } else { "are" };
        let sentence = format!("{ready} of {} {verb} ready", count(found.len(), "pod"));
        Step::warning(StepName::Pods, sentence)
            .details(reasons.iter().map(|r| r.sentence.clone()))
            .next(&first.next)
    } else if found.len() == 1 {
        Step::wrong(StepName::Pods, format!("it is not ready: {}", first.sentence), &first.next)
    } else {
        let sentence = format!("none of the {} pods is ready: {}", found.len(), first.sentence);
        Step::wrong(StepName::Pods, sentence, &first.next).details(more.iter().map(|r| r.sentence.clone()))
    })
}
