//! The streaming API against real containers: a WebSocket client, and real kubectl (in the PATH) over plain HTTP on
//! 127.0.0.1. Run as root, with busybox-static. The harness is its own binary because a pod's shim is this very file.

mod cases;
mod stage;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == "shim") {
        return kelson_runtime::shim_main(args);
    }
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    assert!(nix::unistd::geteuid().is_root(), "these tests make containers: run them as root");
    let failures = cases::all().into_iter().filter(|(name, _)| name.contains(&filter)).filter(run).count();
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// True when the test failed.
fn run((name, test): &(&str, cases::Case)) -> bool {
    let begun = std::time::Instant::now();
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let stage = tokio.block_on(stage::Stage::new(name));
    let body = || {
        tokio.block_on(async {
            let limit = std::time::Duration::from_secs(60);
            tokio::time::timeout(limit, test(&stage)).await.expect("the test hangs")
        })
    };
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_err();
    tokio.block_on(stage.clear());
    println!("test {name} ... {} ({:?})", if failed { "FAILED" } else { "ok" }, begun.elapsed());
    failed
}
