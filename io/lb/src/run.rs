//! The loop: snapshots say which addresses, the node's links where, the socket who asks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use imbl::ordmap::DiffItem;
use kelson_model::{Cidr, ServiceMap, Snapshot};
use kelson_network::NodeLinks;
use kelson_process::Shutdown;
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::arp::{Hardware, Packet};
use crate::socket::{Arrival, Socket};
use crate::speaker::{Frame, Reaction, Speaker};
use crate::{Error, filter};

/// How long to look away when the socket fails, so that a broken one costs nothing.
const PAUSE: Duration = Duration::from_secs(1);

/// What the balancer is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The ranges whose addresses are ours to answer for; others in a Service's status are another balancer's.
    pub ranges: Vec<Cidr>,
    /// Links never spoken on: the pod bridge.
    pub silent_links: Vec<String>,
    /// The only links spoken on; none named, and it is all of them.
    pub only_links: Vec<String>,
}

/// Answers for balancer addresses and announces them.
pub struct LoadBalancer {
    config: Config,
    socket: Socket,
    speaker: Speaker,
    /// What was followed last.
    seen: Option<(ServiceMap, Arc<NodeLinks>)>,
    /// How many Services hold each address.
    held: BTreeMap<IpAddr, usize>,
}

impl LoadBalancer {
    /// Opens its socket in the calling thread's network namespace.
    pub fn open(config: Config) -> Result<Self, Error> {
        let socket = Socket::open(&filter::nothing())?;
        Ok(Self { config, socket, speaker: Speaker::default(), seen: None, held: BTreeMap::new() })
    }

    /// Follows both until `shutdown`, or until nobody sends any more.
    pub async fn run(
        mut self,
        mut snapshots: watch::Receiver<Arc<Snapshot>>,
        mut links: watch::Receiver<Arc<NodeLinks>>,
        shutdown: Shutdown,
    ) {
        loop {
            self.follow(&snapshots.borrow_and_update().clone(), &links.borrow_and_update().clone());
            let changed = loop {
                let due = self.speaker.next();
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    changed = snapshots.changed() => break changed,
                    changed = links.changed() => break changed,
                    heard = self.socket.receive() => self.hear(heard).await,
                    () = until(due) => self.announce(),
                }
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Takes in what Services hold and where the node can be asked. Before everything has been listed nobody loses an
    /// address.
    fn follow(&mut self, snapshot: &Snapshot, links: &Arc<NodeLinks>) {
        if !snapshot.synced || self.has_seen(snapshot, links) {
            return;
        }
        let before = self.seen.replace((snapshot.services.clone(), links.clone()));
        self.count(&before.unwrap_or_default().0, &snapshot.services);
        let span = self.speaker.span();
        let addresses = self.addresses(links);
        self.speaker.update(self.links(links), addresses, Instant::now());
        if self.speaker.span() == span {
            return;
        }
        let program = match self.speaker.span() {
            Some((first, last)) => filter::program(first, last),
            None => filter::nothing(),
        };
        if let Err(error) = self.socket.filter(&program) {
            // The old one stays: it may hear too little until the addresses change again.
            warn!(error = &error as &dyn std::error::Error, "cannot listen for new balancer addresses");
        }
    }

    /// Most snapshots tell of endpoints, which are no concern of ours.
    fn has_seen(&self, snapshot: &Snapshot, links: &Arc<NodeLinks>) -> bool {
        let seen = self.seen.as_ref();
        seen.is_some_and(|(services, before)| {
            services.ptr_eq(&snapshot.services) && Arc::ptr_eq(before, links)
        })
    }

    /// Counts who holds what; costs what changed since the last time.
    fn count(&mut self, before: &ServiceMap, after: &ServiceMap) {
        for item in before.diff(after) {
            let (old, new) = match item {
                DiffItem::Add(_, new) => (None, Some(new)),
                DiffItem::Update { old: (_, old), new: (_, new) } => (Some(old), Some(new)),
                DiffItem::Remove(_, old) => (Some(old), None),
            };
            for address in new.iter().flat_map(|service| &service.load_balancer_ips) {
                *self.held.entry(*address).or_default() += 1;
            }
            for address in old.iter().flat_map(|service| &service.load_balancer_ips) {
                if let Some(count) = self.held.get_mut(address) {
                    *count = count.saturating_sub(1);
                }
            }
        }
        self.held.retain(|_, count| *count > 0);
    }

    /// The addresses to answer for: those that Services hold in our ranges, without the node's own.
    fn addresses(&self, links: &NodeLinks) -> BTreeSet<Ipv4Addr> {
        let ours = self.held.keys().filter(|address| {
            let offered = self.config.ranges.iter().any(|range| range.contains(**address));
            offered && !links.addresses.contains(address)
        });
        ours.filter_map(|address| if let IpAddr::V4(v4) = address { Some(*v4) } else { None }).collect()
    }

    fn links(&self, links: &NodeLinks) -> BTreeMap<u32, Hardware> {
        let Config { silent_links, only_links, .. } = &self.config;
        let speaking = links.ethernet.iter().filter(|(_, link)| {
            let chosen = only_links.is_empty() || only_links.contains(&link.name);
            link.carrier && chosen && !silent_links.contains(&link.name)
        });
        speaking.map(|(index, link)| (*index, link.hardware)).collect()
    }

    async fn hear(&mut self, heard: std::io::Result<Arrival>) {
        let arrival = match heard {
            Ok(arrival) => arrival,
            Err(error) => {
                // A link that goes down says so here, once.
                debug!(%error, "cannot hear ARP");
                tokio::time::sleep(PAUSE).await;
                return;
            }
        };
        let bytes = &arrival.bytes[..arrival.length.min(arrival.bytes.len())];
        let Some(packet) = Packet::parse(bytes) else { return };
        match self.speaker.hear(arrival.link, &packet, Instant::now()) {
            Reaction::None => {}
            Reaction::Answer(frame) => self.send(&frame),
            Reaction::Defend(frame, rival) => {
                let [a, b, c, d, e, f] = rival;
                let rival = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
                warn!(
                    address = %frame.packet.sender,
                    rival,
                    "another machine claims a balancer address; give it another address or change --load-balancer-cidr"
                );
                self.send(&frame);
            }
        }
    }

    fn announce(&mut self) {
        for frame in self.speaker.due(Instant::now()) {
            self.send(&frame);
        }
    }

    fn send(&self, frame: &Frame) {
        let sent = self.socket.send(frame.link, frame.to, &frame.packet.encode());
        if let Err(error) = sent {
            debug!(%error, link = frame.link, address = %frame.packet.sender, "ARP is not sent");
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
