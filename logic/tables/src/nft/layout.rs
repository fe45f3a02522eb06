//! What the kernel's table holds, and the commands that bring it from one state of the tables to the next.
//!
//! A value, not a connection: an update returns the next layout with its commands, and whoever sends them keeps the
//! old one if the kernel refuses. Slots and chain numbers depend on history, so that one endpoint that comes or goes
//! touches one or two slots; everything a packet can see follows from the tables alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use imbl::OrdMap;

use super::keys::{self, Bytes, element, entry};
use super::sets::{
    ACTIONS, CLUSTER_IPS, ENDPOINTS, FRONTENDS, HAIRPINS, MASQUERADE, MEMBERS, NODE_ADDRESSES, NODE_PORTS,
    POD_CIDRS, POD_INTERFACES, RESTRICTED, SERVICE_CIDRS, SOURCES, sets,
};
use super::{Chain, Command, Element, Value, Verdict, chains};
use crate::{
    Action, Change, Changes, Family, Frontend, FrontendKey, FrontendKind, Masquerade, Pool, Scope, Tables,
    diff,
};

/// The number of the chain that refuses.
const REFUSE: u32 = 1;
/// The number that means silence.
const DISCARD: u32 = 2;
/// The first number of a chain that picks.
const FIRST_PICK: u32 = 16;
/// With more picking chains than this, most of them unused by now, the table is better laid afresh.
const MAX_PICKS: usize = 1024;

/// What tells one picking chain from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pick {
    scope: Scope,
    count: u16,
    sticky_seconds: Option<u32>,
}

impl Pick {
    fn name(self) -> String {
        let scope = if self.scope == Scope::Local { "-local" } else { "" };
        let sticky = self.sticky_seconds.map(|s| format!("-sticky-{s}")).unwrap_or_default();
        format!("pick-{}{scope}{sticky}", self.count)
    }
}

/// The state of one family's table.
#[derive(Clone, Debug)]
pub struct Layout {
    family: Family,
    /// The backends of every pool by slot.
    slots: OrdMap<(FrontendKey, Scope), Arc<[SocketAddr]>>,
    /// The numbers of the picking chains there are.
    picks: OrdMap<Pick, u32>,
}

/// Commands as they gather: everything that goes before everything that comes.
#[derive(Default)]
struct Gathered {
    gone: BTreeMap<&'static str, Vec<Element>>,
    chains: Vec<Command>,
    came: BTreeMap<&'static str, Vec<Element>>,
}

impl Gathered {
    fn delete(&mut self, set: &'static str, key: Vec<u8>) {
        self.gone.entry(set).or_default().push(element(key));
    }

    fn add(&mut self, set: &'static str, element: Element) {
        self.came.entry(set).or_default().push(element);
    }

    fn into_commands(self) -> Vec<Command> {
        let gone = self.gone.into_iter().map(|(set, elements)| Command::DeleteElements { set, elements });
        let came = self.came.into_iter().map(|(set, elements)| Command::AddElements { set, elements });
        gone.chain(self.chains).chain(came).collect()
    }
}

impl Layout {
    /// Lays `tables` afresh: the commands replace whatever table there is, in one transaction.
    pub fn replace(family: Family, tables: &Tables) -> (Self, Vec<Command>) {
        let empty = Self { family, slots: OrdMap::new(), picks: OrdMap::new() };
        let mut commands = vec![Command::AddTable, Command::DeleteTable, Command::AddTable];
        commands.extend(sets().into_iter().map(Command::AddSet));
        let (chains, rules) = chains::fixed_chains(family, &tables.node);
        commands.extend(chains.into_iter().map(Command::AddChain));
        commands.extend(rules.into_iter().map(Command::AddRule));
        commands.extend(fixed_elements(family, tables));
        let nothing = Tables { node: tables.node.clone(), ..Tables::default() };
        let (layout, elements) = empty.update(&diff(&nothing, tables), tables);
        commands.extend(elements);
        (layout, commands)
    }

    /// The commands for `changes`, which lead to `tables` and leave the node as it was.
    pub fn update(&self, changes: &Changes, tables: &Tables) -> (Self, Vec<Command>) {
        let mut next = self.clone();
        let mut gathered = Gathered::default();
        let family = self.family;
        for change in changes.frontends.iter().filter(|c| Family::of(c.key.address) == family) {
            let key = keys::frontend(change.key);
            next.lead(FRONTENDS, &key, change.old.as_deref(), change.new.as_deref(), &mut gathered);
            restrict(family, change, &mut gathered);
        }
        for change in changes.node_ports.iter().filter(|c| c.key.family == family) {
            let key = keys::node_port(change.key);
            next.lead(NODE_PORTS, &key, change.old.as_deref(), change.new.as_deref(), &mut gathered);
        }
        next.fill_pools(changes, &mut gathered);
        for change in changes.hairpins.iter().filter(|c| Family::of(c.key) == family) {
            put(HAIRPINS, change, Bytes::default().address(change.key).address(change.key).0, &mut gathered);
        }
        let outlying = |ip| !tables.node.service_cidrs.iter().any(|range| range.contains(ip));
        let of_family = |c: &&Change<_, ()>| Family::of(c.key) == family && outlying(c.key);
        for change in changes.cluster_ips.iter().filter(of_family) {
            put(CLUSTER_IPS, change, Bytes::default().address(change.key).0, &mut gathered);
        }
        (next, gathered.into_commands())
    }

