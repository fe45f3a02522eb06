//! Commands played to a model of the kernel's sets: every key exists when it is deleted and not when it is added, and
//! what is there afterwards says what the tables say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use kelson_model::{Affinity, Snapshot};

use super::super::keys::{self, Bytes};
use super::super::sets::AFFINITY;
use super::super::{Command, Expr, Value, Verdict};
use super::{ACTIONS, CLUSTER_IPS, ENDPOINTS, FRONTENDS, Layout, MEMBERS, SERVICE_CIDRS, SOURCES, reslot};
use crate::fixture::{Random, cidr, endpoint, ip, node, put, service, snapshot};
use crate::{Action, Family, Options, Scope, Tables, compile, diff};

/// The sets by name, the rules by chain.
#[derive(Debug, Default, PartialEq)]
struct Kernel {
    sets: BTreeMap<&'static str, BTreeMap<Vec<u8>, Value>>,
    chains: BTreeMap<String, Vec<Vec<Expr>>>,
}

impl Kernel {
    fn play(&mut self, commands: &[Command]) {
        for command in commands {
            match command {
                Command::AddTable => {}
                Command::Restore { .. } => panic!("only who knows the old table restores"),
                Command::DeleteTable => *self = Self::default(),
                Command::AddSet(set) => assert!(self.sets.insert(set.name, BTreeMap::new()).is_none()),
                Command::AddChain(chain) => {
                    assert!(self.chains.insert(chain.name.clone(), vec![]).is_none(), "{}", chain.name);
                }
                Command::AddRule(rule) => {
                    self.chains.get_mut(&rule.chain).expect("its chain").push(rule.expressions.clone());
                }
                Command::AddElements { set, elements } => {
                    for element in elements {
                        self.follow(&element.value);
                        let key = [element.key.clone(), element.key_end.clone().unwrap_or_default()].concat();
                        let before =
                            self.sets.get_mut(set).expect("its set").insert(key, element.value.clone());
                        assert_eq!(before, None, "{set} {:?} is there", element.key);
                    }
                }
                Command::DeleteElements { set, elements } => {
                    for element in elements {
                        let key = [element.key.clone(), element.key_end.clone().unwrap_or_default()].concat();
                        let before = self.sets.get_mut(set).expect("its set").remove(&key);
                        assert!(before.is_some(), "{set} {:?} is not there", element.key);
                    }
                }
            }
        }
    }

    /// A verdict may only lead to a chain that exists.
    fn follow(&self, value: &Value) {
        if let Value::Verdict(Verdict::Goto(chain)) = value {
            assert!(self.chains.contains_key(chain), "{chain}");
        }
    }

    /// The chain an action's number leads to.
    fn chain_of(&self, value: &[u8]) -> Option<&String> {
        match &self.sets[ACTIONS][&value[4..8]] {
            Value::Verdict(Verdict::Goto(chain)) => Some(chain),
            _ => None,
        }
    }

    /// Everything packets can see agrees with `tables`.
    fn agrees(&self, tables: &Tables) {
        let four = |address: std::net::IpAddr| Family::of(address) == Family::V4;
        let frontends: Vec<_> = tables.frontends.iter().filter(|(key, _)| four(key.address)).collect();
        assert_eq!(self.sets[FRONTENDS].len(), frontends.len());
        for (key, frontend) in frontends {
            let Value::Bytes(value) = &self.sets[FRONTENDS][&keys::frontend(*key)] else { panic!("a map") };
            assert_eq!(value[16..], keys::frontend(frontend.identity));
            if let Action::Forward { scope, count } = frontend.inside {
                let chain = self.chain_of(value).expect("a chain");
                assert_eq!(self.drawn(chain), (u32::from(count), keys::first_slot(scope)));
                assert_eq!(chain.contains("sticky"), frontend.affinity.is_some());
            }
        }
        let pools: Vec<_> = tables.pools.iter().filter(|(key, _)| key.family == Family::V4).collect();
        let mut members = 0;
        let mut slots = 0;
        for (_, pool) in pools {
            for scope in [Scope::Cluster, Scope::Local] {
                let backends = pool.backends(scope);
                let held: BTreeSet<Backend> = (0..backends.len())
                    .map(|slot| Backend::of(&self.sets[ENDPOINTS][&keys::slot(pool.identity, scope, slot)]))
                    .collect();
                let wanted = backends.iter().map(|b| Backend(Bytes::default().backend(*b).0)).collect();
                assert_eq!(held, wanted);
                slots += backends.len();
                if pool.affinity.is_some() {
                    members += backends.len();
                }
            }
        }
        assert_eq!((self.sets[ENDPOINTS].len(), self.sets[MEMBERS].len()), (slots, members));
    }

