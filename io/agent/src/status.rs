//! Writing a pod's status: one write at a time, of the latest status, and only when it says something new.

use crate::error::chain;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinSet;

/// First and longest pause after a write that failed.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_LONGEST: Duration = Duration::from_secs(10);
/// Bytes of last words: from the container's own file, and from its log.
const MESSAGE_MAX: u64 = 4096;
const MESSAGE_OF_LOG_MAX: u64 = 2048;

/// How a write went: what was written, and what the API made of it.
pub type Answer = (PodStatus, Result<Box<Pod>, kube::Error>);

/// The writer of one pod's status.
pub struct Writer {
    client: Client,
    flying: JoinSet<Answer>,
    /// What the API was last told, by us.
    told: Option<PodStatus>,
    /// What the API made of it, and as of which version.
    echo: Option<(PodStatus, u64)>,
    /// Since when a status waits for a better one.
    held_since: Option<Timestamp>,
    retry: Option<(Duration, Timestamp)>,
}

impl Writer {
    pub fn new(client: Client) -> Writer {
        Writer { client, flying: JoinSet::new(), told: None, echo: None, held_since: None, retry: None }
    }

    /// Whether the API says this already, though this writer does not know it did: true once for each such status.
    pub fn already_told(&mut self, status: &PodStatus, pod: &Pod) -> bool {
        let same = pod.status.as_ref() == Some(status)
            && self.told.as_ref() != Some(status)
            && self.flying.is_empty();
        if same {
            self.told = Some(status.clone());
        }
        same
    }

    /// Writes the status unless it is known, a write is in flight, or it may wait; returns when to ask again.
    pub fn offer(&mut self, pod: &Pod, status: PodStatus, hold: Option<Duration>) -> Option<Timestamp> {
        if self.told.as_ref() == Some(&status) || !self.flying.is_empty() {
            return None;
        }
        let now = kelson_process::now();
        let held_until = hold.map(|hold| later(*self.held_since.get_or_insert(now), hold));
        let retry_at = self.retry.map(|(_, at)| at);
        if let Some(until) = held_until.max(retry_at).filter(|until| now < *until) {
            return Some(until);
        }
        self.held_since = None;
        let api: Api<Pod> =
            Api::namespaced(self.client.clone(), pod.metadata.namespace.as_deref().unwrap_or_default());
        let name = pod.metadata.name.clone().unwrap_or_default();
        let patch = patch(pod, &status);
        self.flying.spawn(async move {
            let answer = api.patch_status(&name, &PatchParams::default(), &Patch::Strategic(&patch)).await;
            (status, answer.map(Box::new))
        });
        None
    }

    /// The answer to the write in flight; never, if there is none.
    pub async fn answer(&mut self) -> Answer {
        match self.flying.join_next().await {
            Some(Ok(answer)) => answer,
            _ => std::future::pending().await,
        }
    }

    /// Takes an answer in; returns the status the API now holds.
    pub fn take(&mut self, (status, answer): Answer) -> Option<PodStatus> {
        match answer {
            Ok(pod) => {
                self.retry = None;
                self.echo = pod.status.clone().map(|it| (it, version(&pod)));
                self.told = Some(status.clone());
                Some(status)
            }
            Err(kube::Error::Api(refusal)) if matches!(refusal.code, 404 | 409) => {
                tracing::debug!(%refusal, "a status was not written: the pod is gone or another");
                self.back_off();
                None
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "cannot write a pod's status; trying again");
                self.back_off();
                None
            }
        }
    }

    fn back_off(&mut self) {
        let pause = self.retry.map_or(RETRY_FIRST, |(pause, _)| (pause * 2).min(RETRY_LONGEST));
        self.retry = Some((pause, later(kelson_process::now(), pause)));
    }

    /// Somebody else changed the status after our last write: it has to be said again.
    pub fn seen(&mut self, pod: &Pod) {
        let Some((echo, at)) = &self.echo else { return };
        if version(pod) > *at && pod.status.as_ref() != Some(echo) {
            (self.told, self.echo) = (None, None);
        }
    }
}

fn version(pod: &Pod) -> u64 {
    pod.metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// The strategic merge patch that makes the API's status this one; the uid keeps it off another pod of the same name.
fn patch(pod: &Pod, status: &PodStatus) -> Value {
    let mut fields = object(status);
    let before = pod.status.as_ref().map(object).unwrap_or_default();
    for gone in before.keys().filter(|key| !fields.contains_key(*key)).cloned().collect::<Vec<_>>() {
        fields.insert(gone, Value::Null);
    }
    let mut order = Vec::new();
    for condition in fields.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        order.push(json!({"type": condition["type"]}));
        let Some(condition) = condition.as_object_mut() else { continue };
        for field in ["reason", "message"] {
            condition.entry(field).or_insert(Value::Null);
        }
    }
    fields.insert("$setElementOrder/conditions".to_owned(), Value::Array(order));
    json!({"metadata": {"uid": pod.metadata.uid}, "status": fields})
}

fn object(status: &PodStatus) -> Map<String, Value> {
    match serde_json::to_value(status) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// What a container that ended has to say: its message file, or the end of its log if it failed without a word and
/// `policy` is FallbackToLogsOnError.
pub fn last_words(message: &Path, log: &Path, policy: &str, exit_code: i32) -> String {
    let words = read_start(message);
    match words.is_empty() && policy == "FallbackToLogsOnError" && exit_code != 0 {
        true => log_text(&read_end(log)),
        false => words,
    }
}

fn read_start(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MESSAGE_MAX).read_to_end(&mut bytes));
    read.map(|_| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn read_end(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MESSAGE_OF_LOG_MAX)))?;
        file.take(MESSAGE_OF_LOG_MAX).read_to_end(&mut bytes)
    });
    read.map(|_| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The text of CRI log lines, `time stream tag text`; a line cut off at its beginning is left out.
fn log_text(lines: &str) -> String {
    lines.lines().filter_map(|line| Some(line.splitn(4, ' ').nth(3)?.to_owned() + "\n")).collect()
}