    /// Whether so many chains have gathered that [`Self::replace`] is the better way on.
    pub fn is_crowded(&self) -> bool {
        self.picks.len() > MAX_PICKS
    }

    /// Brings one key of `set` from the old frontend to the new.
    fn lead(
        &mut self,
        set: &'static str,
        key: &[u8],
        old: Option<&Frontend>,
        new: Option<&Frontend>,
        gathered: &mut Gathered,
    ) {
        let visible = |f: &Frontend| (f.kind, f.inside, f.outside, f.masquerade, f.identity, f.affinity);
        if old.map(visible) == new.map(visible) {
            return;
        }
        if old.is_some() {
            gathered.delete(set, key.to_vec());
        }
        if let Some(new) = new {
            let value = Bytes::default()
                .word(kind_number(new.kind))
                .word(self.number(new.inside, new, gathered))
                .word(self.number(new.outside, new, gathered))
                .word(masquerade_number(new.masquerade))
                .frontend(new.identity);
            gathered.add(set, entry(key.to_vec(), value.0));
        }
    }

    /// The number of what `action` does, whose chain is made when it is the first of its kind.
    fn number(&mut self, action: Action, frontend: &Frontend, gathered: &mut Gathered) -> u32 {
        let (scope, count) = match action {
            Action::Reject => return REFUSE,
            Action::Drop => return DISCARD,
            Action::Forward { scope, count } => (scope, count),
        };
        let pick = Pick { scope, count, sticky_seconds: frontend.affinity.map(|a| a.timeout_seconds) };
        if let Some(number) = self.picks.get(&pick) {
            return *number;
        }
        let number = FIRST_PICK + u32::try_from(self.picks.len()).expect("chains are few");
        let name = pick.name();
        gathered.chains.push(Command::AddChain(Chain { name: name.clone(), base: None }));
        let rules = chains::pick_chain(self.family, &name, scope, count, pick.sticky_seconds);
        gathered.chains.extend(rules.into_iter().map(Command::AddRule));
        gathered.add(ACTIONS, numbered(number, Verdict::Goto(name)));
        self.picks.insert(pick, number);
        number
    }

    /// First everything that leaves its identity, then what comes: a ClusterIP may change hands within one update.
    fn fill_pools(&mut self, changes: &Changes, gathered: &mut Gathered) {
        let pools = || changes.pools.iter().filter(|c| c.key.family == self.family);
        let (mut gone, mut came) = (Vec::new(), Vec::new());
        for Change { old, new, .. } in pools() {
            match (old, new) {
                (Some(old), Some(new)) if old.identity == new.identity => came.push((Some(old), new)),
                (old, new) => {
                    gone.extend(old);
                    came.extend(new.iter().map(|new| (None, new)));
                }
            }
        }
        for pool in gone {
            let empty = Pool { cluster: Arc::default(), local: Arc::default(), ..pool.as_ref().clone() };
            self.fill(Some(pool), &empty, gathered);
        }
        for (old, new) in came {
            self.fill(old.map(Arc::as_ref), new, gathered);
        }
    }

    fn fill(&mut self, old: Option<&Pool>, new: &Pool, gathered: &mut Gathered) {
        for scope in [Scope::Cluster, Scope::Local] {
            self.fill_slots(new.identity, scope, new.backends(scope), gathered);
            let members = |pool: Option<&Pool>| -> BTreeSet<SocketAddr> {
                let sticky = pool.filter(|pool| pool.affinity.is_some());
                sticky.into_iter().flat_map(|pool| pool.backends(scope).iter().copied()).collect()
            };
            let (before, after) = (members(old), members(Some(new)));
            for backend in before.difference(&after) {
                gathered.delete(MEMBERS, keys::member(new.identity, scope, *backend));
            }
            for backend in after.difference(&before) {
                gathered.add(MEMBERS, element(keys::member(new.identity, scope, *backend)));
            }
        }
    }

    fn fill_slots(
        &mut self,
        identity: FrontendKey,
        scope: Scope,
        wanted: &Arc<[SocketAddr]>,
        gathered: &mut Gathered,
    ) {
        let held = self.slots.get(&(identity, scope)).cloned().unwrap_or_default();
        let next = reslot(&held, wanted);
        for slot in 0..held.len().max(next.len()) {
            let (old, new) = (held.get(slot), next.get(slot));
            if old == new {
                continue;
            }
            let key = keys::slot(identity, scope, slot);
            if old.is_some() {
                gathered.delete(ENDPOINTS, key.clone());
            }
            if let Some(backend) = new {
                gathered.add(ENDPOINTS, entry(key, Bytes::default().backend(*backend).0));
            }
        }
        if next.is_empty() {
            self.slots.remove(&(identity, scope));
        } else {
            self.slots.insert((identity, scope), next.into());
        }
    }
}

