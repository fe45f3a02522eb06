//! That a diff names what changed and nothing else, and that it leads from one table to the other.

use kelson_model::Snapshot;

use super::{Change, diff};
use crate::fixture::{Random, endpoint, node, put, service, snapshot};
use crate::{Options, Tables, compile};

#[test]
fn one_endpoint_is_one_pool_and_its_frontends() {
    let many: Vec<_> = (0..50)
        .map(|n| (service(&format!("s{n}"), &format!("10.96.1.{n}")), vec![endpoint("10.244.0.1")]))
        .collect();
    let mut snapshot = snapshot(&many);
    let (before, _) = compile(&snapshot, &node(), &Options::default());
    put(&mut snapshot, &many[7].0, &[endpoint("10.244.0.1"), endpoint("10.244.0.2")]);
    let (after, _) = compile(&snapshot, &node(), &Options::default());
    let changes = diff(&before, &after);
    assert_eq!((changes.frontends.len(), changes.pools.len(), changes.hairpins.len()), (1, 1, 1));
    assert!(!changes.node && changes.node_ports.is_empty() && changes.cluster_ips.is_empty());
    assert!(diff(&after, &after).is_empty());
}

#[test]
fn a_diff_leads_from_one_table_to_the_other() {
    for seed in 0..30 {
        let mut random = Random(seed);
        let mut snapshot = Snapshot::default();
        let mut tables = std::sync::Arc::new(Tables { node: rules(), ..Tables::default() });
        for _ in 0..20 {
            random.change(&mut snapshot);
            let (next, _) = compile(&snapshot, &node(), &Options::default());
            assert_eq!(follow(&tables, &next), *next, "seed {seed}");
            tables = next;
        }
    }
}

fn rules() -> std::sync::Arc<crate::NodeRules> {
    compile(&Snapshot::default(), &node(), &Options::default()).0.node.clone()
}

/// `old` with everything done to it that the diff to `new` says; counts of hairpins, which no diff tells, taken over.
fn follow(old: &Tables, new: &Tables) -> Tables {
    let changes = diff(old, new);
    let mut next = old.clone();
    for change in changes.frontends {
        apply(&mut next.frontends, change);
    }
    for change in changes.node_ports {
        apply(&mut next.node_ports, change);
    }
    for change in changes.pools {
        apply(&mut next.pools, change);
    }
    for change in changes.cluster_ips {
        match change.new {
            Some(()) => next.cluster_ips.insert(change.key),
            None => next.cluster_ips.remove(&change.key),
        };
    }
    for change in changes.hairpins {
        apply(
            &mut next.hairpins,
            Change { key: change.key, old: change.old.map(|()| 1), new: change.new.map(|()| 1) },
        );
    }
    assert!(next.hairpins.keys().eq(new.hairpins.keys()));
    next.hairpins = new.hairpins.clone();
    next
}

fn apply<K: Ord + Clone, V: Clone>(map: &mut imbl::OrdMap<K, V>, change: Change<K, V>) {
    let before = match change.new {
        Some(new) => map.insert(change.key, new),
        None => map.remove(&change.key),
    };
    assert_eq!(before.is_some(), change.old.is_some());
}
