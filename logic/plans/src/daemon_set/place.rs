//! One node as a DaemonSet sees it: which pods it has, and which it should have (H5.1, H5.4, H5.7).

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Node, Pod};

use super::Sight;
use super::nodes::{self, Eligible};
use crate::plan::Reason;
use crate::pod;

/// A node and the set's pods on it.
pub(super) struct Place<'a> {
    pub node: &'a Arc<Node>,
    pub eligible: Eligible,
    /// The bound first, then the older first.
    pub pods: Vec<&'a Arc<Pod>>,
}

/// A node's pod of the new revision, and its pod of an old one.
pub(super) type Pair<'a> = (Option<&'a Arc<Pod>>, Option<&'a Arc<Pod>>);

/// What all nodes together ask for.
#[derive(Default)]
pub(super) struct Wanted<'a> {
    pub create: Vec<&'a str>,
    pub delete: Vec<&'a Arc<Pod>>,
    pub reasons: Vec<Reason>,
    pub again: Option<SignedDuration>,
}

impl<'a> Place<'a> {
    pub(super) fn new(sight: &Sight, node: &'a Arc<Node>, mut pods: Vec<&'a Arc<Pod>>) -> Self {
        pods.sort_by_key(|pod| {
            let made = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (Reverse(pod::node(pod).is_some()), made, pod.metadata.name.clone())
        });
        Self { node, eligible: nodes::eligible(sight.set, node), pods }
    }

    pub(super) fn name(&self) -> &'a str {
        self.node.metadata.name.as_deref().unwrap_or_default()
    }

    /// Brings the node to what it should have, whatever the update wants.
    pub(super) fn settle(&self, sight: &Sight, wanted: &mut Wanted<'a>) {
        let Eligible { start, stay } = self.eligible;
        if !stay {
            wanted.delete.extend(self.pods.iter().filter(|pod| !pod::is_deleting(pod)));
        } else if self.pods.is_empty() {
            wanted.create.extend(start.then_some(self.name()));
        } else {
            let lasting = self.lasting(sight, wanted);
            match sight.surges() {
                false => wanted.delete.extend(lasting.iter().skip(1)),
                true if lasting.is_empty() => wanted.create.extend(start.then_some(self.name())),
                true => self.trim(sight, &lasting, wanted),
            }
        }
    }

    /// The pods that go on; those that ended are to be replaced.
    fn lasting(&self, sight: &Sight, wanted: &mut Wanted<'a>) -> Vec<&'a Arc<Pod>> {
        let mut lasting = Vec::new();
        for pod in self.pods.iter().filter(|pod| !pod::is_deleting(pod)) {
            match pod::phase(pod) {
                "Failed" => self.replace_failed(sight, pod, wanted),
                "Succeeded" => {
                    let message =
                        format!("Found succeeded daemon pod {}, will try to delete it", self.describe(pod));
                    wanted.reasons.push(Reason::normal(sight.set, "SucceededDaemonPod", message));
                    wanted.delete.push(pod);
                }
                _ => lasting.push(*pod),
            }
        }
        lasting
    }

    fn replace_failed(&self, sight: &Sight, pod: &'a Arc<Pod>, wanted: &mut Wanted<'a>) {
        if let Some(wait) = sight.view.daemon_failures.wait(sight.set, self.name(), sight.now) {
            wanted.again = Some(wanted.again.map_or(wait, |again| again.min(wait)));
            return;
        }
        let message = format!("Found failed daemon pod {}, will try to kill it", self.describe(pod));
        wanted.reasons.push(Reason::warning(sight.set, "FailedDaemonPod", message));
        wanted.delete.push(pod);
    }

    fn describe(&self, pod: &Pod) -> String {
        format!("{} on node {}", crate::key::Key::of(&pod.metadata), self.name())
    }

    /// Surging, a node has one new and one old pod until the new can do without the old.
    fn trim(&self, sight: &Sight, lasting: &[&'a Arc<Pod>], wanted: &mut Wanted<'a>) {
        let (new, old): (Vec<&Arc<Pod>>, Vec<&Arc<Pod>>) =
            lasting.iter().copied().partition(|pod| sight.is_new(pod));
        wanted.delete.extend(new.iter().skip(1).chain(old.iter().skip(1)));
        if let (Some(new), Some(old)) = (new.first(), old.first())
            && (!pod::is_ready(old) || sight.is_available(new))
        {
            wanted.delete.push(old);
        }
    }

    /// The one pod of the new revision and the one of an old; `None` if there are more, which settling will see to.
    pub(super) fn pair(&self, sight: &Sight) -> Option<Pair<'a>> {
        let lasting = self.pods.iter().copied().filter(|pod| !pod::is_deleting(pod));
        let (new, old): (Vec<&Arc<Pod>>, Vec<&Arc<Pod>>) = lasting.partition(|pod| sight.is_new(pod));
        (new.len() <= 1 && old.len() <= 1).then(|| (new.first().copied(), old.first().copied()))
    }
}
