//! Every target over a few hundred to a few thousand inputs, the same every time; and that none is forgotten.

use super::{TARGETS, find, run};
use crate::mutate::{Random, input};

/// Where the inputs of a run come from.
const SEED: u64 = 0x6b65_6c73_6f6e;

macro_rules! each_returns {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            let target = find(stringify!($name)).expect("a target of this name");
            assert!(!(target.seeds)().is_empty());
            run(target, target.tries, SEED);
        })*

        #[test]
        fn every_target_is_tried() {
            let tried = [$(stringify!($name)),*];
            let known: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(tried.as_slice(), known);
        }
    };
}

each_returns! {
    api_apply api_object api_patch api_protobuf api_request api_selector api_yaml arp_packet cluster_objects
    credentials cron_schedule dns_query dns_reply image_archive image_config image_layer image_name image_users
    ingress_answer ingress_ask ingress_route kubelet_log kubelet_spdy kubelet_websocket
}

/// The fuzzer's own package lists the same targets, and each calls the body of its name.
#[test]
fn the_fuzzer_knows_every_target() {
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let manifest = std::fs::read_to_string(format!("{place}/Cargo.toml")).unwrap();
    let listed: Vec<_> =
        manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")).collect();
    let expected: Vec<_> = TARGETS.iter().map(|target| format!("{}.rs\"", target.name)).collect();
    assert_eq!(listed, expected);
    for target in TARGETS {
        let file = std::fs::read_to_string(format!("{place}/fuzz_targets/{}.rs", target.name)).unwrap();
        assert!(file.contains(&format!("kelson_fuzz::{}(bytes)", target.path)), "{}", target.name);
    }
}

#[test]
fn every_kind_has_a_seed() {
    let seeds = crate::seeds::documents();
    let is_there = |kind: &str| seeds.iter().any(|object| object["kind"] == kind);
    let missing: Vec<_> =
        kelson_registry::kinds().iter().map(|kind| kind.kind).filter(|k| !is_there(k)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn inputs_are_the_same_every_time() {
    let seeds = [b"one".to_vec(), b"another".to_vec()];
    let inputs = || -> Vec<_> {
        let mut random = Random(SEED);
        (0..100).map(|_| input(&mut random, &seeds)).collect()
    };
    assert_eq!(inputs(), inputs());
    assert!(inputs().iter().any(|input| !seeds.contains(input)));
}
