//! The chains that never change with the Services, and the one chain each backend count needs.
//!
//! A packet that opens a connection enters `prerouting` or `output`, goes to `outside` or `inside` depending on who
//! sent it, and from there to a chain that picks, to `refuse`, or nowhere. `forward`, `sent` and `leaving` guard the
//! ranges: what is still addressed to a Service after translation, or to a pod by the wrong link, does not leave.

use super::keys::{Bytes, first_slot};
use super::sets::{
    ACTIONS, AFFINITY, CLUSTER_IPS, ENDPOINTS, FRONTENDS, HAIRPINS, MASQUERADE, MEMBERS, NODE_ADDRESSES,
    NODE_PORTS, POD_CIDRS, POD_INTERFACES, RESTRICTED, SERVICE_CIDRS, SOURCES,
};
use super::{Base, Chain, Ct, Expr, Header, Hook, Register, Rule, Test, Verdict};
use crate::{Family, NodeRules, Scope};

/// Everything that only the node decides: chains first, then their rules.
pub fn fixed_chains(family: Family, node: &NodeRules) -> (Vec<Chain>, Vec<Rule>) {
    let names = ["refuse", "inside", "outside", "masquerade", "masquerade-unless-pod", "masquerade-if-node"];
    let mut chains: Vec<Chain> =
        names.iter().map(|name| Chain { name: (*name).into(), base: None }).collect();
    chains.extend(base_chains());
    let mut rules = refuse();
    rules.extend(ways_in(family, "inside", INSIDE));
    rules.extend(ways_in(family, "outside", OUTSIDE));
    rules.extend(entrances(family));
    rules.extend(masquerade(family, node));
    rules.extend(guards(node));
    (chains, rules)
}

/// The chain that sends a connection to one of `count` backends; with `sticky_seconds`, to the client's last one
/// while that is usable (spec C7).
pub fn pick_chain(
    family: Family,
    name: &str,
    scope: Scope,
    count: u16,
    sticky_seconds: Option<u32>,
) -> Vec<Rule> {
    let plan = Registers::of(family);
    let ways = || [plan.by_address(Source::Packet), plan.by_node_port(Source::Packet)];
    let mut rules = Vec::new();
    if let Some(timeout_seconds) = sticky_seconds {
        rules.extend(ways().map(|way| [way, plan.remembered(scope, timeout_seconds)].concat()));
        rules.extend(ways().map(|way| [way, plan.drawn_and_learned(scope, count, timeout_seconds)].concat()));
    }
    rules.extend(ways().map(|way| [way, plan.drawn(scope, count), plan.dnat()].concat()));
    rules.into_iter().map(|expressions| rule(name, expressions)).collect()
}

/// Whether the key is taken from the packet or from the connection's original tuple.
#[derive(Clone, Copy)]
enum Source {
    Packet,
    Original,
}

/// Register of the kind of frontend, where what a frontend leads to begins. No rule asks for it; people who list the
/// maps do, and `nft list` ends on a rule that looks up what another look-up put first.
const KIND: Register = 0;
/// Register of what happens to inside clients.
const INSIDE: Register = 1;
/// Register of what happens to outside clients.
const OUTSIDE: Register = 2;
/// Register of whose source is rewritten.
const REWRITE: Register = 3;
/// Register where the identity begins.
const IDENTITY: Register = 4;

/// Which value is in which register. Everything that follows in a key lies side by side: the client before the
/// identity, slot or scope after it, the backend last; an IPv6 table uses all sixteen. What a look-up writes never
/// overlaps its key: the kernel would not mind, but `nft list` reads such rules wrong.
#[derive(Clone, Copy)]
struct Registers {
    /// Words of an address.
    words: Register,
}

impl Registers {
    fn of(family: Family) -> Self {
        Self { words: if family == Family::V4 { 1 } else { 4 } }
    }

    fn client(self) -> Register {
        IDENTITY - self.words
    }

    fn slot(self) -> Register {
        IDENTITY + self.words + 2
    }

    fn backend(self) -> Register {
        self.slot() + 1
    }

    /// Address, protocol, port into the registers from `to`.
    fn key(self, source: Source, to: Register) -> Vec<Expr> {
        let (protocol, port) = (to + self.words, to + self.words + 1);
        let (address, port) = match source {
            Source::Packet => (Expr::Payload(Header::Destination, to), Expr::Payload(Header::Port, port)),
            Source::Original => (Expr::Ct(Ct::OriginalDestination, to), Expr::Ct(Ct::OriginalPort, port)),
        };
        vec![address, Expr::Protocol(protocol), port]
    }

