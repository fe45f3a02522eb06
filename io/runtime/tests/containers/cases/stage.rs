//! The stage a container is made on: what is seen of it from inside, and nothing from outside.

use crate::world::{World, ended, finish, until};
use kelson_runtime::{ExecConfig, Mount, Phase, Runtime};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use std::ffi::CString;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;

/// What is mounted at `path`, once more and attached nowhere.
fn detached(path: &Path) -> OwnedFd {
    let path = CString::new(path.to_str().unwrap()).unwrap();
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: a valid C string; the call keeps no pointer.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the kernel just made this descriptor for us.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}

pub async fn root_mounted_nowhere(world: &World) {
    let pod = world.pod("nowhere").await;
    assert!(pod.takes_roots());
    let mut config =
        world.shell("c", "cat /etc/group | head -n 1; while test ! -e /tmp/go; do sleep 0.02; done; exit 3");
    let rootfs = std::mem::replace(&mut config.rootfs, "/nowhere".into());
    pod.create(&config).await.unwrap();
    pod.start_on("c", detached(&rootfs)).await.unwrap();
    until(&pod, "c", |state| state.phase == Phase::Running).await;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(rootfs.to_str().unwrap()) && !mounts.contains("/sys/fs/root"), "{mounts}");
    let args = ["sh", "-c", "touch /tmp/go; ls -d /etc/passwd"].map(String::from).to_vec();
    let exec = ExecConfig { args, stdout: true, ..ExecConfig::default() };
    let (out, ..) = finish(pod.exec("c", &exec).await.unwrap()).await;
    assert_eq!((out.trim(), ended(&pod, "c").await.exit_code), ("/etc/passwd", 3));
    assert_eq!(world.output("c"), ["root:x:0:"]);
    assert!(rootfs.join("tmp/go").exists(), "it is the root that was handed over");
}

pub async fn groups_are_its_own_and_read_only(world: &World) {
    let pod = world.pod("groups").await;
    let script = "for dir in /sys/fs/cgroup /sys/fs/cgroup/*/; do test -e $dir/cgroup.procs && cat $dir/cgroup.procs; done; \
        mkdir /sys/fs/cgroup/mine /sys/fs/cgroup/memory/mine 2>/dev/null || echo read-only";
    world.run(&pod, &world.shell("c", script)).await;
    let out = world.output("c");
    assert_eq!(out.last().map(String::as_str), Some("read-only"), "{out:?}");
    assert!(out.iter().any(|line| line == "1"), "its own process is in a group it sees: {out:?}");
    assert!(!out.iter().any(|line| line == &std::process::id().to_string()), "nobody else's is: {out:?}");
}

pub async fn hidden_places_can_be_mounted(world: &World) {
    let pod = world.pod("hidden").await;
    let mount = |source: &str, destination: &str| Mount {
        source: source.into(),
        destination: destination.into(),
        read_only: true,
        ..Mount::default()
    };
    let mut config =
        world.shell("c", "ls /groups; echo -; ls /node/fs/cgroup; echo -; ls /all/sys/fs/cgroup");
    config.mounts = vec![mount("/sys/fs/cgroup", "/groups"), mount("/sys", "/node"), mount("/", "/all")];
    world.run(&pod, &config).await;
    let mut nodes: Vec<String> = std::fs::read_dir("/sys/fs/cgroup")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    nodes.sort();
    let out = world.output("c");
    let seen: Vec<&[String]> = out.split(|line| line == "-").collect();
    assert_eq!(seen, [nodes.as_slice(); 3], "{:?}", world.log("c"));
}

pub async fn directory_in_memory(world: &World) {
    let root = world.root.join("memory");
    let runtime = Runtime::new(&root, std::env::current_exe().unwrap());
    runtime.keep_in_memory().unwrap();
    let pod = runtime.start_pod(&world.pod_config("mem")).await.unwrap();
    runtime.keep_in_memory().unwrap();
    assert_eq!(statfs(&root).unwrap().filesystem_type(), TMPFS_MAGIC);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let place = format!(" {} ", root.display());
    assert_eq!(mounts.lines().filter(|line| line.contains(&place)).count(), 1);
    assert_eq!(world.run(&pod, &world.shell("c", "exit 5")).await.exit_code, 5);
    assert_eq!(runtime.list().await.unwrap().len(), 1);
    pod.stop().await.unwrap();
}

pub async fn directory_with_pods_stays_where_it_is(world: &World) {
    let pod = world.pod("old").await;
    let before = statfs(&world.root).unwrap().filesystem_type();
    world.runtime.keep_in_memory().unwrap();
    assert_eq!(statfs(&world.root).unwrap().filesystem_type(), before);
    pod.stop().await.unwrap();
}
