//! One test's own corner of the machine, and the proof that it is swept.

use kelson_runtime::{ContainerConfig, ContainerState, Phase, Pod, PodConfig, Runtime, Session};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncReadExt;

pub struct World {
    pub runtime: Runtime,
    pub root: PathBuf,
    pub cgroup: String,
    tokio: tokio::runtime::Runtime,
}

/// Longer than anything here may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

impl World {
    pub fn new(name: &str) -> Self {
        let unique = format!("kelson-{name}-{}", std::process::id());
        let root = std::env::temp_dir().join(&unique);
        fs::create_dir_all(&root).unwrap();
        let exe = std::env::current_exe().unwrap();
        let tokio =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { runtime: Runtime::new(&root, exe), root, cgroup: format!("/{unique}"), tokio }
    }

    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.tokio
            .block_on(async { tokio::time::timeout(PATIENCE * 2, future).await.expect("the test hangs") })
    }

    /// A root file system with busybox and a few accounts.
    pub fn rootfs(&self, name: &str) -> PathBuf {
        let dir = self.root.join("images").join(name);
        for sub in ["bin", "etc", "tmp", "proc", "sys", "dev"] {
            fs::create_dir_all(dir.join(sub)).unwrap();
        }
        fs::copy("/bin/busybox", dir.join("bin/busybox")).expect("busybox-static is installed");
        let applets = "sh cat echo sleep id env pwd hostname true false mount umount ls head yes dd grep tty stty mkdir \
                       touch kill ps nc wc seq trap readlink test mknod unshare chroot";
        for applet in applets.split_whitespace() {
            let _ = std::os::unix::fs::symlink("busybox", dir.join("bin").join(applet));
        }
        fs::write(dir.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
            .unwrap();
        fs::write(dir.join("etc/group"), "root:x:0:\nnogroup:x:65534:\nextra:x:77:nobody\n").unwrap();
        dir
    }

    pub fn pod_config(&self, uid: &str) -> PodConfig {
        PodConfig {
            uid: uid.into(),
            namespace: "default".into(),
            name: uid.into(),
            hostname: format!("host-{uid}"),
            network: kelson_runtime::Network::Path(self.netns(uid)),
            cgroup_parent: self.cgroup.clone(),
            ..PodConfig::default()
        }
    }

    /// A network namespace with nothing in it, pinned at a file.
    pub fn netns(&self, name: &str) -> PathBuf {
        let path = self.root.join(format!("netns-{name}"));
        if !path.exists() {
            fs::write(&path, "").unwrap();
            let target = path.clone();
            let pin = move || {
                nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
                let flags = nix::mount::MsFlags::MS_BIND;
                nix::mount::mount(
                    Some("/proc/thread-self/ns/net"),
                    &target,
                    None::<&str>,
                    flags,
                    None::<&str>,
                )
                .unwrap();
            };
            std::thread::spawn(pin).join().unwrap();
        }
        path
    }

    pub async fn pod(&self, uid: &str) -> Pod {
        self.runtime.start_pod(&self.pod_config(uid)).await.expect("the pod starts")
    }

    /// `sh -c script`.
    pub fn shell(&self, id: &str, script: &str) -> ContainerConfig {
        ContainerConfig {
            id: id.into(),
            name: id.into(),
            rootfs: self.rootfs(id),
            args: ["/bin/sh", "-c", script].map(String::from).to_vec(),
            log_path: self.log_path(id),
            ..ContainerConfig::default()
        }
    }

    pub fn log_path(&self, id: &str) -> PathBuf {
        self.root.join(format!("logs/{id}/0.log"))
    }

    /// The log's lines without their times.
    pub fn log(&self, id: &str) -> Vec<String> {
        let text = fs::read_to_string(self.log_path(id)).unwrap_or_default();
        text.lines().map(|line| line.split_once(' ').expect("a time and a space").1.to_owned()).collect()
    }

    /// What the container printed on standard output.
    pub fn output(&self, id: &str) -> Vec<String> {
        self.log(id).iter().filter_map(|line| line.strip_prefix("stdout F ")).map(String::from).collect()
    }

    /// Runs a container to its end.
    pub async fn run(&self, pod: &Pod, config: &ContainerConfig) -> ContainerState {
        pod.create(config).await.expect("create");
        pod.start(&config.id).await.expect("start");
        ended(pod, &config.id).await
    }

    /// Undoes what a failed test left, and fails if a passed one left anything.
    pub fn clean_up(&self) {
        self.tokio.block_on(self.runtime.destroy_all()).expect("destroy_all");
        for entry in fs::read_dir(&self.root).unwrap().flatten() {
            let _ = nix::mount::umount2(&entry.path(), nix::mount::MntFlags::MNT_DETACH);
        }
        let mut left: Vec<String> = Vec::new();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mine = self.root.to_str().unwrap();
        left.extend(mounts.lines().filter(|line| line.contains(mine)).map(String::from));
        let pods = fs::read_dir(self.root.join("pods")).into_iter().flatten().flatten();
        left.extend(pods.map(|entry| entry.path().display().to_string()));
        for dir in cgroup_dirs(&self.cgroup) {
            let inside = fs::read_dir(&dir).unwrap().flatten().map(|entry| entry.path());
            for below in inside.filter(|path| path.is_dir()) {
                left.push(below.display().to_string());
                let _ = fs::remove_dir(below);
            }
            let _ = fs::remove_dir(dir);
        }
        left.extend(shims(&self.root).iter().map(|pid| format!("shim {pid}")));
        let removed = fs::remove_dir_all(&self.root);
        assert!(left.is_empty(), "left behind: {left:?}");
        removed.unwrap();
    }
}