/// `wanted` in an order that leaves as many of `held` where they are as can be: newcomers take the places of the
/// departed, and the last move into what holes remain.
fn reslot(held: &[SocketAddr], wanted: &[SocketAddr]) -> Vec<SocketAddr> {
    let keep: BTreeSet<&SocketAddr> = wanted.iter().collect();
    let have: BTreeSet<&SocketAddr> = held.iter().collect();
    let mut newcomers = wanted.iter().filter(|backend| !have.contains(backend));
    let mut slots: Vec<Option<SocketAddr>> = held
        .iter()
        .map(|backend| if keep.contains(backend) { Some(*backend) } else { newcomers.next().copied() })
        .collect();
    slots.extend(newcomers.map(|backend| Some(*backend)));
    let mut filled: Vec<SocketAddr> = Vec::with_capacity(wanted.len());
    let mut tail: Vec<SocketAddr> = slots.iter().skip(wanted.len()).copied().flatten().collect();
    for slot in slots.into_iter().take(wanted.len()) {
        filled.extend(slot.or_else(|| tail.pop()));
    }
    filled
}

/// Brings the sources let in at one frontend up to date.
fn restrict(family: Family, change: &Change<FrontendKey, Arc<Frontend>>, gathered: &mut Gathered) {
    let sources = |f: &Option<Arc<Frontend>>| f.as_ref().and_then(|f| f.sources.clone());
    let (old, new) = (sources(&change.old), sources(&change.new));
    if old == new {
        return;
    }
    let key = || keys::frontend(change.key);
    match (&old, &new) {
        (Some(_), None) => gathered.delete(RESTRICTED, key()),
        (None, Some(_)) => gathered.add(RESTRICTED, element(key())),
        _ => {}
    }
    for range in old.iter().flat_map(|ranges| keys::source_elements(change.key, ranges, family)) {
        gathered.gone.entry(SOURCES).or_default().push(range);
    }
    for range in new.iter().flat_map(|ranges| keys::source_elements(change.key, ranges, family)) {
        gathered.add(SOURCES, range);
    }
}

fn put<K>(set: &'static str, change: &Change<K, ()>, key: Vec<u8>, gathered: &mut Gathered) {
    match change.new {
        Some(()) => gathered.add(set, element(key)),
        None => gathered.delete(set, key),
    }
}

/// The elements that only the node decides, and the verdicts every table has.
fn fixed_elements(family: Family, tables: &Tables) -> Vec<Command> {
    let node = &tables.node;
    let own = node.addresses.iter().filter(|a| Family::of(**a) == family);
    let links = ["lo"].into_iter().chain(node.options.pod_interfaces.iter().map(String::as_str));
    let links: BTreeSet<&str> = links.collect();
    let add = |set, elements| Command::AddElements { set, elements };
    vec![
        add(NODE_ADDRESSES, own.map(|a| element(Bytes::default().address(*a).0)).collect()),
        add(SERVICE_CIDRS, keys::range_elements(&node.service_cidrs, family)),
        add(POD_CIDRS, keys::range_elements(&node.pod_cidrs, family)),
        add(POD_INTERFACES, links.iter().map(|l| element(Bytes::default().interface(l).0)).collect()),
        add(ACTIONS, vec![numbered(REFUSE, goto("refuse")), numbered(DISCARD, Verdict::Drop)]),
        add(
            MASQUERADE,
            vec![
                numbered(masquerade_number(Masquerade::Always), goto("masquerade")),
                numbered(masquerade_number(Masquerade::UnlessPod), goto("masquerade-unless-pod")),
                numbered(masquerade_number(Masquerade::IfNode), goto("masquerade-if-node")),
            ],
        ),
    ]
}

fn kind_number(kind: FrontendKind) -> u32 {
    match kind {
        FrontendKind::ClusterIp => 1,
        FrontendKind::LoadBalancer => 2,
        FrontendKind::ExternalIp => 3,
        FrontendKind::NodePort => 4,
        FrontendKind::HostPort => 5,
    }
}

fn masquerade_number(masquerade: Masquerade) -> u32 {
    match masquerade {
        Masquerade::Always => 1,
        Masquerade::UnlessPod => 2,
        Masquerade::IfNode => 3,
    }
}

fn numbered(number: u32, verdict: Verdict) -> Element {
    Element { value: Value::Verdict(verdict), ..element(Bytes::default().word(number).0) }
}

fn goto(chain: &str) -> Verdict {
    Verdict::Goto(chain.into())
}

#[cfg(test)]
mod tests;
