//! Which tasks are ready, due later, or under way. Each stands in it once.
//!
//! Part of `run`; knows time only as it is told. Invariant: a task woken while under way or deferred comes
//! up again exactly once when that ends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kelson_plans::Task;
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Queue {
    ready: VecDeque<Task>,
    queued: BTreeSet<Task>,
    due: BTreeSet<(Instant, Task)>,
    due_at: BTreeMap<Task, Instant>,
    /// Under way, and whether it was woken since.
    flying: BTreeMap<Task, bool>,
    deferred: BTreeSet<Task>,
}

impl Queue {
    /// The task has something to look at.
    pub(super) fn push(&mut self, task: Task) {
        if let Some(woken) = self.flying.get_mut(&task) {
            *woken = true;
        } else if !self.deferred.contains(&task) && self.queued.insert(task.clone()) {
            self.ready.push_back(task);
        }
    }

    /// The task has something to look at then, or earlier if it was so already.
    pub(super) fn push_at(&mut self, task: Task, at: Instant) {
        match self.due_at.get(&task) {
            Some(earlier) if *earlier <= at => return,
            Some(later) => {
                self.due.remove(&(*later, task.clone()));
            }
            None => {}
        }
        self.due_at.insert(task.clone(), at);
        self.due.insert((at, task));
    }

    /// What is due becomes ready.
    pub(super) fn ripen(&mut self, now: Instant) {
        while let Some((at, _)) = self.due.first()
            && *at <= now
        {
            let (_, task) = self.due.pop_first().expect("there is a first");
            self.due_at.remove(&task);
            self.push(task);
        }
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn pop(&mut self) -> Option<Task> {
        let task = self.ready.pop_front()?;
        self.queued.remove(&task);
        Some(task)
    }

    /// The task has to wait for something else; waking it in the meantime changes nothing.
    pub(super) fn defer(&mut self, task: Task) {
        self.deferred.insert(task);
    }

    /// What the task waited for has come: it is ready, if it was woken meanwhile.
    pub(super) fn undefer(&mut self, task: Task) {
        if self.deferred.remove(&task) {
            self.push(task);
        }
    }

    /// The task is under way.
    pub(super) fn fly(&mut self, task: Task) {
        self.flying.insert(task, false);
    }

    /// The task is no longer under way.
    pub(super) fn land(&mut self, task: &Task) {
        if self.flying.remove(task) == Some(true) {
            self.push(task.clone());
        }
    }
}

#[cfg(test)]
mod tests;
