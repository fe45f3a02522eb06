//! Events: what was done and why, as `kubectl describe` shows it.
//!
//! Beside every way: components hand reasons in and go on; one task writes them. What repeats becomes a
//! count, what is alike is combined, who talks too much about one object is cut short (upstream's three
//! rules). Invariant: telling never delays doing: the queue is bounded and what does not fit is dropped.

mod correlate;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kelson_plans::Reason;
pub use kelson_plans::Severity;
use kelson_process::Shutdown;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use serde_json::json;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use correlate::{Correlator, Write};

/// Events that may wait to be written.
const QUEUE: usize = 1024;
/// Where Events about objects without a namespace go.
const NO_NAMESPACE: &str = "default";

/// Who tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The component as upstream signs: `kubelet`, `deployment-controller` …
    pub component: String,
    /// The node it speaks from, if it does.
    pub host: Option<String>,
}

/// One thing to tell.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub source: Arc<Source>,
    pub regarding: ObjectReference,
    pub severity: Severity,
    pub reason: String,
    pub message: String,
    pub at: jiff::Timestamp,
}

/// Takes what is to be told; cheap to clone, never blocks.
#[derive(Clone, Debug)]
pub struct Recorder {
    source: Arc<Source>,
    queue: mpsc::Sender<Note>,
}

impl Recorder {
    /// Starts the task that writes Events until `shutdown`.
    pub fn start(client: kube::Client, source: Source, shutdown: Shutdown) -> Self {
        let (queue, notes) = mpsc::channel(QUEUE);
        drop(tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = write_all(client, notes) => {}
            }
        }));
        Self { source: Arc::new(source), queue }
    }

    /// The same queue under another name.
    pub fn signed(&self, component: &str) -> Self {
        let source = Source { component: component.to_owned(), host: self.source.host.clone() };
        Self { source: Arc::new(source), queue: self.queue.clone() }
    }

    /// Tells something about an object.
    pub fn tell(
        &self,
        regarding: ObjectReference,
        severity: Severity,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) {
        let note = Note {
            source: self.source.clone(),
            regarding,
            severity,
            reason: reason.into(),
            message: message.into(),
            at: kelson_process::now(),
        };
        if let Err(error) = self.queue.try_send(note) {
            debug!(%error, "an event is dropped");
        }
    }

    pub(crate) fn record(&self, reason: &Reason, message: &str) {
        self.tell(reason.regarding.clone(), reason.severity, reason.reason, message);
    }
}

async fn write_all(client: kube::Client, mut notes: mpsc::Receiver<Note>) {
    let mut correlator = Correlator::default();
    while let Some(note) = notes.recv().await {
        let namespace = note.regarding.namespace.clone().filter(|namespace| !namespace.is_empty());
        let namespace = namespace.unwrap_or_else(|| NO_NAMESPACE.to_owned());
        let api = kube::Api::<Event>::namespaced(client.clone(), &namespace);
        let Some(write) = correlator.add(&note) else { continue };
        if let Err(error) = write_one(&api, &namespace, &note, write).await {
            log_refusal(&note, &error);
        }
    }
}

async fn write_one(api: &kube::Api<Event>, namespace: &str, note: &Note, write: Write) -> kube::Result<()> {
    if let Write::Again { name, count, message, .. } = &write {
        let patch = json!({"count": count, "lastTimestamp": Time(note.at), "message": message});
        match api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
            // It has expired since it was first told.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            answer => return answer.map(drop),
        }
    }
    api.create(&PostParams::default(), &event(namespace, note, &write)).await.map(drop)
}

fn event(namespace: &str, note: &Note, write: &Write) -> Event {
    let (name, count, message, first) = write.parts();
    let severity = match note.severity {
        Severity::Normal => "Normal",
        Severity::Warning => "Warning",
    };
    Event {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: note.regarding.clone(),
        reason: Some(note.reason.clone()),
        message: Some(message.to_owned()),
        source: Some(EventSource {
            component: Some(note.source.component.clone()),
            host: note.source.host.clone(),
        }),
        first_timestamp: Some(Time(first)),
        last_timestamp: Some(Time(note.at)),
        count: Some(count),
        type_: Some(severity.to_owned()),
        reporting_component: Some(note.source.component.clone()),
        reporting_instance: Some(note.source.host.clone().unwrap_or_default()),
        ..Event::default()
    }
}

/// That a namespace is gone or going is no news.
fn log_refusal(note: &Note, error: &kube::Error) {
    if matches!(error, kube::Error::Api(status) if [403, 404, 409].contains(&status.code)) {
        debug!(%error, reason = note.reason, "an event was not taken");
        return;
    }
    let error = error as &dyn std::error::Error;
    warn!(error, reason = note.reason, "cannot write an event");
}