    /// What the address leads to. The key lies where slot and backend come later.
    fn by_address(self, source: Source) -> Vec<Expr> {
        let mut way = self.key(source, self.slot());
        way.push(Expr::Lookup(FRONTENDS, self.slot(), KIND));
        way
    }

    /// What the port leads to, on an address of the node.
    fn by_node_port(self, source: Source) -> Vec<Expr> {
        let mut way = self.key(source, self.slot());
        way.push(Expr::In(NODE_ADDRESSES, self.slot()));
        way.push(Expr::Lookup(NODE_PORTS, self.slot() + self.words, KIND));
        way
    }

    fn drawn(self, scope: Scope, count: u16) -> Vec<Expr> {
        let random = Expr::Random { modulus: count.into(), offset: first_slot(scope), to: self.slot() };
        vec![random, Expr::Lookup(ENDPOINTS, IDENTITY, self.backend())]
    }

    fn drawn_and_learned(self, scope: Scope, count: u16, timeout_seconds: u32) -> Vec<Expr> {
        let mut steps = self.drawn(scope, count);
        let (key, value) = (self.client(), self.backend());
        steps.push(Expr::Payload(Header::Source, key));
        // Learning only renews a key that is there, so a backend that has gone must be forgotten first.
        steps.push(Expr::Forget { map: AFFINITY, key, value });
        steps.push(Expr::Learn { map: AFFINITY, key, value, timeout_seconds });
        steps.extend(self.dnat());
        steps
    }

    /// The client's last backend, if it is still one (spec C7.4), its time renewed (spec C7.3).
    fn remembered(self, scope: Scope, timeout_seconds: u32) -> Vec<Expr> {
        let (key, value) = (self.client(), self.backend());
        let mut steps = vec![
            Expr::Payload(Header::Source, key),
            Expr::Lookup(AFFINITY, key, value),
            Expr::Immediate(self.slot(), word(first_slot(scope))),
            Expr::In(MEMBERS, IDENTITY),
            Expr::Learn { map: AFFINITY, key, value, timeout_seconds },
        ];
        steps.extend(self.dnat());
        steps
    }

    fn dnat(self) -> Vec<Expr> {
        vec![Expr::Dnat { address: self.backend(), port: self.backend() + self.words }]
    }
}

fn base_chains() -> Vec<Chain> {
    let base = |name: &str, nat, hook, priority| Chain {
        name: name.into(),
        base: Some(Base { nat, hook, priority }),
    };
    vec![
        base("prerouting", true, Hook::Prerouting, -100),
        base("output", true, Hook::Output, -100),
        base("postrouting", true, Hook::Postrouting, 100),
        base("forward", false, Hook::Forward, 0),
        base("sent", false, Hook::Output, 0),
        base("leaving", false, Hook::Postrouting, 0),
    ]
}

fn refuse() -> Vec<Rule> {
    let is_tcp = Expr::Compare(0, Test::Is, vec![6]);
    vec![
        rule("refuse", vec![Expr::Protocol(0), is_tcp, Expr::Reset]),
        rule("refuse", vec![Expr::Unreachable]),
    ]
}

/// First packets: who may come at all (spec C6.1), then where to.
fn entrances(family: Family) -> Vec<Rule> {
    let plan = Registers::of(family);
    let mut stranger = plan.key(Source::Packet, 0);
    stranger.extend([
        Expr::In(RESTRICTED, 0),
        Expr::Payload(Header::Source, plan.words + 2),
        Expr::NotIn(SOURCES, 0),
        Expr::Verdict(Verdict::Drop),
    ]);
    let from_pod = vec![Expr::Payload(Header::Source, 0), Expr::In(POD_CIDRS, 0), goto("inside")];
    vec![
        rule("prerouting", stranger.clone()),
        rule("prerouting", from_pod),
        rule("prerouting", vec![goto("outside")]),
        rule("output", stranger),
        rule("output", vec![goto("inside")]),
    ]
}

/// A Service's address, a NodePort, a ClusterIP at another port, or an address of the Service range nobody holds; the
/// last only when it is not the node's own, which a DNS server may listen on.
fn ways_in(family: Family, chain: &str, action: Register) -> Vec<Rule> {
    let plan = Registers::of(family);
    let followed = |mut way: Vec<Expr>| {
        way.push(Expr::Follow(ACTIONS, action));
        rule(chain, way)
    };
    let known = vec![Expr::Payload(Header::Destination, 0), Expr::In(CLUSTER_IPS, 0), goto("refuse")];
    let mut unclaimed = vec![Expr::Payload(Header::Destination, 0), Expr::In(SERVICE_CIDRS, 0)];
    unclaimed.extend(not_mine());
    unclaimed.push(goto("refuse"));
    vec![
        followed(plan.by_address(Source::Packet)),
        followed(plan.by_node_port(Source::Packet)),
        rule(chain, known),
        rule(chain, unclaimed),
    ]
}

