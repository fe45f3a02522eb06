//! Names that are not the cluster's: one question at a time to the node's resolvers, for all who ask it.
//!
//! Loop-safe twice over: servers that are our own addresses are never asked, and a question that comes back to us by a
//! detour joins the one that is under way, which then ends in silence and SERVFAIL instead of going round.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::Upstream;
use crate::cache::{Cache, is_denial};
use crate::error::Unresolved;
use crate::message::{Question, Received, code};
use crate::metrics::Metrics;
use crate::{resolv_conf, upstream};

/// Most different questions under way, as kubeadm's Corefile has it (spec D3.2).
const UNDER_WAY_MAX: usize = 1000;

/// How often the file of servers is looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Most servers asked about one question, one after the other.
const TRIES_MAX: usize = 3;

type Answer = Result<Arc<Received>, Unresolved>;

/// Resolves names by asking others.
#[derive(Debug)]
pub(crate) struct Forwarder {
    state: Mutex<State>,
    /// The server that answered last; asked first.
    preferred: AtomicUsize,
    own: Vec<SocketAddr>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct State {
    cache: Cache,
    under_way: HashMap<Question, watch::Receiver<Option<Answer>>>,
    servers: Servers,
}

/// The servers to ask and where they come from.
#[derive(Debug)]
struct Servers {
    source: Upstream,
    known: Vec<SocketAddr>,
    modified: Option<SystemTime>,
    looked: Option<Instant>,
}

impl Forwarder {
    /// Forwards to `source`, but never to `own`.
    pub fn new(source: Upstream, own: Vec<SocketAddr>, metrics: Arc<Metrics>) -> Arc<Self> {
        let servers = Servers { source, known: Vec::new(), modified: None, looked: None };
        let state = State { cache: Cache::default(), under_way: HashMap::new(), servers };
        Arc::new(Self { state: Mutex::new(state), preferred: AtomicUsize::new(0), own, metrics })
    }

    /// The reply to `question` and its age in seconds: kept from before, or asked for now.
    pub async fn resolve(self: &Arc<Self>, question: &Question) -> Result<(Arc<Received>, u32), Unresolved> {
        let mut answer = match self.begin(question) {
            Begun::Kept(reply, age) => return Ok((reply, age)),
            Begun::Refused(reason) => return Err(reason),
            Begun::UnderWay(answer) => answer,
        };
        match answer.wait_for(Option::is_some).await.map(|answer| answer.clone()) {
            Ok(Some(answer)) => answer.map(|reply| (reply, 0)),
            _ => Err(Unresolved::Silence),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks into the cache, joins a question under way or starts it.
    fn begin(self: &Arc<Self>, question: &Question) -> Begun {
        let mut state = self.state();
        let now = Instant::now();
        if let Some((reply, age)) = state.cache.get(question, now) {
            self.metrics.cache_hit(is_denial(&reply));
            return Begun::Kept(reply, age);
        }
        self.metrics.cache_miss();
        if let Some(answer) = state.under_way.get(question) {
            return Begun::UnderWay(answer.clone());
        }
        if state.under_way.len() >= UNDER_WAY_MAX {
            self.metrics.rejected();
            return Begun::Refused(Unresolved::Busy);
        }
        let servers = state.servers.look(now, &self.own);
        if servers.is_empty() {
            return Begun::Refused(Unresolved::NoServer);
        }
        let (sender, answer) = watch::channel(None);
        state.under_way.insert(question.clone(), answer.clone());
        let (this, question) = (self.clone(), question.clone());
        drop(tokio::spawn(async move {
            let reply = this.ask(&servers, &question).await;
            this.end(&question, &reply);
            sender.send_replace(Some(reply));
        }));
        Begun::UnderWay(answer)
    }

    /// Keeps the reply; the question is no longer under way.
    fn end(&self, question: &Question, reply: &Answer) {
        let mut state = self.state();
        state.under_way.remove(question);
        if let Ok(reply) = reply {
            state.cache.put(question, reply, Instant::now());
            self.metrics.cache_holds(state.cache.held(), state.cache.evicted());
        }
    }

    /// Asks the servers one after the other, the one that answered last first; a server that fails is as good as silent.
    async fn ask(&self, servers: &[SocketAddr], question: &Question) -> Answer {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut worst = None;
        for number in 0..servers.len().clamp(2, TRIES_MAX) {
            let index = (first + number) % servers.len();
            let began = Instant::now();
            let reply = upstream::ask(servers[index], question).await;
            let said = reply.as_ref().map(|reply| code(reply.bytes()));
            self.metrics.asked(servers[index], said, began.elapsed());
            match reply {
                Some(reply) if is_useful(&reply) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(Arc::new(reply));
                }
                Some(reply) => worst = Some(reply),
                None => tracing::debug!(server = %servers[index], "upstream name server did not answer"),
            }
        }
        worst.map(Arc::new).ok_or(Unresolved::Silence)
    }
}

/// What became of a question at first sight.
enum Begun {
    Kept(Arc<Received>, u32),
    UnderWay(watch::Receiver<Option<Answer>>),
    Refused(Unresolved),
}

/// Whether another server need not be asked.
fn is_useful(reply: &Received) -> bool {
    use kelson_zones::rcode::{NO_ERROR, NO_SUCH_NAME};
    matches!(code(reply.bytes()), NO_ERROR | NO_SUCH_NAME)
}

impl Servers {
    /// The servers as of `now`, without `own`; the file is looked at now and then and read when it changed.
    fn look(&mut self, now: Instant, own: &[SocketAddr]) -> Vec<SocketAddr> {
        let is_due = self.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= LOOK_EVERY);
        if is_due {
            self.looked = Some(now);
            match &self.source {
                Upstream::Servers(servers) => self.known.clone_from(servers),
                Upstream::ResolvConf(path) => {
                    let path = path.clone();
                    self.read(&path);
                }
            }
            self.known.retain(|server| !is_own(server, own));
        }
        self.known.clone()
    }

    fn read(&mut self, path: &Path) {
        let modified = std::fs::metadata(path).and_then(|file| file.modified()).ok();
        if modified.is_some() && modified == self.modified {
            return;
        }
        match std::fs::read_to_string(path) {
            Ok(text) => {
                self.known = resolv_conf::name_servers(&text);
                self.modified = modified;
                tracing::info!(path = %path.display(), servers = ?self.known, "upstream name servers");
            }
            Err(error) => tracing::warn!(path = %path.display(), %error, "cannot read upstream name servers"),
        }
    }
}

/// Whether asking `server` would be asking ourselves.
fn is_own(server: &SocketAddr, own: &[SocketAddr]) -> bool {
    own.iter().any(|own| {
        own.port() == server.port()
            && (own.ip() == server.ip() || own.ip().is_unspecified() && server.ip().is_loopback())
    })
}

#[cfg(test)]
mod tests;
