//! One cluster a test: a namespace without uplink, a data directory, `kelson up` in it, and kubectl pointed at it.

mod background;
mod client;
pub mod image;
mod namespace;
mod output;
pub mod resolver;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

pub use client::Client;
pub use namespace::Namespace;
pub use output::{Output, rows};

/// How long the cluster may take to report itself ready.
const START: Duration = Duration::from_secs(30);
/// How long anything awaited may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The binary under test.
pub const KELSON: &str = env!("CARGO_BIN_EXE_kelson");

/// A running cluster; dropping it removes every trace.
pub struct Cluster {
    namespace: Namespace,
    directory: PathBuf,
    process: Option<Child>,
    flags: Vec<String>,
}

impl Cluster {
    /// Starts a cluster called `name`.
    pub fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    /// Starts a cluster with further flags of `kelson up`.
    pub fn start_with(name: &str, flags: &[&str]) -> Self {
        let mut cluster = Self::prepare(name, flags);
        cluster.up();
        cluster
    }

    /// A cluster not started yet, to import images into or start by hand.
    pub fn prepare(name: &str, flags: &[&str]) -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "these tests make namespaces and containers: run them as root"
        );
        let directory = std::env::temp_dir().join(format!("kelson-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a temporary directory can be made");
        let flags = flags.iter().map(ToString::to_string).collect();
        Self { namespace: Namespace::create(name), directory, process: None, flags }
    }

    /// Runs `kelson up` until it says it is ready; returns what it reported.
    pub fn up(&mut self) -> String {
        let mut command = self.namespace.command(KELSON);
        command
            .arg("up")
            .arg("--data-dir")
            .arg(self.data_dir())
            .args(["--node-name", "node-1"])
            .args(&self.flags);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("the log opens");
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("kelson starts");
        let report =
            read_report(&mut child).unwrap_or_else(|| panic!("kelson up is not ready:\n{}", self.log()));
        self.process = Some(child);
        report
    }

    /// Asks kelson to stop and waits until it has; its pods live on.
    pub fn stop(&mut self) {
        self.signal("-INT");
    }

    /// Ends kelson as a power cut would.
    pub fn kill(&mut self) {
        self.signal("-KILL");
    }

    fn signal(&mut self, signal: &str) {
        let Some(mut child) = self.process.take() else { return };
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
        child.wait().expect("kelson ends");
    }

    pub fn data_dir(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// A directory for the test's own files.
    pub fn scratch(&self) -> &Path {
        &self.directory
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("kelson.log")
    }

    /// What kelson logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The name of the node's network namespace, for those who lay wires to it.
    pub fn node(&self) -> &str {
        self.namespace.name()
    }

    /// A command on the node.
    pub fn on_node(&self, program: &str) -> Command {
        self.namespace.command(program)
    }

    /// Runs a shell line on the node, as a reader of the tutorials types it.
    pub fn shell(&self, line: &str) -> Output {
        let mut command = self.on_node("sh");
        command
            .args(["-c", line])
            .env("KUBECONFIG", self.data_dir().join("kubeconfig"))
            .env("HOME", &self.directory);
        Output::of(line, command)
    }

    /// Runs `kubectl LINE` and insists that it succeeds.
    pub fn kubectl(&self, line: &str) -> Output {
        self.shell(&format!("kubectl {line}")).succeeded(|| self.log())
    }

    /// Runs `kubectl LINE`, however it ends.
    pub fn try_kubectl(&self, line: &str) -> Output {
        self.shell(&format!("kubectl {line}"))
    }

    /// Runs `kelson LINE` against this data directory and insists that it succeeds.
    pub fn kelson(&self, line: &str) -> Output {
        self.shell(&format!("{KELSON} {line} --data-dir {}", self.data_dir().display()))
            .succeeded(|| self.log())
    }

    /// Waits until `condition` returns something; panics with what was awaited when it never does.
    pub fn eventually<T>(&self, awaited: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = condition() {
                return found;
            }
            if Instant::now() > end {
                let state = self.try_kubectl("get all,endpoints,events -A -o wide");
                panic!("in vain: {awaited}\n{}\n{}", state.text, self.log());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until `kubectl LINE` prints something `accepts` takes, and returns it.
    pub fn until(&self, line: &str, accepts: impl Fn(&str) -> bool) -> String {
        self.eventually(line, || Some(self.try_kubectl(line).text).filter(|text| accepts(text)))
    }

    /// One HTTP request from the node; the body, or curl's exit code.
    pub fn curl(&self, url: &str) -> Result<String, i32> {
        let mut command = self.on_node("curl");
        command.args(["--silent", "--show-error", "--max-time", "5", url]);
        let output = Output::of(url, command);
        if output.code == 0 { Ok(output.text) } else { Err(output.code) }
    }
}

/// The lines kelson prints up to the one that says it is ready.
fn read_report(child: &mut Child) -> Option<String> {
    let stdout = child.stdout.take().expect("stdout is piped");
    let (lines, received) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // The receiver is gone once the cluster is ready; the pipe is still drained.
            let _ = lines.send(line);
        }
    });
    let end = Instant::now() + START;
    let mut report = String::new();
    while let Ok(line) = received.recv_timeout(end.saturating_duration_since(Instant::now())) {
        report += &format!("{line}\n");
        if line.starts_with("export KUBECONFIG=") {
            return Some(report);
        }
    }
    let _ = child.kill();
    None
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- kelson's log\n{}", self.log());
        }
        let mut down = self.on_node(KELSON);
        down.arg("down").arg("--data-dir").arg(self.data_dir());
        let removed = Output::of("kelson down", down);
        let _ = std::fs::remove_dir_all(&self.directory);
        if removed.code != 0 && !std::thread::panicking() {
            panic!("kelson down failed: {}{}", removed.text, removed.errors);
        }
    }
}
