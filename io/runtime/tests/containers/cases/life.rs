//! A container's life: start, limits, ends.

use crate::world::{PATIENCE, World, ended, finish, until};
use kelson_runtime::{ContainerConfig, Error, ExecConfig, Mount, Phase, Resources, User};
use std::time::{Duration, Instant};

pub async fn run_and_exit_code(world: &World) {
    let pod = world.pod("run").await;
    let state = world.run(&pod, &world.shell("c", "echo out; echo err >&2; exit 42")).await;
    assert_eq!((state.phase, state.exit_code, state.signal, state.pid), (Phase::Exited, 42, 0, 0));
    assert!(state.created_at <= state.started_at && state.started_at <= state.finished_at);
    let mut log = world.log("c");
    log.sort();
    assert_eq!(log, ["stderr F err", "stdout F out"]);
    assert_eq!(pod.states().await.unwrap(), [state]);
    assert_eq!(pod.containers()[0].id, "c");
}

pub async fn environment_directory_user(world: &World) {
    let pod = world.pod("env").await;
    let mut config = world.shell("c", "echo $A-$HOME-$HOSTNAME; pwd; id -u; id -g; id -G");
    config.env = vec![("A".into(), "1".into()), ("A".into(), "two words".into())];
    config.cwd = "/tmp".into();
    config.user = User { image: "nobody".into(), groups: vec![2000], ..User::default() };
    assert_eq!(world.run(&pod, &config).await.exit_code, 0, "{:?}", world.log("c"));
    assert_eq!(world.output("c"), ["two words-/-host-env", "/tmp", "65534", "65534", "65534 77 2000"]);

    let mut config = world.shell("numbers", "id -u; id -g; echo x > /dev/stdout");
    config.user = User { image: "1000:1000".into(), ..User::default() };
    assert_eq!(world.run(&pod, &config).await.exit_code, 0, "{:?}", world.log("numbers"));
    assert_eq!(world.output("numbers"), ["1000", "1000", "x"]);
}

