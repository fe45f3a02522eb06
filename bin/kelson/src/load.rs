//! `kelson load` (hidden): a steady, bounded load of HTTP requests that counts what is lost, for tests and `bench/`.
//!
//! Requests leave by the clock whether earlier ones were answered or not, so that a slow answer delays nobody else.
//! Each is on a connection of its own, or on one of a few kept open, where a request that met a connection just closed
//! is repeated on a fresh one, as HTTP clients do. Prints one line at the end, and one for each kind of loss.

mod client;
mod tally;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::value_parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use client::{Connection, Failure};
use tally::Tally;

/// Requests under way at most; one more counts as lost.
const UNDER_WAY_MAX: usize = 2000;

#[derive(clap::Args)]
pub struct Flags {
    /// Where to send requests: ADDRESS:PORT
    address: SocketAddr,
    /// Requests a second
    #[arg(long, default_value_t = 300, value_parser = value_parser!(u32).range(1..=20_000))]
    rate: u32,
    /// Seconds to go on for; 0 until SIGTERM
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Connections to keep open; 0 for a new one each request
    #[arg(long, default_value_t = 0, value_parser = value_parser!(u32).range(0..=1000))]
    keep_alive: u32,
    /// How long an answer may take
    #[arg(long, default_value_t = 5000)]
    timeout_ms: u64,
}

pub fn run(flags: Flags) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tally = runtime.block_on(load(flags))?;
    print!("{}", tally.report());
    Ok(())
}

async fn load(flags: Flags) -> anyhow::Result<Tally> {
    let stop = CancellationToken::new();
    let told = stop.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let seconds = Duration::from_secs(if flags.seconds == 0 { u64::from(u32::MAX) } else { flags.seconds });
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = tokio::time::sleep(seconds) => {}
        }
        told.cancel();
    });
    match flags.keep_alive {
        0 => Ok(fresh(&flags, &stop).await),
        connections => Ok(kept(&flags, connections, &stop).await),
    }
}

/// A connection a request.
async fn fresh(flags: &Flags, stop: &CancellationToken) -> Tally {
    let (limit, address) = (Duration::from_millis(flags.timeout_ms), flags.address);
    let room = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    let mut tally = Tally::default();
    let mut under_way = JoinSet::new();
    let mut clock = interval(Duration::from_secs(1) / flags.rate);
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(answered) = under_way.join_next() => tally.count(answered.expect("a request does not panic")),
            _ = clock.tick() => match room.clone().try_acquire_owned() {
                Ok(place) => drop(under_way.spawn(async move {
                    let answered = once(address, limit).await;
                    drop(place);
                    answered
                })),
                Err(_) => tally.count(Err("too many requests under way".to_owned())),
            },
        }
    }
    while let Some(answered) = under_way.join_next().await {
        tally.count(answered.expect("a request does not panic"));
    }
    tally
}

async fn once(address: SocketAddr, limit: Duration) -> Result<Duration, String> {
    let begin = Instant::now();
    let answered = async { Connection::open(address).await?.request(false).await };
    answer(timeout(limit, answered).await)?;
    Ok(begin.elapsed())
}

/// A few connections, each with its share of the rate.
async fn kept(flags: &Flags, connections: u32, stop: &CancellationToken) -> Tally {
    let limit = Duration::from_millis(flags.timeout_ms);
    let pause = Duration::from_secs(1) * connections / flags.rate;
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        workers.spawn(keep(flags.address, pause, limit, stop.clone()));
    }
    let mut tally = Tally::default();
    while let Some(part) = workers.join_next().await {
        tally.add(part.expect("a worker does not panic"));
    }
    tally
}

async fn keep(address: SocketAddr, pause: Duration, limit: Duration, stop: CancellationToken) -> Tally {
    let mut tally = Tally::default();
    let mut held: Option<Connection> = None;
    let mut clock = interval(pause);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return tally,
            _ = clock.tick() => {}
        }
        let begin = Instant::now();
        let answered = timeout(limit, on_kept(address, &mut held, &mut tally)).await;
        tally.count(answer(answered).map(|()| begin.elapsed()));
    }
}

/// One request on the kept connection, or on a fresh one where that was closed before anything was answered.
async fn on_kept(
    address: SocketAddr,
    held: &mut Option<Connection>,
    tally: &mut Tally,
) -> Result<(), Failure> {
    if let Some(mut connection) = held.take() {
        match connection.request(true).await {
            Ok(true) => {
                *held = Some(connection);
                return Ok(());
            }
            Ok(false) => return Ok(()),
            Err(Failure::Closed(_)) => tally.repeated += 1,
            Err(other) => return Err(other),
        }
    }
    let mut connection = Connection::open(address).await?;
    if connection.request(true).await? {
        *held = Some(connection);
    }
    Ok(())
}

fn answer<T>(answered: Result<Result<T, Failure>, tokio::time::error::Elapsed>) -> Result<T, String> {
    match answered {
        Ok(answered) => answered.map_err(|failure| failure.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}
