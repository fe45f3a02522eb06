//! Tunnels: connections that stopped being HTTP (WebSockets and the like). Bytes go both ways until one side hangs up,
//! nothing moves for too long, or the drain is over. Never looks at them.

use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use kelson_process::Shutdown;
use tokio::io::copy_bidirectional;

use crate::activity::{Activity, Watched};
use crate::places::Place;
use crate::upstream::InFlight;

/// How long either side may take to let go of its connection once 101 was said.
const HANDOVER: Duration = Duration::from_secs(10);

/// Joins the two connections once both are free.
pub(crate) async fn run(
    client: OnUpgrade,
    backend: OnUpgrade,
    idle: Duration,
    kill: Shutdown,
    _request: (InFlight, Place),
) {
    let both = futures_util::future::try_join(client, backend);
    let Ok(Ok((client, backend))) = tokio::time::timeout(HANDOVER, both).await else { return };
    let activity = Activity::begin();
    let mut client = Watched::new(TokioIo::new(client), activity.clone());
    let mut backend = TokioIo::new(backend);
    tokio::select! {
        // How it ends, and how much went by, is the two programs' business.
        _ = copy_bidirectional(&mut client, &mut backend) => {}
        () = silence(&activity, idle) => tracing::debug!("a tunnel was silent for too long"),
        () = kill.cancelled() => {}
    }
}

/// Ends when nothing has moved for so long.
async fn silence(activity: &Activity, limit: Duration) {
    while let Some(left) = limit.checked_sub(activity.silence()).filter(|left| !left.is_zero()) {
        tokio::time::sleep(left).await;
    }
}
