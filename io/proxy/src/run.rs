//! The loop: the newest snapshot and node are compiled, applied and acknowledged, one after the other.
//!
//! Whatever arrives while the kernel works is coalesced by the watch channels, so a storm of changes costs time, not
//! queue. Nothing is served before everything has been listed (spec C1.6), but the ranges are guarded from the start.
//! On shutdown the table stays: only `destroy` removes it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kelson_model::{Acknowledged, NodeView, Snapshot};
use kelson_process::Shutdown;
use kelson_tables::{Compiler, Warning};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::at_connect::AtConnect;
use crate::{Config, Error, Metrics, Nftables, apply, conntrack};

/// The first wait after a failure; it doubles up to [`PATIENCE_MAX`].
const PATIENCE: Duration = Duration::from_millis(50);
/// The longest wait after failures.
const PATIENCE_MAX: Duration = Duration::from_secs(10);
/// How often to see whether somebody else removed the table.
const CHECK: Duration = Duration::from_secs(10);
/// The most warnings logged of one update.
const WARNINGS_LOGGED: usize = 20;

/// Follows `snapshots` and `node` until `shutdown`, or until nobody sends any more. The table is that of the network
/// namespace of the calling thread. `acknowledged` gets the generation and revision of each snapshot that new connections meet.
pub async fn run(
    config: Config,
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    mut node: watch::Receiver<NodeView>,
    acknowledged: watch::Sender<Acknowledged>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
) {
    let mut worker = Some(Worker::new(config, metrics));
    let mut patience = PATIENCE;
    loop {
        let (snapshot, view) = (snapshots.borrow_and_update().clone(), node.borrow_and_update().clone());
        let failed = match step(&mut worker, snapshot, view).await {
            Ok(done) => {
                acknowledged
                    .send_if_modified(|last| done.is_some_and(|it| std::mem::replace(last, it) != it));
                patience = PATIENCE;
                false
            }
            Err(()) => true,
        };
        let wait = if failed { patience } else { CHECK };
        if failed {
            patience = (patience * 2).min(PATIENCE_MAX);
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = snapshots.changed(), if !failed => if changed.is_err() { return },
            changed = node.changed(), if !failed => if changed.is_err() { return },
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// One round on a thread that may block; the worker comes back with it. A worker lost to a panic ends the proxy there.
async fn step(
    worker: &mut Option<Worker>,
    snapshot: Arc<Snapshot>,
    node: NodeView,
) -> Result<Option<Acknowledged>, ()> {
    let mut busy = worker.take().expect("the worker returns from every round");
    let round = move || {
        let outcome = busy.round(&snapshot, &node);
        (busy, outcome)
    };
    let (back, outcome) = tokio::task::spawn_blocking(round).await.expect("a round does not panic");
    *worker = Some(back);
    outcome
}

/// What compiles and applies.
struct Worker {
    options: kelson_tables::Options,
    compiler: Compiler,
    kernel: Option<Nftables>,
    at_connect: AtConnect,
    guarded: bool,
    checked: Instant,
    done: Option<(u64, NodeView)>,
    warned: BTreeSet<Warning>,
    complaint: Option<String>,
    metrics: Arc<Metrics>,
    /// Since when it follows the cluster: what was triggered before is not its latency. Triggers are noted in whole seconds.
    since_ms: u64,
    programmed: Snapshot,
}

impl Worker {
    fn new(config: Config, metrics: Arc<Metrics>) -> Self {
        let options = config.options();
        Self {
            since_ms: now_ms() / 1000 * 1000,
            programmed: Snapshot::default(),
            compiler: Compiler::new(options.clone()),
            options,
            kernel: None,
            at_connect: AtConnect::new(config.at_connect),
            guarded: false,
            checked: Instant::now(),
            done: None,
            warned: BTreeSet::new(),
            complaint: None,
            metrics,
        }
    }

    /// What is now programmed, if anything.
    fn round(&mut self, snapshot: &Snapshot, node: &NodeView) -> Result<Option<Acknowledged>, ()> {
        match self.try_round(snapshot, node) {
            Ok(done) => {
                if self.complaint.take().is_some() {
                    info!("the packet filter is programmed again");
                }
                Ok(done)
            }
            Err(error) => {
                self.metrics.failed();
                self.done = None;
                self.complain(&error);
                Err(())
            }
        }
    }

    fn try_round(&mut self, snapshot: &Snapshot, node: &NodeView) -> Result<Option<Acknowledged>, Error> {
        if !snapshot.synced {
            self.guard(node)?;
            return Ok(None);
        }
        self.check()?;
        let wanted = (snapshot.generation, node.clone());
        if self.done.as_ref() != Some(&wanted) {
            self.program(snapshot, node)?;
            self.done = Some(wanted);
        }
        let (generation, revision) = (snapshot.generation, snapshot.revision);
        Ok(Some(Acknowledged { generation, revision }))
    }

    /// Guards the ranges before there is anything to serve; a table left by an earlier process guards and serves.
    fn guard(&mut self, node: &NodeView) -> Result<(), Error> {
        if !self.guarded {
            let options = self.options.clone();
            let kernel = self.kernel()?;
            if !kernel.is_installed()? {
                kernel.apply(&apply::guard(node, &options))?;
            }
            self.guarded = true;
        }
        Ok(())
    }

    fn program(&mut self, snapshot: &Snapshot, node: &NodeView) -> Result<(), Error> {
        let start = Instant::now();
        let tables = self.compiler.compile(snapshot, node);
        let applied = self.kernel()?.apply(&tables)?;
        self.at_connect.follow(&tables)?;
        self.metrics.programmed(applied.replaced, start.elapsed(), now_ms() / 1000);
        self.observe(snapshot);
        self.log_warnings();
        if conntrack::concerns(&applied.changes) {
            // The tables are programmed whatever comes of this; flows left behind end by their own time-out.
            match conntrack::clean(&tables, &applied.changes) {
                Ok(removed) => self.metrics.removed_flows(removed),
                Err(error) => {
                    warn!(error = chain(&error), "cannot remove UDP flows of backends that are gone")
                }
            }
        }
        Ok(())
    }

    /// How long changes of endpoints took from what they answer until here (C11).
    fn observe(&mut self, snapshot: &Snapshot) {
        let now = now_ms();
        let triggered = snapshot.triggered_since(&self.programmed).filter(|at| *at >= self.since_ms);
        triggered.for_each(|at| self.metrics.reached(Duration::from_millis(now.saturating_sub(at))));
        self.programmed = snapshot.clone();
    }

    /// Sees now and then whether the table is still there: `nft flush ruleset` and restarted firewalls remove it.
    fn check(&mut self) -> Result<(), Error> {
        if self.done.is_some() && self.checked.elapsed() >= CHECK {
            self.checked = Instant::now();
            let kernel = self.kernel()?;
            if !kernel.is_installed()? {
                warn!(
                    "another program removed the table kelson from the packet filter, programming it again"
                );
                kernel.forget();
                self.done = None;
            }
        }
        Ok(())
    }

    fn kernel(&mut self) -> Result<&mut Nftables, Error> {
        if self.kernel.is_none() {
            self.kernel = Some(Nftables::open()?);
        }
        Ok(self.kernel.as_mut().expect("just opened"))
    }

    /// Every warning once, while it lasts.
    fn log_warnings(&mut self) {
        let now: BTreeSet<Warning> = self.compiler.warnings().into_iter().collect();
        for warning in now.difference(&self.warned).take(WARNINGS_LOGGED) {
            warn!("{warning}");
        }
        self.warned = now;
    }

    /// The same failure is told once, however often it is tried again.
    fn complain(&mut self, error: &Error) {
        let text = chain(error);
        if self.complaint.as_ref() != Some(&text) {
            error!(error = text, "cannot program the packet filter, trying again");
            self.complaint = Some(text);
        }
    }
}

fn now_ms() -> u64 {
    u64::try_from(kelson_process::now().as_millisecond()).unwrap_or_default()
}

/// The error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
