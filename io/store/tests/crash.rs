//! Kills a writing process again and again: no acknowledged commit may be lost, no revision may go back.
//!
//! This binary is both sides: with `write <file>` it is the writer, which prints a line for every acknowledged commit;
//! otherwise it starts writers, kills them at random moments under load and compares the file with what they printed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use kelson_store::{Change, Config, Embedded, Expect, Store};

/// How often the writer is killed.
const ROUNDS: u32 = 50;
/// Tasks that commit at the same time.
const TASKS: u32 = 32;
/// The longest a writer lives after its first acknowledgement.
const LIFE_MS_MAX: u64 = 60;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("write") => write(Path::new(&arguments[2]), arguments[3].parse().unwrap()),
        _ => kill_again_and_again(),
    }
}

/// Every task overwrites its counter, adds a key of its own and removes the one before, in one commit.
fn write(path: &Path, round: u32) {
    let store = Arc::new(Embedded::open(path, Config::default()).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let tasks: Vec<_> = (0..TASKS).map(|task| runtime.spawn(commits(store.clone(), round, task))).collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
}

async fn commits(store: Arc<Embedded>, round: u32, task: u32) {
    for n in 0..u64::MAX {
        let changes = vec![
            Change::put(format!("/counter/{task}"), Expect::Any, format!("{round}.{n}")),
            Change::put(format!("/log/{round}/{task}/{n}"), Expect::Absent, vec![b'x'; 500]),
            Change::delete(format!("/log/{round}/{task}/{}", n.wrapping_sub(1)), Expect::Any, "gone"),
        ];
        let revision = store.commit(changes).await.unwrap();
        // One write, shorter than a pipe's atomic size: a line is there whole or not at all.
        let line = format!("{task} {n} {revision}\n");
        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
        std::io::stdout().lock().flush().unwrap();
    }
}

/// The last acknowledged commit of every task: its number and its revision.
type Acknowledged = BTreeMap<u32, (u64, u64)>;

fn kill_again_and_again() {
    let directory = Directory::new();
    let path = directory.0.join("store.redb");
    let mut revision = 0;
    let mut total = 0;
    for round in 0..ROUNDS {
        let acknowledged = one_life(&path, round);
        total += acknowledged.values().map(|(n, _)| n + 1).sum::<u64>();
        revision = check(&path, round, &acknowledged, revision);
    }
    assert!(total > u64::from(ROUNDS), "the writers must have been at work: {total} commits");
    println!("{ROUNDS} kills, {total} acknowledged commits, none lost; revision {revision}");
}

fn one_life(path: &Path, round: u32) -> Acknowledged {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["write".as_ref(), path.as_os_str(), round.to_string().as_ref()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Acknowledged::new();
    note(&mut acknowledged, &lines.next().expect("the writer starts writing").unwrap());
    let killer = std::thread::spawn(move || kill(child, random_ms()));
    for line in lines {
        note(&mut acknowledged, &line.unwrap());
    }
    killer.join().unwrap();
    acknowledged
}

fn kill(mut child: Child, after_ms: u64) {
    std::thread::sleep(Duration::from_millis(after_ms));
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "it was killed, it did not end by itself");
}

fn random_ms() -> u64 {
    u64::from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos()) / 1000
        % LIFE_MS_MAX
}

fn note(acknowledged: &mut Acknowledged, line: &str) {
    let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
    let [task, n, revision] = numbers[..] else { panic!("odd line {line:?}") };
    acknowledged.insert(task as u32, (n, revision));
}

/// Compares the file with what was acknowledged. Returns its revision.
fn check(path: &Path, round: u32, acknowledged: &Acknowledged, before: u64) -> u64 {
    let store = Embedded::open(path, Config::default()).unwrap();
    let newest = acknowledged.values().map(|(_, revision)| *revision).max().unwrap_or(0);
    assert!(
        store.revision() >= newest.max(before),
        "revision {} after {newest} and {before}",
        store.revision()
    );
    for (task, (n, revision)) in acknowledged {
        check_task(&store, round, *task, *n, *revision);
    }
    store.revision()
}

fn check_task(store: &Embedded, round: u32, task: u32, n: u64, revision: u64) {
    let counter = store.get(&format!("/counter/{task}")).now_or_never().unwrap().unwrap().unwrap();
    let (_, found) = std::str::from_utf8(&counter.value).unwrap().split_once('.').unwrap();
    let found: u64 = found.parse().unwrap();
    assert!(found >= n, "round {round} task {task}: {n} was acknowledged, {found} is there");
    assert!(counter.mod_revision >= revision);
    let log = store.list(&format!("/log/{round}/{task}/"), None, 0).now_or_never().unwrap().unwrap();
    let keys: Vec<_> = log.entries.iter().map(|entry| entry.key.to_string()).collect();
    assert_eq!(keys, [format!("/log/{round}/{task}/{found}")], "a commit is there whole or not at all");
}

/// A directory that goes away with its test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("kelson-store-crash-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