/// Whose source is rewritten, in this order: pods that leave the pod network, connections that come back to their own
/// source, and what the frontend says.
fn masquerade(family: Family, node: &NodeRules) -> Vec<Rule> {
    let plan = Registers::of(family);
    let mut rules = Vec::new();
    if node.options.masquerade_pods {
        rules.push(rule("postrouting", pod_leaves()));
    }
    let mut hairpin = translated(Test::IsNot);
    hairpin.push(Expr::Payload(Header::Source, 0));
    hairpin.push(Expr::Payload(Header::Destination, plan.words));
    hairpin.extend([Expr::In(HAIRPINS, 0), Expr::Masquerade]);
    rules.push(rule("postrouting", hairpin));
    for way in [plan.by_address(Source::Original), plan.by_node_port(Source::Original)] {
        let steps = [translated(Test::IsNot), way, vec![Expr::Follow(MASQUERADE, REWRITE)]];
        rules.push(rule("postrouting", steps.concat()));
    }
    let not_pod = vec![Expr::Payload(Header::Source, 0), Expr::NotIn(POD_CIDRS, 0), Expr::Masquerade];
    let from_node = vec![Expr::SourceType(0), Expr::Compare(0, Test::Is, word(LOCAL)), Expr::Masquerade];
    rules.push(rule("masquerade", vec![Expr::Masquerade]));
    rules.push(rule("masquerade-unless-pod", not_pod));
    rules.push(rule("masquerade-if-node", from_node));
    rules
}

fn pod_leaves() -> Vec<Expr> {
    vec![
        Expr::Payload(Header::Source, 0),
        Expr::In(POD_CIDRS, 0),
        Expr::Payload(Header::Destination, 0),
        Expr::NotIn(POD_CIDRS, 0),
        Expr::OutInterface(0),
        Expr::NotIn(POD_INTERFACES, 0),
        Expr::Masquerade,
    ]
}

/// Nothing for the Service range, nothing for pods by another link. In `sent` the out-going interface is the one from
/// before translation, so what was translated is only judged in `leaving`, where refusing is no longer possible.
fn guards(node: &NodeRules) -> Vec<Rule> {
    let mut to_service = vec![Expr::Payload(Header::Destination, 0), Expr::In(SERVICE_CIDRS, 0)];
    to_service.extend(not_mine());
    to_service.push(goto("refuse"));
    let mut rules = vec![rule("forward", to_service.clone()), rule("sent", to_service)];
    if !node.options.pod_interfaces.is_empty() {
        let astray = vec![
            Expr::Payload(Header::Destination, 0),
            Expr::In(POD_CIDRS, 0),
            Expr::OutInterface(0),
            Expr::NotIn(POD_INTERFACES, 0),
        ];
        let then = |verdict: Expr| [astray.clone(), vec![verdict]].concat();
        rules.push(rule("forward", then(goto("refuse"))));
        rules.push(rule("sent", [translated(Test::Is), then(goto("refuse"))].concat()));
        rules.push(rule("leaving", then(Expr::Verdict(Verdict::Drop))));
    }
    rules
}

/// The kernel's RTN_LOCAL: an address of the node.
const LOCAL: u32 = 2;
/// The kernel's IPS_DST_NAT: the destination was translated.
const TRANSLATED: u32 = 1 << 5;

fn not_mine() -> [Expr; 2] {
    [Expr::DestinationType(0), Expr::Compare(0, Test::IsNot, word(LOCAL))]
}

/// The translated bit against zero.
fn translated(test: Test) -> Vec<Expr> {
    vec![Expr::Ct(Ct::Status, 0), Expr::Mask(0, TRANSLATED), Expr::Compare(0, test, word(0))]
}

fn word(value: u32) -> Vec<u8> {
    Bytes::default().word(value).0
}

fn goto(chain: &str) -> Expr {
    Expr::Verdict(Verdict::Goto(chain.into()))
}

fn rule(chain: &str, expressions: Vec<Expr>) -> Rule {
    Rule { chain: chain.into(), expressions }
}
