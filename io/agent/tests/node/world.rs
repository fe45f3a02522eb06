//! One node, its API server and its files; and the proof that nothing stays behind.

use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod};
use kelson_agent::{Agent, AgentConfig};
use kelson_apiserver::{ApiServer, User};
use kelson_images::Images;
use kelson_process::Shutdown;
use kelson_store::Embedded;
use kube::api::{DeleteParams, ListParams, LogParams, PostParams};
use kube::{Api, Client};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Longer than anything here may take.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const NODE: &str = "n1";
const NODE_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

pub struct World {
    pub root: PathBuf,
    pub client: Client,
    pub api: Arc<ApiServer>,
    pub agent: Option<(Agent, Shutdown)>,
}

/// Leaves the machine's network and mounts for new ones, before any thread exists.
pub fn own_namespaces() {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("root may unshare");
    let flags = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE;
    nix::mount::mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).expect("mounts become private");
    ip(&["link", "set", "lo", "up"]);
    ip(&["addr", "add", &format!("{NODE_IP}/32"), "dev", "lo"]);
}

pub fn ip(args: &[&str]) -> String {
    let output = Command::new("ip").args(args).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl World {
    pub async fn new(name: &str) -> World {
        let root = std::env::temp_dir().join(format!("kelson-node-{name}-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let store = Embedded::open(root.join("state.redb"), Default::default()).expect("the store opens");
        let listen = "127.0.0.1:6443".parse().unwrap();
        let config = kelson_apiserver::Config::new(&root, listen, IpAddr::V4(NODE_IP));
        let api = Arc::new(ApiServer::open(config, Arc::new(store)).await.expect("the API server opens"));
        let client = Client::new(api.local(User::new("kubernetes-admin", &["system:masters"])), "default");
        let mut world = World { root, client, api, agent: None };
        world.publish_authority().await;
        world.import_busybox();
        world.start().await;
        world
    }

    /// What every pod mounts beside its token; a controller's work where there is one.
    async fn publish_authority(&self) {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), "default");
        let map = json!({"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": self.api.pki().authority.certificate}});
        let map = serde_json::from_value(map).expect("a ConfigMap");
        maps.create(&PostParams::default(), &map).await.expect("created");
    }

    /// A root file system with busybox, as the image `busybox:1.36`.
    fn import_busybox(&self) {
        let dir = self.root.join("busybox");
        for sub in ["bin", "etc", "tmp", "proc", "sys", "dev", "root"] {
            fs::create_dir_all(dir.join(sub)).unwrap();
        }
        fs::copy("/bin/busybox", dir.join("bin/busybox")).expect("busybox-static is installed");
        let applets = "sh cat echo sleep id env hostname true false ls touch rm kill wc trap test stat httpd wget ip nc";
        for applet in applets.split_whitespace() {
            let _ = std::os::unix::fs::symlink("busybox", dir.join("bin").join(applet));
        }
        fs::write(dir.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
        let tar = self.root.join("busybox.tar");
        let made = Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(&dir).arg(".").status().unwrap();
        assert!(made.success());
        let images = Images::open(self.root.join("images")).expect("the image store opens");
        images.import(&tar, Some("busybox:1.36")).expect("imported");
    }

    pub async fn start(&mut self) {
        let mut config = AgentConfig::new(NODE, IpAddr::V4(NODE_IP), &self.root);
        config.exe = std::env::current_exe().unwrap();
        config.resolv_conf = None;
        let shutdown = Shutdown::new();
        let agent =
            Agent::start(config, self.client.clone(), shutdown.clone()).await.expect("the agent starts");
        timeout(PATIENCE, agent.registered()).await.expect("the node registers");
        self.api.connect_node(NODE, agent.router());
        self.agent = Some((agent, shutdown));
    }

    /// Stops the agent as the end of kelson does: pods stay.
    pub async fn stop(&mut self) {
        let (mut agent, shutdown) = self.agent.take().expect("an agent runs");
        shutdown.cancel();
        timeout(PATIENCE, agent.finished()).await.expect("the agent stops");
    }

    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "default")
    }

    /// Creates a pod bound to the node; `spec` lacks the node's name only.
    pub async fn create(&self, name: &str, mut spec: Value) -> Pod {
        spec["nodeName"] = NODE.into();
        let pod = json!({"metadata": {"name": name}, "spec": spec});
        let pod = serde_json::from_value(pod).expect("a pod");
        self.pods().create(&PostParams::default(), &pod).await.expect("created")
    }

    /// A container `c` that runs a shell script.
    pub fn shell(script: &str) -> Value {
        json!({"name": "c", "image": "busybox:1.36", "command": ["sh", "-c", script]})
    }

    /// Waits until the pod is as wanted and returns it.
    pub async fn until(&self, name: &str, wanted: impl Fn(&Pod) -> bool) -> Pod {
        let mut last = None;
        let look = async {
            loop {
                let pod = self.pods().get(name).await.expect("the pod is there");
                if wanted(&pod) {
                    return pod;
                }
                last = Some(pod);
                sleep(Duration::from_millis(5)).await;
            }
        };
        let found = timeout(PATIENCE, look).await;
        match found {
            Ok(pod) => pod,
            Err(_) => {
                let status = last.and_then(|it| it.status);
                panic!(
                    "{name} stays {}\n{:#?}",
                    serde_json::to_string_pretty(&status).unwrap(),
                    self.events(name).await
                )
            }
        }
    }

    pub async fn running(&self, name: &str) -> Pod {
        self.until(name, |pod| phase(pod) == "Running" && is_ready(pod)).await
    }

    pub async fn gone(&self, name: &str) {
        let look = async {
            while self.pods().get_opt(name).await.expect("the API answers").is_some() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, look).await.expect("the pod goes");
    }

    pub async fn delete(&self, name: &str, grace: u32) {
        self.pods().delete(name, &DeleteParams::default().grace_period(grace)).await.expect("deleted");
    }

    pub async fn log(&self, name: &str) -> String {
        self.pods().logs(name, &LogParams::default()).await.expect("a log")
    }

    /// Waits until the pod's log contains `text`.
    pub async fn said(&self, name: &str, text: &str) -> String {
        let look = async {
            loop {
                let log = self.log(name).await;
                if log.contains(text) {
                    return log;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        match timeout(PATIENCE, look).await {
            Ok(log) => log,
            Err(_) => panic!("{name} never says {text:?}: {}", self.log(name).await),
        }
    }

    /// `Reason: message` of the pod's events.
    pub async fn events(&self, name: &str) -> Vec<String> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), "default");
        let events = api.list(&ListParams::default()).await.expect("events").items;
        let mine = events.into_iter().filter(|it| it.involved_object.name.as_deref() == Some(name));
        mine.map(|it| format!("{}: {}", it.reason.unwrap_or_default(), it.message.unwrap_or_default()))
            .collect()
    }

    pub async fn event(&self, name: &str, text: &str) {
        let look = async {
            while !self.events(name).await.iter().any(|it| it.contains(text)) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        if timeout(PATIENCE, look).await.is_err() {
            panic!("no event {text:?} in {:#?}", self.events(name).await);
        }
    }

    /// Destroys the node and fails if anything is left.
    pub async fn sweep(&mut self) {
        if self.agent.is_some() {
            self.stop().await;
        }
        kelson_agent::destroy(&self.root).await.expect("destroyed");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mine = self.root.to_str().unwrap();
        let left: Vec<&str> = mounts.lines().filter(|line| line.contains(mine)).collect();
        let links = ip(&["-o", "link"]);
        let shims = self.shims();
        fs::remove_dir_all(&self.root).expect("the files go");
        assert_eq!(left, [""; 0], "mounts are left");
        assert!(!links.contains("kelson0") && links.lines().count() == 1, "links are left: {links}");
        assert_eq!(shims, [""; 0], "shims are left");
    }

    /// Command lines of this node's shims, once they had a moment to end.
    pub fn shims(&self) -> Vec<String> {
        let find = || -> Vec<String> {
            let lines = fs::read_dir("/proc")
                .unwrap()
                .flatten()
                .filter_map(|it| fs::read(it.path().join("cmdline")).ok());
            let lines = lines.map(|it| String::from_utf8_lossy(&it).replace('\0', " "));
            lines.filter(|it| it.contains(" shim ") && it.contains(self.root.to_str().unwrap())).collect()
        };
        for _ in 0..100 {
            if find().is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        find()
    }
}

pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|it| it.phase.as_deref()).unwrap_or_default()
}

pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|it| it.conditions.iter().flatten());
    conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == "True")
}

/// The status of container `name`.
pub fn container(pod: &Pod, name: &str) -> k8s_openapi::api::core::v1::ContainerStatus {
    let all = pod.status.iter().flat_map(|it| it.container_statuses.iter().flatten());
    all.into_iter().find(|it| it.name == name).cloned().expect("a container status")
}

pub fn waiting(pod: &Pod) -> String {
    let state = pod.status.iter().flat_map(|it| it.container_statuses.iter().flatten()).next();
    state.and_then(|it| it.state.as_ref()?.waiting.as_ref()?.reason.clone()).unwrap_or_default()
}
