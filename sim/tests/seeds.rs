//! Some hundreds of worlds: each must come to rest with everything as it should be, and nothing wrong on the way.
//!
//! A fault is shown again by `kelson-sim --seed N --steps N`, with the steps of the test.

use kelson_sim::{Length, run};

fn check(seeds: std::ops::Range<u64>, steps: usize) {
    for seed in seeds {
        if let Err(failure) = run(seed, Length::of(steps)) {
            panic!("--seed {seed} --steps {steps}: step {}: {}", failure.step, failure.what);
        }
    }
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
