//! Which tasks are ready, and which are due later. As `io/cluster`'s queue: the earlier of two times counts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kelson_plans::Task;

#[derive(Debug, Default)]
pub(super) struct Agenda {
    woken: BTreeSet<Task>,
    due: BTreeSet<(Timestamp, Task)>,
    due_at: BTreeMap<Task, Timestamp>,
}

impl Agenda {
    pub(super) fn wake(&mut self, task: Task) {
        self.woken.insert(task);
    }

    pub(super) fn wake_at(&mut self, task: Task, at: Timestamp) {
        match self.due_at.get(&task) {
            Some(earlier) if *earlier <= at => return,
            Some(later) => drop(self.due.remove(&(*later, task.clone()))),
            None => {}
        }
        self.due_at.insert(task.clone(), at);
        self.due.insert((at, task));
    }

    pub(super) fn ripen(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.due.first()
            && *at <= now
        {
            let (_, task) = self.due.pop_first().expect("there is a first");
            self.due_at.remove(&task);
            self.woken.insert(task);
        }
    }

    pub(super) fn woken(&self) -> impl Iterator<Item = &Task> {
        self.woken.iter()
    }

    pub(super) fn take(&mut self, task: &Task) {
        self.woken.remove(task);
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }
}
