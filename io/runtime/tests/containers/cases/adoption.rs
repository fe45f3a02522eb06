//! kelson dies, pods live; a shim dies, its pod is swept.

use crate::world::{World, ended, finish, shims, until};
use kelson_runtime::{EXIT_UNKNOWN, ExecConfig, Phase, Runtime};
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};

/// The client process that is killed: starts a pod with a container under ROOT and waits.
pub fn victim(args: Vec<String>) -> ExitCode {
    let config = serde_json::from_str(&args[1]).unwrap();
    let container: kelson_runtime::ContainerConfig = serde_json::from_str(&args[2]).unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let runtime = Runtime::new(&args[0], std::env::current_exe().unwrap());
        let pod = runtime.start_pod(&config).await.unwrap();
        pod.create(&container).await.unwrap();
        pod.start(&container.id).await.unwrap();
        println!("started");
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}

pub async fn killed_client_kills_no_pod(world: &World) {
    let config =
        world.shell("c", "trap 'exit 9' USR1; n=0; while :; do n=$((n+1)); echo $n; sleep 0.02; done");
    let mut client = Command::new(std::env::current_exe().unwrap())
        .arg("client")
        .arg(&world.root)
        .arg(serde_json::to_string(&world.pod_config("keep")).unwrap())
        .arg(serde_json::to_string(&config).unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(client.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "started\n");
    client.kill().unwrap();
    client.wait().unwrap();

    let before = world.output("c").len();
    let pods = world.runtime.list().await.unwrap();
    let [pod] = &pods[..] else { panic!("{} pods", pods.len()) };
    assert_eq!((pod.uid(), pod.is_alive(), pod.config().hostname.as_str()), ("keep", true, "host-keep"));
    assert_eq!(pod.containers(), [config]);
    let state = until(pod, "c", |_| true).await;
    assert_eq!(state.phase, Phase::Running);
    while world.output("c").len() < before + 3 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let args = ["sh", "-c", "exit 7"].map(String::from).to_vec();
    let session = pod.exec("c", &ExecConfig { args, stdout: true, ..ExecConfig::default() }).await.unwrap();
    assert_eq!(finish(session).await.2, 7, "exec works after a restart");
    pod.signal("c", libc::SIGUSR1).await.unwrap();
    assert_eq!(ended(pod, "c").await.exit_code, 9);
}

pub async fn dead_shim_is_lost_and_swept(world: &World) {
    let pod = world.pod("lost").await;
    let config = world.shell("c", "sleep 100");
    pod.create(&config).await.unwrap();
    pod.start("c").await.unwrap();
    assert_eq!(world.run(&pod, &world.shell("d", "exit 3")).await.exit_code, 3);
    let pid = until(&pod, "c", |state| state.pid > 0).await.pid;
    let shim = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let shim: i32 = shim.rsplit(") ").next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(shim), nix::sys::signal::SIGKILL).unwrap();

    let state = ended(&pod, "c").await;
    assert_eq!(state.exit_code, EXIT_UNKNOWN);
    assert!(!pod.is_alive());
    let adopted = world.runtime.list().await.unwrap();
    assert!(!adopted[0].is_alive());
    let codes: Vec<i32> = adopted[0].states().await.unwrap().iter().map(|state| state.exit_code).collect();
    assert_eq!(codes, [EXIT_UNKNOWN, 3], "what was recorded stays known");
    assert!(pod.start("c").await.unwrap_err().is_gone());
    adopted[0].stop().await.unwrap();
    // Whoever inherited the process may not have reaped it yet.
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    assert!(status.is_empty() || status.contains("State:\tZ"), "its processes have ended too: {status}");
    assert!(shims(&world.root).is_empty());
}

/// A shim that was stopped answers nothing, but its pod can still be ended.
pub async fn hung_shim_is_swept(world: &World) {
    let pod = world.pod("hung").await;
    pod.create(&world.shell("c", "sleep 100")).await.unwrap();
    pod.start("c").await.unwrap();
    let shim = shims_now(world);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(shim), nix::sys::signal::SIGSTOP).unwrap();
    drop(pod);
    let pods = world.runtime.list().await.unwrap();
    assert!(!pods[0].is_alive());
    pods[0].stop().await.unwrap();
    assert!(shims(&world.root).is_empty());
}

fn shims_now(world: &World) -> i32 {
    let text = std::fs::read_to_string(world.root.join("pods/hung/shim.pid")).unwrap();
    text.parse().unwrap()
}
