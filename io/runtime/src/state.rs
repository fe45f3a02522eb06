//! What became of a container: the answer, as the shim records it on disk before anybody hears of it.
//!
//! The file is written whole beside the old one and renamed over it, so a reader finds one state or the other.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::io::Write;
use std::path::Path;

/// The exit code of a container whose shim vanished: nobody can know the real one (containerd reports the same).
pub const EXIT_UNKNOWN: i32 = 255;

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Configured; no process yet.
    #[default]
    Created,
    Running,
    /// Its first process ended, or could not be started (then `message` says why).
    Exited,
}

/// One container's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    pub id: String,
    pub name: String,
    pub phase: Phase,
    /// In kelson's pid namespace; 0 unless running.
    pub pid: i32,
    #[serde(with = "stamp")]
    pub created_at: Option<Timestamp>,
    #[serde(with = "stamp")]
    pub started_at: Option<Timestamp>,
    #[serde(with = "stamp")]
    pub finished_at: Option<Timestamp>,
    /// 128 + signal when a signal ended it.
    pub exit_code: i32,
    /// The signal that ended the first process, 0 if none.
    pub signal: i32,
    /// The kernel killed a process of the container for memory, and the first process did not survive it.
    pub oom_killed: bool,
    /// Why it could not be started or was lost.
    pub message: String,
}

/// Timestamps as RFC 3339 text; absent as null.
mod stamp {
    use super::*;

    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, out: S) -> Result<S::Ok, S::Error> {
        at.map(|at| at.to_string()).serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(input)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
    }
}

impl ContainerState {
    /// The same container after its shim vanished: whatever still ran is over, with an unknown exit code.
    pub(crate) fn lost(mut self, at: Timestamp) -> Self {
        if self.phase == Phase::Running {
            self.phase = Phase::Exited;
            self.pid = 0;
            self.exit_code = EXIT_UNKNOWN;
            self.finished_at = Some(at);
            self.message = "the process that kept the container is gone".into();
        }
        self
    }
}

/// Writes `value` to `path` so that a crash leaves the old content or the new.
pub(crate) fn write_whole(path: &Path, value: &impl Serialize) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    std::fs::rename(&beside, path)
}

/// Reads what [`write_whole`] wrote.
pub(crate) fn read_whole<T: serde::de::DeserializeOwned>(path: &Path) -> std::io::Result<T> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}
