//! Standing for election: of several equal processes one leads, and all know which.
//!
//! Between a Lease in the API and `kelson_plans::election`, which decides. Invariant: whoever is told that it leads holds
//! a Lease that it renewed less than `election::RENEW` ago; it is told otherwise before another may be told so.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kelson_plans::election::{self, Candidate};
use kelson_process::Shutdown;
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// How long one question may take, so that a dead connection is noticed before the Lease runs out.
const ANSWER: Duration = Duration::from_secs(4);

/// What is stood for, and by whom.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The Lease's namespace.
    pub namespace: String,
    /// The Lease's name.
    pub name: String,
    /// Who stands; no other process may have this name.
    pub identity: String,
}

/// Who leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Leader {
    /// Not known, or not known any more.
    #[default]
    Unknown,
    /// Another, by its identity.
    Other(String),
    /// The one who asks.
    Own,
}

/// Stands until `shutdown`, tells who leads, and then leaves the seat to the next.
pub async fn stand(client: Client, seat: Seat, tell: watch::Sender<Leader>, shutdown: Shutdown) {
    let leases = Api::namespaced(client, &seat.namespace);
    let mut standing = Standing::new(leases, seat);
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = standing.campaign(&tell) => {}
    }
    tell.send_replace(Leader::Unknown);
    if let Ok(Err(error)) = tokio::time::timeout(ANSWER, standing.leave()).await {
        debug!(%error, "the next leader has to wait for the lease to end");
    }
}

struct Standing {
    leases: Api<Lease>,
    seat: Seat,
    candidate: Candidate,
    begun: Instant,
    /// When the Lease was last written; the moment before the request counts.
    renewed: Option<Instant>,
}

impl Standing {
    fn new(leases: Api<Lease>, seat: Seat) -> Self {
        let candidate = Candidate::new(seat.identity.clone());
        Self { leases, seat, candidate, begun: Instant::now(), renewed: None }
    }

    async fn campaign(&mut self, tell: &watch::Sender<Leader>) {
        loop {
            let asked = Instant::now();
            let leader = match tokio::time::timeout_at(self.patience(asked), self.ask(asked)).await {
                Ok(Ok(leader)) => leader,
                Ok(Err(error)) => self.failed(tell, &error.to_string()),
                Err(_) => self.failed(tell, "no answer"),
            };
            tell.send_if_modified(|known| {
                let is_new = *known != leader;
                if is_new {
                    info!(?leader, lease = self.seat.name, "who leads");
                    known.clone_from(&leader);
                }
                is_new
            });
            tokio::time::sleep_until(self.patience(asked).min(asked + election::RETRY)).await;
        }
    }

    /// A leader asks no longer than it may lead.
    fn patience(&self, asked: Instant) -> Instant {
        let usual = asked + ANSWER;
        self.renewed
            .map(|at| at + election::RENEW)
            .filter(|end| *end > asked)
            .map_or(usual, |end| end.min(usual))
    }

    /// What still holds though the API does not answer as it should.
    fn failed(&mut self, tell: &watch::Sender<Leader>, why: &str) -> Leader {
        warn!(error = why, lease = self.seat.name, "cannot learn who leads; asking again");
        match self.renewed {
            Some(at) if at.elapsed() < election::RENEW => tell.borrow().clone(),
            _ => {
                self.renewed = None;
                Leader::Unknown
            }
        }
    }

    async fn ask(&mut self, asked: Instant) -> kube::Result<Leader> {
        let lease = self.leases.get_opt(&self.seat.name).await?;
        let elapsed = asked.duration_since(self.begun);
        let Some(bid) = self.candidate.bid(lease.as_ref(), elapsed, kelson_process::now()) else {
            self.renewed = None;
            let spec = lease.and_then(|lease| lease.spec).unwrap_or_default();
            return Ok(Leader::Other(election::holder(&spec).unwrap_or_default().to_owned()));
        };
        match self.write(lease, bid).await {
            Ok(()) => {
                self.renewed = Some(asked);
                Ok(Leader::Own)
            }
            // Another was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                self.renewed = None;
                Ok(Leader::Unknown)
            }
            Err(error) => Err(error),
        }
    }

    async fn write(&self, lease: Option<Lease>, spec: LeaseSpec) -> kube::Result<()> {
        let params = PostParams::default();
        match lease {
            Some(lease) => {
                let lease = Lease { spec: Some(spec), ..lease };
                self.leases.replace(&self.seat.name, &params, &lease).await.map(drop)
            }
            None => {
                let metadata = ObjectMeta { name: Some(self.seat.name.clone()), ..ObjectMeta::default() };
                self.leases.create(&params, &Lease { metadata, spec: Some(spec) }).await.map(drop)
            }
        }
    }

    /// Gives the seat up, if it is held.
    async fn leave(&self) -> kube::Result<()> {
        let Some(lease) = self.leases.get_opt(&self.seat.name).await? else { return Ok(()) };
        match self.candidate.farewell(&lease, kelson_process::now()) {
            Some(spec) => self.write(Some(lease), spec).await,
            None => Ok(()),
        }
    }
}
