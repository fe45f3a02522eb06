//! Some hundreds of worlds: each must come to rest with every Service leading exactly where it should.

use kelson_sim::{Length, run};

fn check(seeds: std::ops::Range<u64>, steps: usize) {
    for seed in seeds {
        if let Err(failure) = run(seed, Length { steps }) {
            panic!("seed {seed}, step {}: {}", failure.step, failure.what);
        }
    }
}

#[test]
fn short_lives() {
    check(0..200, 600);
}

#[test]
fn long_lives() {
    check(1000..1030, 4000);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let once = || format!("{:?}", run(7, Length { steps: 2000 }));
    assert_eq!(once(), once());
}