pub async fn hostname_and_namespaces_are_the_pods(world: &World) {
    let pod = world.pod("ns").await;
    let script = "hostname; for n in net ipc uts pid mnt; do readlink /proc/self/ns/$n; done; echo $$";
    world.run(&pod, &world.shell("a", script)).await;
    world.run(&pod, &world.shell("b", script)).await;
    let (a, b) = (world.output("a"), world.output("b"));
    assert_eq!((a[0].as_str(), a[6].as_str()), ("host-ns", "1"));
    assert_eq!(a[1..4], b[1..4], "net, ipc and uts are shared");
    let own = |name: &str| std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap().display().to_string();
    assert!(
        ["net", "ipc", "uts", "pid", "mnt"].iter().zip(&a[1..6]).all(|(name, theirs)| own(name) != *theirs)
    );
    let sysctl = world
        .shell("s", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range");
    world.run(&pod, &sysctl).await;
    assert_eq!(world.output("s").join(" ").split_whitespace().collect::<Vec<_>>(), ["0", "0", "2147483647"]);
}

pub async fn cannot_start(world: &World) {
    let pod = world.pod("bad").await;
    let check = async |id: &str, expected: &str, change: &dyn Fn(&mut ContainerConfig)| {
        let mut config = world.shell(id, "true");
        change(&mut config);
        pod.create(&config).await.unwrap();
        let error = pod.start(id).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{id}: {error}");
        let state = ended(&pod, id).await;
        assert_eq!((state.exit_code, state.message.contains(expected)), (128, true), "{state:?}");
        pod.remove(id).await.unwrap();
    };
    check("name", "exec: \"nosuch\": executable file not found in $PATH", &|c| {
        c.args = vec!["nosuch".into()]
    })
    .await;
    check("path", "exec: \"/no\": stat /no: no such file or directory", &|c| c.args = vec!["/no".into()])
        .await;
    check("mode", "exec: \"/etc/passwd\": permission denied", &|c| c.args = vec!["/etc/passwd".into()]).await;
    check("user", "unable to find user who: no matching entries in passwd file", &|c| {
        c.user.image = "who".into()
    })
    .await;
    check("caps", "unknown capability \"FLY\"", &|c| c.add_capabilities = vec!["FLY".into()]).await;
    let text = world.shell("text", "");
    std::fs::write(text.rootfs.join("text"), "no program").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(text.rootfs.join("text"), mode).unwrap();
    let rootfs = text.rootfs.clone();
    check("format", "exec /text: exec format error", &move |c| {
        c.rootfs = rootfs.clone();
        c.args = vec!["/text".into()];
    })
    .await;
    let no_args = ContainerConfig { args: Vec::new(), ..world.shell("x", "") };
    assert!(matches!(pod.create(&no_args).await, Err(Error::Invalid { field: "args", .. })));
    assert!(matches!(pod.start("nobody").await, Err(Error::NotFound(_))));
    assert!(pod.states().await.unwrap().is_empty());
}

pub async fn ignored_signal_then_kill(world: &World) {
    let pod = world.pod("sig").await;
    let polite = world.shell("polite", "trap 'echo bye; exit 3' USR1; echo up; while :; do sleep 0.05; done");
    let stubborn = world.shell("stubborn", "trap '' TERM; echo up; while :; do sleep 0.05; done");
    for config in [&polite, &stubborn] {
        let config = ContainerConfig { stop_signal: "SIGUSR1".into(), ..config.clone() };
        pod.create(&config).await.unwrap();
        pod.start(&config.id).await.unwrap();
    }
    while world.output("polite").is_empty() || world.output("stubborn").is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    pod.stop_container("polite", Duration::from_secs(10)).await.unwrap();
    assert_eq!(ended(&pod, "polite").await.exit_code, 3);
    assert_eq!(world.output("polite"), ["up", "bye"]);
    pod.signal("stubborn", libc::SIGTERM).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(until(&pod, "stubborn", |_| true).await.phase, Phase::Running);
    pod.kill("stubborn").await.unwrap();
    let state = ended(&pod, "stubborn").await;
    assert_eq!((state.exit_code, state.signal, state.oom_killed), (137, 9, false));
    pod.signal("stubborn", libc::SIGTERM).await.expect("a signal to what ended is no error");
}

pub async fn memory_limit_is_oom_killed(world: &World) {
    let pod = world.pod("oom").await;
    // exec: the eater is the container's first process.
    let mut config = world.shell("c", "exec dd if=/dev/zero of=/dev/null bs=64M count=1");
    config.resources.memory_limit_bytes = Some(16 << 20);
    let state = world.run(&pod, &config).await;
    assert_eq!((state.oom_killed, state.exit_code), (true, 137), "{state:?}");
    let mut roomy = world.shell("d", "dd if=/dev/zero of=/dev/null bs=64M count=1");
    roomy.resources.memory_limit_bytes = Some(128 << 20);
    let state = world.run(&pod, &roomy).await;
    assert_eq!((state.oom_killed, state.exit_code), (false, 0), "{state:?}");
}

pub async fn bounds_reach_the_kernel(world: &World) {
    let mut pod = world.pod_config("bounds");
    let bounds = |memory| Resources {
        cpu_shares: Some(512),
        cpu_quota_us: Some(50_000),
        cpu_period_us: Some(100_000),
        memory_limit_bytes: Some(memory),
        pids_limit: Some(64),
        oom_score_adj: Some(-500),
    };
    pod.resources = bounds(64 << 20);
    let pod = world.runtime.start_pod(&pod).await.unwrap();
    let mut config = world.shell("c", "sleep 60");
    config.resources = bounds(32 << 20);
    pod.create(&config).await.unwrap();
    pod.start("c").await.expect("a refused oom_score_adj is tolerated");
    let read = |controller: &str, path: &str, file: &str| {
        let base = format!("/sys/fs/cgroup/{controller}{}/podbounds{path}/{file}", world.cgroup);
        std::fs::read_to_string(&base).unwrap_or_else(|error| panic!("{base}: {error}")).trim().to_owned()
    };
    for (path, memory) in [("", 64 << 20), ("/c", 32 << 20)] {
        assert_eq!(read("cpu", path, "cpu.shares"), "512");
        assert_eq!(read("cpu", path, "cpu.cfs_quota_us"), "50000");
        assert_eq!(read("pids", path, "pids.max"), "64");
        assert_eq!(read("memory", path, "memory.limit_in_bytes"), memory.to_string());
    }
    let pid = until(&pod, "c", |state| state.pid > 0).await.pid;
    let unified = read("unified", "/c", "cgroup.procs");
    assert_eq!(unified, pid.to_string(), "on a hybrid host the container is in the v2 hierarchy too");
}

pub async fn twenty_in_parallel(world: &World) {
    let begun = Instant::now();
    let one = async |number: i32| {
        let pod = world.pod(&format!("many-{number}")).await;
        let id = format!("c{number}");
        let state = world.run(&pod, &world.shell(&id, &format!("echo {number}; exit {number}"))).await;
        assert_eq!(state.exit_code, number);
        assert_eq!(world.output(&id), [number.to_string()]);
        pod.stop().await.unwrap();
    };
    let mut all: Vec<_> = (0..20).map(|number| Box::pin(one(number))).collect();
    // Polled together, without another crate for it.
    std::future::poll_fn(|cx| {
        all.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    println!("20 pods from nothing to gone: {:?}", begun.elapsed());
}

pub async fn remove_running_and_again(world: &World) {
    let pod = world.pod("rm").await;
    let config = world.shell("c", "trap '' TERM; sleep 100");
    pod.create(&config).await.unwrap();
    assert!(matches!(pod.create(&config).await, Err(Error::Refused(_))), "the id is taken");
    pod.start("c").await.unwrap();
    assert!(matches!(pod.start("c").await, Err(Error::Refused(_))), "it was started");
    assert!(world.runtime.start_pod(&world.pod_config("rm")).await.is_err(), "the pod exists");
    pod.remove("c").await.unwrap();
    pod.remove("c").await.expect("again is fine");
    assert!(pod.states().await.unwrap().is_empty());
    assert_eq!(world.run(&pod, &world.shell("c", "exit 5")).await.exit_code, 5);
    pod.stop().await.unwrap();
    pod.stop().await.expect("again is fine");
    assert!(world.runtime.list().await.unwrap().is_empty());
}

pub async fn mounts_and_read_only_root(world: &World) {
    let pod = world.pod("mnt").await;
    let volume = world.root.join("volume");
    std::fs::create_dir_all(&volume).unwrap();
    std::fs::write(volume.join("file"), "content\n").unwrap();
    let mount = |source: &str, destination: &str, read_only| Mount {
        source: volume.join(source),
        destination: destination.into(),
        read_only,
        ..Mount::default()
    };
    let script = "cat /etc/resolv.conf; touch /made 2>/dev/null || echo read-only root; \
                  touch /ro/x 2>/dev/null || echo read-only volume; echo hi > /data/deep/new; \
                  echo shm > /dev/shm/x && cat /dev/shm/x";
    let mut config = world.shell("c", script);
    config.read_only = true;
    config.mounts =
        vec![mount("file", "/etc/resolv.conf", true), mount("", "/ro", true), mount("", "/data/deep", false)];
    assert_eq!(world.run(&pod, &config).await.exit_code, 0, "{:?}", world.log("c"));
    assert_eq!(world.output("c"), ["content", "read-only root", "read-only volume", "shm"]);
    assert_eq!(std::fs::read_to_string(volume.join("new")).unwrap(), "hi\n");
    world.run(&pod, &world.shell("d", "cat /dev/shm/x")).await;
    assert_eq!(world.output("d"), ["shm"], "the pod's containers share /dev/shm");
}

/// Prints how long a pod takes from its configuration to a running process.
pub async fn latency(world: &World) {
    let mut parts: [Vec<Duration>; 3] = Default::default();
    for number in 0..20 {
        let uid = format!("lat-{number}");
        let (pod, config) = (world.pod_config(&uid), world.shell("c", "sleep 100"));
        let begun = Instant::now();
        let pod = world.runtime.start_pod(&pod).await.unwrap();
        let shim = begun.elapsed();
        pod.create(&config).await.unwrap();
        pod.start("c").await.unwrap();
        let running = begun.elapsed();
        let stop = Instant::now();
        pod.stop().await.unwrap();
        for (part, time) in parts.iter_mut().zip([shim, running, stop.elapsed()]) {
            part.push(time);
        }
    }
    parts.iter_mut().for_each(|part| part.sort());
    let [shim, running, stop] = parts.map(|part| (part[part.len() / 2], part[part.len() - 1]));
    println!("shim ready {shim:?}, container running {running:?}, stopped {stop:?} (p50, max)");
    assert!(running.0 < Duration::from_millis(200), "starting a pod became slow: {running:?}");
}

/// A container that is put beside another sees its processes and may signal them; ending it ends its own alone.
pub async fn beside_another_container(world: &World) {
    let pod = world.pod("beside").await;
    let target = world.shell("target", "trap 'echo signalled' USR1; while true; do sleep 0.05; done");
    pod.create(&target).await.unwrap();
    pod.start("target").await.unwrap();
    let mut debugger = world.shell("debugger", "ps -o pid,args; kill -USR1 1; sleep 1000 & exit 7");
    debugger.beside = "target".into();
    let state = world.run(&pod, &debugger).await;
    assert_eq!(state.exit_code, 7, "{:?}", world.log("debugger"));
    let seen = world.output("debugger");
    assert!(seen.iter().any(|line| line.trim().starts_with("1 /bin/sh -c trap")), "{seen:?}");
    let (end, signalled) = (Instant::now() + PATIENCE, ["signalled".to_owned()]);
    while world.output("target") != signalled && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.output("target"), signalled);
    let states = pod.states().await.unwrap();
    assert!(states.iter().any(|it| it.id == "target" && it.phase == Phase::Running));
    let ps = ExecConfig {
        args: ["ps", "-o", "args"].map(String::from).to_vec(),
        stdout: true,
        ..ExecConfig::default()
    };
    let (list, ..) = finish(pod.exec("target", &ps).await.unwrap()).await;
    assert!(!list.contains("sleep 1000"), "what it left behind has ended with it: {list}");

    pod.kill("target").await.unwrap();
    ended(&pod, "target").await;
    let mut late = world.shell("late", "true");
    late.beside = "target".into();
    pod.create(&late).await.unwrap();
    let refused = pod.start("late").await.unwrap_err().to_string();
    assert!(refused.contains("invalid target container: container target is not running"), "{refused}");
    pod.stop().await.unwrap();
}
