//! Running a command in a container and hearing how it went: probes and hooks.
//!
//! Bounded in time and in what is kept of the output; a command that overruns is killed.

use crate::error::chain;
use kelson_runtime::{ExecConfig, FdStream, Pod};
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// Output that is kept.
const OUTPUT_MAX: u64 = 10 << 10;

/// How a command went.
pub enum Outcome {
    /// It ended with this code and said this much.
    Ended {
        code: i32,
        output: String,
    },
    TimedOut,
    /// It could not be run.
    Failed(String),
}

/// Runs `args` in the container, for at most `limit`.
pub async fn run(pod: &Pod, id: &str, args: &[String], limit: Duration) -> Outcome {
    let exec = ExecConfig { args: args.to_vec(), stdout: true, stderr: true, ..ExecConfig::default() };
    let begun = tokio::time::Instant::now();
    let mut session = match tokio::time::timeout(limit, pod.exec(id, &exec)).await {
        Ok(Ok(session)) => session,
        Ok(Err(error)) => return Outcome::Failed(chain(&error)),
        Err(_) => return Outcome::TimedOut,
    };
    let (stdout, stderr) = (session.stdout.take(), session.stderr.take());
    let work = async {
        let (out, err, code) = tokio::join!(read(stdout), read(stderr), session.control.wait());
        code.map(|code| (code, out + &err))
    };
    match tokio::time::timeout_at(begun + limit, work).await {
        Ok(Ok((code, output))) => Outcome::Ended { code, output },
        Ok(Err(error)) => Outcome::Failed(chain(&error)),
        Err(_) => {
            let _ = session.control.kill(libc::SIGKILL).await;
            Outcome::TimedOut
        }
    }
}

/// Reads to the end, keeping the beginning.
async fn read(stream: Option<FdStream>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut kept = Vec::new();
    let _ = (&mut stream).take(OUTPUT_MAX).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}
