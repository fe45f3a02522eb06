//! Jobs at every moment: no more pods than in parallel, no success that there was not, none counted twice.

use std::collections::{BTreeMap, BTreeSet};

use kelson_machinery::meta;
use kelson_plans::Key;

use super::{Judgement, is_active, is_over, owner, phase};
use crate::api::{Api, Stored, Write};
use crate::world::resource;

/// Holds a job's pod until it is counted.
pub(crate) const TRACKING: &str = "batch.kubernetes.io/job-tracking";

#[derive(Default)]
struct Tally {
    /// The most that could run at once, ever.
    parallelism: i64,
    waits_for_failure: bool,
    /// Pods that have succeeded, by uid.
    succeeded: BTreeSet<String>,
    /// Pods that have failed or were asked to go.
    lost: BTreeSet<String>,
}

/// All jobs ever, by uid.
#[derive(Default)]
pub(super) struct Jobs(BTreeMap<String, Tally>);

impl Jobs {
    pub(super) fn succeeded(&self, job: &str) -> usize {
        self.0.get(job).map_or(0, |tally| tally.succeeded.len())
    }

    /// A job's counts are of pods that there were.
    pub(super) fn job(&mut self, write: &Write) -> Judgement {
        let Some(job) = &write.after else { return Ok(()) };
        let tally = self.0.entry(meta::uid(job).to_owned()).or_default();
        let number = |path: [&str; 2]| meta::get_i64(job, &path).unwrap_or(0);
        tally.parallelism = tally.parallelism.max(number(["spec", "parallelism"]));
        tally.waits_for_failure = meta::get_str(job, &["spec", "podReplacementPolicy"]) == "Failed";
        let (succeeded, failed) = (number(["status", "succeeded"]), number(["status", "failed"]));
        // Whom it heard to be asked to go, and not yet to have succeeded, it puts down as failed; as upstream, that stands.
        for uid in written_off(job) {
            if tally.lost.contains(uid) {
                tally.succeeded.remove(uid);
            }
        }
        if succeeded > tally.succeeded.len() as i64 || failed > tally.lost.len() as i64 {
            return Err(format!(
                "{} counts {succeeded} and {failed}, but {} have succeeded and {} been lost: {}",
                write.place.key,
                tally.succeeded.len(),
                tally.lost.len(),
                **job
            ));
        }
        Ok(())
    }

    /// A pod of a job was made, moved on, or went.
    pub(super) fn pod(&mut self, write: &Write, api: &Api, spoilt: &BTreeSet<String>) -> Judgement {
        let Some(pod) = write.after.as_ref().or(write.before.as_ref()) else { return Ok(()) };
        let Some(job) = owner(pod) else { return Ok(()) };
        let Some(tally) = self.0.get_mut(job) else { return Ok(()) };
        let uid = meta::uid(pod).to_owned();
        if phase(pod) == "Succeeded" {
            // What the job has let go before counts no more, whichever way it ends.
            if meta::finalizers(pod).contains(&TRACKING) && !is_written_off(pod, &write.place.key, api) {
                tally.succeeded.insert(uid);
            }
        } else if phase(pod) == "Failed" || meta::deletion_timestamp(pod).is_some() {
            tally.lost.insert(uid);
        }
        if write.before.is_some() || spoilt.contains(job) {
            return Ok(());
        }
        let pods = api.all(&resource("pods")).filter(|(_, pod)| owner(pod) == Some(job));
        let running =
            pods.filter(|(_, pod)| if tally.waits_for_failure { !is_over(pod) } else { is_active(pod) });
        let running = running.count() as i64;
        match running > tally.parallelism {
            true => Err(format!(
                "{} is the {running}th at once of its job: {:?}",
                write.place.key, tally.parallelism
            )),
            false => Ok(()),
        }
    }
}

/// Whether its job has put a pod down as failed already, when it was asked to go.
fn is_written_off(pod: &Stored, key: &Key, api: &Api) -> bool {
    let job = meta::get_str(&pod["metadata"]["ownerReferences"][0], &["name"]);
    let job = api.get(&resource("jobs"), &Key::new(&key.namespace, job));
    job.is_some_and(|job| written_off(job).any(|uid| uid == meta::uid(pod)))
}

/// The pods that a job puts down as failed. An index is completed by a pod's success whatever else the job says of it.
fn written_off(job: &Stored) -> impl Iterator<Item = &str> {
    let indexed = meta::get_str(job, &["spec", "completionMode"]) == "Indexed";
    let failed = meta::get_list(job, &["status", "uncountedTerminatedPods", "failed"]).iter();
    failed.filter(move |_| !indexed).filter_map(|uid| uid.as_str())
}
