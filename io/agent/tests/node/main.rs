//! A node at work against a real API server in process: real containers, real packets, a network namespace of its own.
//!
//! The harness is its own binary because a pod's shim is this very file run as `… shim DIR`. It runs as root, in network
//! and mount namespaces that it leaves behind by ending. `cargo test -p kelson-agent --test node -- NAME` runs the cases
//! whose name contains NAME; `--bench` runs the measurements instead.

mod bench;
mod cases;
mod volumes;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

/// A case: gets a node and must leave nothing of its own but what destroying the node removes.
pub type Case = for<'a> fn(&'a mut world::World) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == "shim") {
        return kelson_runtime::shim_main(args);
    }
    assert!(nix::unistd::geteuid().is_root(), "these tests make containers: run them as root");
    world::own_namespaces();
    if std::env::var_os("KELSON_LOG").is_some() {
        kelson_process::logging::start();
    }
    let bench = std::env::args().any(|arg| arg == "--bench");
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let cases = if bench { bench::all() } else { [cases::all(), volumes::all()].concat() };
    let failed = cases.into_iter().filter(|(name, _)| name.contains(&filter)).filter(run).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// True when the case failed.
fn run((name, case): &(&str, Case)) -> bool {
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut world = runtime.block_on(world::World::new(name));
    let result = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            tokio::time::timeout(world::PATIENCE * 4, case(&mut world)).await.expect("the case hangs")
        })
    }));
    let swept = catch_unwind(AssertUnwindSafe(|| runtime.block_on(world.sweep())));
    let failed = result.is_err() || swept.is_err();
    println!("test {name} ... {} ({:?})", if failed { "FAILED" } else { "ok" }, begun.elapsed());
    failed
}
