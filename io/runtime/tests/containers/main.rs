//! Real containers on this machine's kernel: run as root, with busybox (Debian's busybox-static) as the image.
//!
//! The harness is its own binary because a shim is this very file run as `… shim DIR`. `cargo test -p kelson-runtime
//! --test containers -- NAME` runs the tests whose name contains NAME. Every test has a root directory and a cgroup
//! parent of its own and must leave nothing behind: that is asserted after each, passed or failed.

mod cases;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == "shim") {
        return kelson_runtime::shim_main(args);
    }
    if std::env::args().nth(1).as_deref() == Some("client") {
        return cases::adoption::victim(std::env::args().skip(2).collect());
    }
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    assert!(nix::unistd::geteuid().is_root(), "these tests make containers: run them as root");
    let failures = cases::all().into_iter().filter(|(name, _)| name.contains(&filter)).filter(run).count();
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// True when the test failed.
fn run((name, test): &(&str, cases::Case)) -> bool {
    let begun = std::time::Instant::now();
    let world = world::World::new(name);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.block_on(test(&world))));
    let left = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.clean_up()));
    let failed = result.is_err() || left.is_err();
    println!("test {name} ... {} ({:?})", if failed { "FAILED" } else { "ok" }, begun.elapsed());
    failed
}