    /// Modulus and offset of the last draw in a chain.
    fn drawn(&self, chain: &str) -> (u32, u32) {
        let mut draws = self.chains[chain].iter().flatten().filter_map(|e| match e {
            Expr::Random { modulus, offset, .. } => Some((*modulus, *offset)),
            _ => None,
        });
        draws.next_back().expect("a draw")
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Backend(Vec<u8>);

impl Backend {
    fn of(value: &Value) -> Self {
        match value {
            Value::Bytes(bytes) => Self(bytes.clone()),
            other => panic!("{other:?} is no backend"),
        }
    }
}

fn tables(snapshot: &Snapshot) -> Tables {
    compile(snapshot, &node(), &Options::default()).0.as_ref().clone()
}

#[test]
fn any_history_leads_to_what_the_tables_say() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let mut snapshot = Snapshot::default();
        let mut before = tables(&snapshot);
        let (mut layout, commands) = Layout::replace(Family::V4, &before);
        let mut kernel = Kernel::default();
        kernel.play(&commands);
        for _ in 0..30 {
            for _ in 0..=random.below(3) {
                random.change(&mut snapshot);
            }
            let after = tables(&snapshot);
            let (next, commands) = layout.update(&diff(&before, &after), &after);
            kernel.play(&commands);
            kernel.agrees(&after);
            let mut fresh = Kernel::default();
            fresh.play(&Layout::replace(Family::V4, &after).1);
            fresh.agrees(&after);
            for set in ["restricted", SOURCES, "hairpins", CLUSTER_IPS, MEMBERS] {
                assert_eq!(kernel.sets[set], fresh.sets[set], "seed {seed}: {set}");
            }
            (layout, before) = (next, after);
        }
    }
}

/// The promise of the layout: one endpoint replaced is one element, whatever else there is.
#[test]
fn an_endpoint_replaced_in_place_is_one_element() {
    let mut web = service("web", "10.96.0.1");
    web.external_ips = vec![ip("203.0.113.1")];
    let mut snapshot =
        snapshot(&[(web.clone(), ["10.244.9.1", "10.244.9.2"].map(crate::fixture::remote).to_vec())]);
    let before = tables(&snapshot);
    let (layout, _) = Layout::replace(Family::V4, &before);
    put(&mut snapshot, &web, &["10.244.9.2", "10.244.9.3"].map(crate::fixture::remote));
    let after = tables(&snapshot);
    let (_, commands) = layout.update(&diff(&before, &after), &after);
    let touched: Vec<(&str, usize)> = commands
        .iter()
        .map(|command| match command {
            Command::DeleteElements { set, elements } | Command::AddElements { set, elements } => {
                (*set, elements.len())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(touched, [(ENDPOINTS, 1), (ENDPOINTS, 1)]);
}

#[test]
fn slots_move_as_little_as_can_be() {
    let at = |n: u16| SocketAddr::new(ip("10.244.0.1"), n);
    let check = |held: &[u16], wanted: &[u16], expected: &[u16]| {
        let list = |ports: &[u16]| ports.iter().map(|n| at(*n)).collect::<Vec<_>>();
        assert_eq!(reslot(&list(held), &list(wanted)), list(expected));
    };
    check(&[], &[1, 2], &[1, 2]);
    check(&[1, 2, 3], &[2, 3, 4], &[4, 2, 3]);
    check(&[1, 2, 3], &[2, 3], &[3, 2]);
    check(&[1, 2, 3, 4], &[4, 5], &[5, 4]);
    check(&[1, 2], &[], &[]);
    check(&[2], &[1, 2, 3], &[2, 1, 3]);
}

#[test]
fn ranges_that_touch_or_nest_are_one() {
    let elements = |ranges: &[&str]| {
        let ranges: Vec<_> = ranges.iter().map(|range| cidr(range)).collect();
        let all = keys::range_elements(&ranges, Family::V4);
        let text = |e: &super::Element| {
            let octets: [u8; 4] = e.key.clone().try_into().unwrap();
            format!("{}{}", std::net::Ipv4Addr::from(octets), if e.interval_end { ")" } else { "[" })
        };
        all.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(elements(&["10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16"]), ["10.0.0.0[", "11.0.0.0)"]);
    assert_eq!(elements(&["0.0.0.0/0"]), ["0.0.0.0["]);
    assert_eq!(elements(&["192.0.2.7/32", "fd00::/8"]), ["192.0.2.7[", "192.0.2.8)"]);
    let set = tables(&Snapshot::default());
    let (_, commands) = Layout::replace(Family::V6, &set);
    let ranges = commands.iter().find_map(|command| match command {
        Command::AddElements { set: SERVICE_CIDRS, elements } => Some(elements.len()),
        _ => None,
    });
    assert_eq!(ranges, Some(2));
}

/// C7.3, C7.4: a sticky chain first tries the remembered backend, then draws and remembers, then just draws.
#[test]
fn a_sticky_chain_remembers_before_it_draws() {
    let mut web = service("web", "10.96.0.1");
    web.affinity = Some(Affinity { timeout_seconds: 7 });
    let (_, commands) =
        Layout::replace(Family::V6, &tables(&snapshot(&[(web.clone(), vec![endpoint("10.244.0.1")])])));
    assert!(!commands.iter().any(|c| matches!(c, Command::AddChain(chain) if chain.name.contains("sticky"))));
    let (_, commands) =
        Layout::replace(Family::V4, &tables(&snapshot(&[(web, vec![endpoint("10.244.0.1")])])));
    let steps: Vec<&str> = commands
        .iter()
        .filter_map(|command| match command {
            Command::AddRule(rule) if rule.chain == "pick-1-sticky-7" => Some(&rule.expressions),
            _ => None,
        })
        .map(|rule| match rule {
            r if r.iter().any(|e| matches!(e, Expr::In(MEMBERS, _))) => "remembered",
            r if r.iter().any(|e| matches!(e, Expr::Learn { map: AFFINITY, timeout_seconds: 7, .. })) => {
                "learned"
            }
            _ => "drawn",
        })
        .collect();
    assert_eq!(steps, ["remembered", "remembered", "learned", "learned", "drawn", "drawn"]);
}
