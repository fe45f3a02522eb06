//! The replicas of a StatefulSet in their order, and those too many (H4.2–H4.4, H4.6).
//!
//! Invariant: in the default order the first replica that is not as it should be stops everything behind it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::Pod;

use super::{Sight, Spec as _, claims, identity, is_available, is_running_and_available};
use crate::plan::{Action, Ending, Plan, Reason, Step};
use crate::pod;
use crate::replica_set::slow_start;

/// Pods made in one plan at most.
const BURST: usize = 500;

/// One place among the replicas.
pub(super) struct Replica<'a> {
    pub ordinal: i32,
    pub pod: Option<&'a Arc<Pod>>,
}

/// The pods of a set, sorted into wanted places and pods too many.
pub(super) struct Replicas<'a> {
    sight: &'a Sight<'a>,
    /// By ordinal.
    pub places: Vec<Replica<'a>>,
    /// The highest ordinal first.
    condemned: Vec<(i32, &'a Arc<Pod>)>,
}

/// What a look at one replica asks for.
#[derive(Default)]
struct Asked {
    first: Vec<Step>,
    then: Option<Step>,
    stop: bool,
}

impl<'a> Replicas<'a> {
    pub(super) fn of(sight: &'a Sight<'a>) -> Self {
        let set = sight.set;
        let range = set.first_ordinal()..set.first_ordinal().saturating_add(set.wanted());
        let (mut wanted, mut condemned) = (BTreeMap::new(), Vec::new());
        for pod in &sight.pods {
            match identity::ordinal(set, pod) {
                Some(ordinal) if range.contains(&ordinal) => drop(wanted.insert(ordinal, *pod)),
                Some(ordinal) => condemned.push((ordinal, *pod)),
                None => {}
            }
        }
        let places = places(range, wanted);
        condemned.sort_by_key(|(ordinal, _)| Reverse(*ordinal));
        Self { sight, places, condemned }
    }

    /// Brings the replicas forward as far as their order lets it; whether something stands in the update's way.
    pub(super) fn advance(&self, plan: &mut Plan) -> bool {
        let parallel = self.sight.set.is_parallel();
        let (mut first, mut then) = (Vec::new(), Vec::new());
        let mut stopped = false;
        for place in &self.places {
            let asked = self.look(place, parallel);
            first.extend(asked.first);
            then.extend(asked.then);
            if asked.stop && !parallel {
                stopped = true;
                break;
            }
        }
        plan.stage(first);
        let count = then.len();
        let mut then = then.into_iter();
        plan.stages.extend(slow_start(count, || then.next().expect("there are as many as were counted")));
        stopped || self.shrink(plan, parallel)
    }

    fn look(&self, place: &Replica<'a>, parallel: bool) -> Asked {
        let Sight { view, set, now, .. } = self.sight;
        let Some(pod) = place.pod else {
            if claims::are_stale(view, set, place.ordinal) {
                return Asked { stop: true, ..Asked::default() };
            }
            let first = claims::missing(view, set, place.ordinal);
            return Asked { first, then: Some(self.create(place.ordinal)), stop: true };
        };
        if pod::is_terminal(pod) {
            let then = (!pod::is_deleting(pod)).then(|| delete(set, pod));
            return Asked { then, stop: true, ..Asked::default() };
        }
        let mut first = Vec::new();
        if pod::phase(pod) == "Pending" && !pod::is_deleting(pod) {
            first = claims::missing(view, set, place.ordinal);
        }
        if !parallel && !is_available(pod, set, *now) {
            return Asked { first, stop: true, ..Asked::default() };
        }
        let mut named = pod.as_ref().clone();
        identity::label(set, &mut named, place.ordinal);
        first.extend(Action::patch(pod.as_ref(), &named).map(Step::from));
        first.extend(claims::retain(view, set, pod, place.ordinal));
        Asked { first, ..Asked::default() }
    }