fn cgroup_dirs(path: &str) -> Vec<PathBuf> {
    let base = Path::new("/sys/fs/cgroup");
    let below = fs::read_dir(base).unwrap().flatten().map(|entry| entry.path()).chain([base.to_owned()]);
    below.map(|dir| dir.join(path.trim_start_matches('/'))).filter(|dir| dir.is_dir()).collect()
}

/// Shim processes that serve a pod under `root`, once they had a moment to end.
pub fn shims(root: &Path) -> Vec<i32> {
    let find = || -> Vec<i32> {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<i32>().ok();
        let serves = |pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            words.get(1) == Some(&&b"shim"[..])
                && String::from_utf8_lossy(&line).contains(root.to_str().unwrap())
        };
        processes.filter_map(pid).filter(serves).collect()
    };
    for _ in 0..200 {
        if find().is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    find()
}

pub async fn ended(pod: &Pod, id: &str) -> ContainerState {
    until(pod, id, |state| state.phase == Phase::Exited).await
}

pub async fn until(pod: &Pod, id: &str, wanted: impl Fn(&ContainerState) -> bool) -> ContainerState {
    let mut states = pod.watch();
    let found = |states: &std::sync::Arc<Vec<ContainerState>>| {
        states.iter().any(|state| state.id == id && wanted(state))
    };
    let wait = states.wait_for(found);
    let states = tokio::time::timeout(PATIENCE, wait).await.expect("the container changes in time").unwrap();
    states.iter().find(|state| state.id == id).unwrap().clone()
}

/// Reads an exec to its end.
pub async fn finish(mut session: Session) -> (String, String, i32) {
    drop(session.stdin.take());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (stdout, stderr) = (session.stdout.take(), session.stderr.take());
    let read = async {
        if let Some(mut stdout) = stdout {
            stdout.read_to_end(&mut out).await.unwrap();
        }
    };
    let read_err = async {
        if let Some(mut stderr) = stderr {
            stderr.read_to_end(&mut err).await.unwrap();
        }
    };
    tokio::join!(read, read_err);
    let code = session.wait().await.unwrap();
    (String::from_utf8_lossy(&out).into(), String::from_utf8_lossy(&err).into(), code)
}
