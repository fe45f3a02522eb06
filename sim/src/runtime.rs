//! What a machine has of its pods: sandboxes, addresses and runs. It outlives the node's process, as shims do.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kelson_plans::Key;
use kelson_pods::{Exit, Run, RunState};

/// Addresses a machine gives to pods, few so that they come back soon.
const ADDRESSES: u8 = 60;

/// One machine.
#[derive(Debug)]
pub struct Machine {
    /// The third part of its pods' addresses.
    net: u8,
    sandboxes: BTreeMap<String, Sandbox>,
    /// Addresses by the pod's uid: held until they are given back, whatever becomes of the sandbox.
    held: BTreeMap<String, String>,
    last: u8,
    runs: u64,
    /// Programs that end of themselves: when, of which sandbox, which run, and how.
    ends: BTreeSet<(Timestamp, String, String, i32)>,
}

/// What is left of a pod when nobody looks after it: its address and its containers.
#[derive(Debug)]
pub struct Sandbox {
    pub pod: Key,
    pub address: String,
    pub runs: Vec<Run>,
}

impl Machine {
    pub fn new(net: u8) -> Self {
        Self {
            net,
            sandboxes: BTreeMap::new(),
            held: BTreeMap::new(),
            last: 0,
            runs: 0,
            ends: BTreeSet::new(),
        }
    }

    pub fn sandbox(&mut self, uid: &str) -> Option<&mut Sandbox> {
        self.sandboxes.get_mut(uid)
    }

    /// Every sandbox, by the pod's uid.
    pub fn sandboxes(&self) -> impl Iterator<Item = (&String, &Sandbox)> {
        self.sandboxes.iter()
    }

    /// Makes a sandbox, at the address the pod holds, or else the one that was not in use for longest. `None` when none is
    /// left.
    pub fn start(&mut self, uid: &str, pod: Key) -> Option<String> {
        let address = match self.held.get(uid) {
            Some(address) => address.clone(),
            None => self.free()?,
        };
        self.held.insert(uid.to_owned(), address.clone());
        let sandbox = Sandbox { pod, address: address.clone(), runs: Vec::new() };
        self.sandboxes.insert(uid.to_owned(), sandbox);
        Some(address)
    }

    fn free(&mut self) -> Option<String> {
        let in_use = |address: &String| self.held.values().any(|held| held == address);
        let candidates = (1..=ADDRESSES).map(|step| (self.last + step - 1) % ADDRESSES + 1);
        let host = candidates.into_iter().find(|host| !in_use(&self.address(*host)))?;
        self.last = host;
        Some(self.address(host))
    }

    fn address(&self, host: u8) -> String {
        format!("10.244.{}.{host}", self.net)
    }

    /// Ends a sandbox as asked, and takes its address back.
    pub fn stop(&mut self, uid: &str) {
        self.sandboxes.remove(uid);
        self.held.remove(uid);
    }

    /// A sandbox ends of itself.
    pub fn lose(&mut self, uid: &str) {
        self.sandboxes.remove(uid);
    }

    /// The power fails: of pods only their addresses are left, which are written down.
    pub fn lose_all(&mut self) {
        self.sandboxes.clear();
        self.ends.clear();
    }

    /// The newest run of a sandbox is of a program that ends then, in this way.
    pub fn ends_at(&mut self, uid: &str, at: Timestamp, exit_code: i32) {
        let run = self.sandboxes.get(uid).and_then(|sandbox| sandbox.runs.last());
        if let Some(id) = run.map(|run| run.id.clone()) {
            self.ends.insert((at, uid.to_owned(), id, exit_code));
        }
    }

    /// When the next program ends of itself.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|(at, ..)| *at)
    }

    /// The next program that has come to its end ends: its pod and all runs of it.
    pub fn end_next(&mut self, now: Timestamp, shown: Timestamp) -> Option<(String, Vec<Run>)> {
        self.next_end().filter(|at| *at <= now)?;
        let (_, uid, id, exit_code) = self.ends.pop_first()?;
        let runs = self.sandboxes.get_mut(&uid)?.end(&id, exit_code, shown);
        Some((uid, runs))
    }

    /// Only these pods are known any more; what is left of others goes.
    pub fn sweep(&mut self, is_known: impl Fn(&str) -> bool) {
        self.sandboxes.retain(|uid, _| is_known(uid));
        self.held.retain(|uid, _| is_known(uid));
    }

    /// Starts a container; all runs of the pod.
    pub fn run(&mut self, uid: &str, container: &str, attempt: u32, image: &str, now: Timestamp) -> Vec<Run> {
        self.runs += 1;
        let id = format!("run-{}-{}", self.net, self.runs);
        let Some(sandbox) = self.sandboxes.get_mut(uid) else { return Vec::new() };
        sandbox.runs.push(Run {
            container: container.to_owned(),
            attempt,
            id,
            image: image.to_owned(),
            image_name: format!("docker.io/library/{image}"),
            image_id: format!("sha256:{image}"),
            state: RunState::Running { started_at: now },
        });
        sandbox.runs.clone()
    }
}

impl Sandbox {
    /// A run ends, if it has not; all runs of the pod.
    pub fn end(&mut self, id: &str, exit_code: i32, now: Timestamp) -> Vec<Run> {
        for run in self.runs.iter_mut().filter(|run| run.id == id) {
            if let RunState::Running { started_at } = run.state {
                run.state = RunState::Exited(Exit {
                    started_at: Some(started_at),
                    finished_at: now,
                    exit_code,
                    reason: Exit::reason_for(exit_code, false).to_owned(),
                    message: String::new(),
                });
            }
        }
        self.runs.clone()
    }

    /// The runs that are alive.
    pub fn alive(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| run.running_since().is_some())
    }
}
