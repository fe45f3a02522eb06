//! The few counters dashboards look for, in Prometheus text and under upstream's names.
//!
//! Label values come from the registry and fixed sets alone, so their number is bounded. Never counts objects.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// The labels of one counter of requests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Labels {
    verb: &'static str,
    group: &'static str,
    version: &'static str,
    resource: &'static str,
    subresource: &'static str,
    code: u16,
}

/// Counters of one server.
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<Labels, u64>>,
    watches: AtomicI64,
    started: Timestamp,
}

/// What was asked for, as labels.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    pub verb: &'static str,
    pub group: &'static str,
    pub version: &'static str,
    pub resource: &'static str,
    pub subresource: &'static str,
}

impl Metrics {
    /// Counters that begin now.
    pub fn new(started: Timestamp) -> Self {
        Self { requests: Mutex::default(), watches: AtomicI64::new(0), started }
    }

    /// Counts an answered request.
    pub fn answered(&self, asked: Asked, code: u16) {
        let Asked { verb, group, version, resource, subresource } = asked;
        let labels = Labels { verb, group, version, resource, subresource, code };
        *self
            .requests
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .entry(labels)
            .or_default() += 1;
    }

    /// Counts a watch as open for as long as the guard lives.
    pub fn watching(self: &std::sync::Arc<Self>) -> Watching {
        self.watches.fetch_add(1, Ordering::Relaxed);
        Watching(self.clone())
    }

    /// The text of `/metrics`.
    pub fn text(&self, reads: usize, writes: usize, revision: u64) -> String {
        let mut out = String::from(
            "# HELP apiserver_request_total Counter of apiserver requests broken out for each verb, resource and HTTP response code.\n\
             # TYPE apiserver_request_total counter\n",
        );
        for (labels, count) in self.requests.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter()
        {
            let Labels { verb, group, version, resource, subresource, code } = labels;
            let _ = writeln!(
                out,
                "apiserver_request_total{{code=\"{code}\",group=\"{group}\",resource=\"{resource}\",\
                 subresource=\"{subresource}\",verb=\"{verb}\",version=\"{version}\"}} {count}"
            );
        }
        let watches = self.watches.load(Ordering::Relaxed);
        let _ = write!(
            out,
            "# TYPE apiserver_current_inflight_requests gauge\n\
             apiserver_current_inflight_requests{{request_kind=\"mutating\"}} {writes}\n\
             apiserver_current_inflight_requests{{request_kind=\"readOnly\"}} {reads}\n\
             # TYPE apiserver_longrunning_requests gauge\n\
             apiserver_longrunning_requests{{verb=\"WATCH\"}} {watches}\n\
             # TYPE apiserver_storage_resource_version gauge\n\
             apiserver_storage_resource_version {revision}\n\
             # TYPE process_start_time_seconds gauge\n\
             process_start_time_seconds {}\n",
            self.started.as_second()
        );
        out
    }
}

/// An open watch.
pub(crate) struct Watching(std::sync::Arc<Metrics>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.watches.fetch_sub(1, Ordering::Relaxed);
    }
}