    /// Deletes pods that are too many, the highest first; whether the update has to wait for it.
    fn shrink(&self, plan: &mut Plan, parallel: bool) -> bool {
        let Sight { view, set, .. } = self.sight;
        let (mut retained, mut deleted) = (Vec::new(), Vec::new());
        let mut stopped = false;
        for (ordinal, pod) in &self.condemned {
            let deleting = pod::is_deleting(pod);
            if !parallel && (deleting || !self.may_go(pod)) {
                stopped = true;
                break;
            }
            if !deleting {
                retained.extend(claims::retain(view, set, pod, *ordinal));
                deleted.push(delete(set, pod));
            }
            if !parallel {
                stopped = true;
                break;
            }
        }
        plan.stage(retained);
        plan.stage(deleted);
        stopped
    }

    /// One at a time: while any pod is not available, only the first such one may go.
    fn may_go(&self, pod: &Arc<Pod>) -> bool {
        let Sight { set, now, .. } = self.sight;
        let bad = |pod: &&Arc<Pod>| !is_available(pod, set, *now);
        let wanted = self.places.iter().filter_map(|place| place.pod);
        let first_bad = wanted.chain(self.condemned.iter().rev().map(|(_, pod)| *pod)).find(bad);
        is_running_and_available(pod, set, *now)
            || first_bad.is_some_and(|bad| bad.metadata.uid == pod.metadata.uid)
    }

    fn create(&self, ordinal: i32) -> Step {
        let set = self.sight.set;
        let pod = identity::pod(set, self.revision_for(ordinal), ordinal);
        let (name, owner) = (identity::pod_name(set, ordinal), owner_name(set));
        let done = format!("create Pod {name} in StatefulSet {owner} successful");
        let failed = format!("create Pod {name} in StatefulSet {owner} failed error: ");
        Step::from(Action::create(&pod))
            .done(Reason::normal(set, "SuccessfulCreate", done))
            .failed(Reason::warning(set, "FailedCreate", failed).ending(Ending::Refusal))
    }

    /// A pod below the partition comes back as it was (H4.5).
    fn revision_for(&self, ordinal: i32) -> &ControllerRevision {
        let Sight { set, current, update, .. } = self.sight;
        let strategy = set.spec.update_strategy.as_ref();
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let counted = set.status.as_ref().and_then(|status| status.current_replicas).unwrap_or(0);
        let below = match rolling {
            Some(_) => set.partition(),
            None if set.updates_on_delete() => 0,
            None => counted,
        };
        if ordinal - set.first_ordinal() < below { current } else { update }
    }
}

/// Every place up to so many empty ones, and those behind that are taken: a set may want more than there is memory for.
fn places<'a>(range: Range<i32>, mut pods: BTreeMap<i32, &'a Arc<Pod>>) -> Vec<Replica<'a>> {
    let mut places = Vec::new();
    let mut empty = 0;
    for ordinal in range {
        let pod = pods.remove(&ordinal);
        empty += usize::from(pod.is_none());
        places.push(Replica { ordinal, pod });
        if empty == BURST {
            break;
        }
    }
    places.extend(pods.into_iter().map(|(ordinal, pod)| Replica { ordinal, pod: Some(pod) }));
    places
}

fn owner_name(set: &StatefulSet) -> &str {
    set.metadata.name.as_deref().unwrap_or_default()
}

pub(super) fn delete(set: &StatefulSet, pod: &Pod) -> Step {
    let (name, owner) = (pod.metadata.name.as_deref().unwrap_or_default(), owner_name(set));
    let done = format!("delete Pod {name} in StatefulSet {owner} successful");
    let failed = format!("delete Pod {name} in StatefulSet {owner} failed error: ");
    Step::from(Action::delete(pod))
        .done(Reason::normal(set, "SuccessfulDelete", done))
        .failed(Reason::warning(set, "FailedDelete", failed).ending(Ending::Refusal))
}
