//! Runs that are no longer of use: all but the latest and the one before it, which `kubectl logs --previous` shows.
//!
//! Never removes a run that is alive, nor one whose end is still to be told.

use crate::decision::{Action, Draft};
use crate::life::Life;
use k8s_openapi::api::core::v1::Pod;

/// Ended runs that are kept beside the latest.
const KEPT: usize = 1;

pub(crate) fn step(life: &mut Life, _pod: &Pod, draft: &mut Draft) {
    for (name, memory) in &mut life.containers {
        let surplus = memory.runs.len().saturating_sub(KEPT + 1);
        for run in memory.runs.iter().take(surplus).filter(|run| run.running_since().is_none()) {
            if !memory.removing.contains(&run.id) {
                memory.removing.push(run.id.clone());
                draft.act(Action::Remove { container: name.clone(), id: run.id.clone() });
            }
        }
    }
}
