//! One `kelson up`, started and timed from outside.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};

/// The query `kubernetes.default.svc.cluster.local A`, as it stands on the wire.
const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x0akubernetes\x07default\x03svc\x07cluster\x05local\x00\x00\x01\x00\x01";
/// Where the cluster DNS answers.
const DNS: &str = "10.96.0.10:53";

/// A running kelson.
pub struct Node {
    kelson: PathBuf,
    data_dir: PathBuf,
    process: Child,
}

impl Node {
    /// Starts kelson and waits until it reports the node Ready and DNS gives a right answer.
    pub fn start(kelson: &Path, data_dir: &Path) -> anyhow::Result<(Self, Duration)> {
        let begin = Instant::now();
        let mut command = Command::new(kelson);
        command.arg("up").arg("--data-dir").arg(data_dir).args(["--node-name", "bench"]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let stdout = process.stdout.take().context("stdout is piped")?;
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        ensure!(
            lines.any(|line| line.starts_with("export KUBECONFIG=")),
            "kelson up ended before it was ready"
        );
        if let Err(why) = ask_dns() {
            process.kill()?;
            return Err(why);
        }
        let took = begin.elapsed();
        std::thread::spawn(move || lines.for_each(drop));
        Ok((Self { kelson: kelson.into(), data_dir: data_dir.into(), process }, took))
    }

    /// Proportional set size of the kelson process in megabytes.
    pub fn memory_mb(&self) -> anyhow::Result<f64> {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.process.id()))?;
        let line =
            rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("the kernel reports PSS")?;
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes * 1024.0 / 1e6)
    }

    /// The CPU time the kelson process has used, its own and the kernel's for it.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let ticks: Vec<u64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
        let [user, system] = ticks.as_slice() else {
            bail!("the kernel reports CPU time otherwise than expected")
        };
        // A tick is a hundredth of a second to user space, whatever the kernel's own is.
        Ok(Duration::from_millis((user + system) * 10))
    }

    /// A client over TLS, as any user's.
    pub async fn client(&self) -> anyhow::Result<kube::Client> {
        client_of(&self.data_dir.join("kubeconfig")).await
    }

    /// Stops kelson and removes every trace of its cluster.
    pub fn remove(mut self) -> anyhow::Result<()> {
        Command::new("kill").args(["-INT", &self.process.id().to_string()]).status()?;
        self.process.wait()?;
        let down = Command::new(&self.kelson)
            .arg("down")
            .arg("--data-dir")
            .arg(&self.data_dir)
            .stdout(Stdio::null())
            .status()?;
        ensure!(down.success(), "kelson down failed");
        Ok(())
    }
}

/// A client of the cluster that kubeconfig names.
pub async fn client_of(kubeconfig: &Path) -> anyhow::Result<kube::Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

/// Imports the kelson binary as the image the pods run.
pub fn import_echo(kelson: &Path, data_dir: &Path) -> anyhow::Result<()> {
    import(kelson, data_dir, kelson, "kelson.local/echo:latest", &["--arg", "echo"])
}

/// Imports a static program as an image.
pub fn import(
    kelson: &Path,
    data_dir: &Path,
    program: &Path,
    name: &str,
    flags: &[&str],
) -> anyhow::Result<()> {
    let mut command = Command::new(kelson);
    command.args(["image", "from-binary"]).arg(program).args(["--name", name]).args(flags);
    ensure!(
        command.arg("--data-dir").arg(data_dir).stdout(Stdio::null()).status()?.success(),
        "the image is not imported"
    );
    Ok(())
}

fn ask_dns() -> anyhow::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    let end = Instant::now() + Duration::from_secs(10);
    let mut answer = [0; 512];
    while Instant::now() < end {
        // Until the Service is programmed, its address is refused.
        if socket.send_to(QUERY, DNS).is_err() {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        if let Ok(length) = socket.recv(&mut answer) {
            ensure!(
                length > QUERY.len() && answer[3] & 0xf == 0 && answer[7] == 1,
                "the DNS answer is wrong"
            );
            return Ok(());
        }
    }
    bail!("{DNS} does not answer")
}
