//! One name of the zone: its record sets, ready to be copied into an answer.

use crate::records::RecordSet;

/// Records that go with an answer in its additional section, owners included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extra {
    /// Each record, complete.
    pub records: Box<[Box<[u8]>]>,
}

/// A name that exists. Without sets it only says that the name exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    sets: Box<[RecordSet]>,
    /// Address records of SRV targets.
    pub extra: Extra,
}

impl Node {
    /// A node of these sets; empty ones are left out.
    pub fn new(sets: impl IntoIterator<Item = RecordSet>) -> Self {
        Self { sets: sets.into_iter().filter(|set| set.count > 0).collect(), extra: Extra::default() }
    }

    /// The records of type `rtype`.
    pub fn set(&self, rtype: u16) -> Option<&RecordSet> {
        self.sets.iter().find(|set| set.rtype == rtype)
    }
}
