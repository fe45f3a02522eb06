//! Durable writes into the store alone, nothing before it: `writes DIRECTORY CLIENTS` prints commits a second and the 99th
//! percentile in µs, and the same of a bare file that is appended to and synced: what the disk itself can do.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use kelson_store::{Change, Config, Embedded, Expect, Store};

/// How long a load runs before it counts.
const WARM_UP: Duration = Duration::from_millis(500);
/// How long it counts.
const MEASURED: Duration = Duration::from_secs(5);
/// Bytes of a value.
const VALUE_BYTES: usize = 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, clients] = arguments.as_slice() else {
        return Err("usage: writes DIRECTORY CLIENTS".into());
    };
    let (directory, clients) = (Path::new(directory), clients.parse::<usize>()?);
    report("file", &mut synced(&directory.join("bare"))?);
    let path = directory.join("store");
    let store = Embedded::open(&path, Config::default())?;
    let begin = Instant::now();
    let loads = (0..clients).map(|client| load(&store, client, begin));
    let mut times = join_all(loads).await.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    report("store", &mut times);
    drop(store);
    std::fs::remove_file(path)?;
    Ok(())
}

/// One commit after the other; how long each took that was answered while it counts.
async fn load(
    store: &Embedded,
    client: usize,
    begin: Instant,
) -> Result<Vec<Duration>, kelson_store::StoreError> {
    let (from, until) = (begin + WARM_UP, begin + WARM_UP + MEASURED);
    let mut times = Vec::new();
    for number in 0_u64.. {
        let write = Instant::now();
        if write >= until {
            break;
        }
        let key = format!("/registry/core/configmaps/default/{client}-{number}");
        store.commit(vec![Change::put(key, Expect::Absent, vec![b'x'; VALUE_BYTES])]).await?;
        if (from..until).contains(&Instant::now()) {
            times.push(write.elapsed());
        }
    }
    Ok(times)
}

/// Appends and syncs, one at a time, for as long as a load counts.
fn synced(path: &Path) -> std::io::Result<Vec<Duration>> {
    let mut file = File::create(path)?;
    let (begin, mut times) = (Instant::now(), Vec::new());
    while begin.elapsed() < MEASURED {
        let write = Instant::now();
        file.write_all(&[b'x'; VALUE_BYTES])?;
        file.sync_data()?;
        times.push(write.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(times)
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort();
    let p99 = times.get(times.len() * 99 / 100).map_or(0.0, |time| time.as_secs_f64() * 1e6);
    println!("{what}\t{:.0}\t{p99:.0}", times.len() as f64 / MEASURED.as_secs_f64());
}
