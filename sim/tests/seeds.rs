//! Some hundreds of worlds: each must come to rest with everything as it should be, and nothing wrong on the way.
//!
//! A fault is shown again by `kelson-sim --seed N --steps N`, with the steps of the test.

use kelson_sim::{Length, run};

/// Runs these seeds; between them everything scarce was fought for.
fn check(seeds: std::ops::Range<u64>, steps: usize) {
    let (mut preempted, mut over_quota, mut host_ports) = (0, 0, 0);
    for seed in seeds {
        match run(seed, Length::of(steps)) {
            Err(failure) => panic!("--seed {seed} --steps {steps}: step {}: {}", failure.step, failure.what),
            Ok(report) => {
                preempted += report.preempted;
                over_quota += report.over_quota;
                host_ports += report.host_ports;
            }
        }
    }
    println!("{preempted} driven away, {over_quota} over a quota, {host_ports} host ports");
    assert!(preempted > 10 && over_quota > 10 && host_ports > 10, "{preempted} {over_quota} {host_ports}");
}

#[test]
fn short_lives() {
    check(0..250, 300);
}

#[test]
fn long_lives() {
    check(1000..1030, 1500);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let once = || format!("{:?}", run(7, Length::of(1000)));
    assert_eq!(once(), once());
}
