//! What a client asks for, done: the requests' side of the shim's loop.
//!
//! Nothing here waits: a start or an exec begins a birth and is answered when that is over, a removal is answered when
//! the container has ended.

use super::{Role, Server, filters, note};
use crate::cgroups;
use crate::config::{AttachConfig, ContainerConfig, ExecConfig, PodConfig};
use crate::leftovers::{self, CONTAINERS};
use crate::protocol::Reply;
use crate::shim::birth::{Birth, Outcome};
use crate::shim::container::{Container, Starting};
use crate::shim::enter::{Enter, enter};
use crate::shim::logs::Stream;
use crate::shim::reap::signal_child;
use crate::shim::spec;
use crate::shim::start::{SPEC_FILE, Start, Stdio, start};
use crate::state::Phase;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Containers of one pod, ended ones included.
const CONTAINERS_MAX: usize = 1024;

impl Server {
    pub(super) fn create(&mut self, client: u64, config: ContainerConfig) {
        if !leftovers::is_name(&config.id) || self.find(&config.id).is_some() {
            return self.failed(client, format!("container id {:?} is invalid or taken", config.id));
        }
        if self.containers.len() >= CONTAINERS_MAX {
            return self.failed(client, "the pod has too many containers: remove those that ended");
        }
        let dir = self.dir.join(CONTAINERS).join(&config.id);
        match Container::create(config, dir) {
            Ok(container) => {
                self.containers.push(container);
                self.changed();
                self.reply(client, Reply::Done);
            }
            Err(error) => self.failed(client, format!("record the container: {error}")),
        }
    }

    /// `fds`: the root file system, where it is not mounted yet.
    pub(super) fn start(&mut self, client: u64, id: &str, fds: Vec<OwnedFd>) {
        let Some(index) = self.find(id) else { return self.reply(client, Reply::Unknown { id: id.into() }) };
        let pod = match self.joined(&self.containers[index].config.beside) {
            Ok(pod) => pod,
            Err(reason) => return self.failed(client, reason),
        };
        let container = &mut self.containers[index];
        if container.state.phase != Phase::Created || container.starting.is_some() {
            return self.failed(client, format!("container {id} was started before"));
        }
        let (shm, filters) = (self.dir.join("shm"), filters(&self.dir));
        let begun = container.plumb().and_then(|stdio| {
            let (config, dir) = (&container.config, container.dir.clone());
            let root = fds.into_iter().next();
            let work = Start { pod: &pod, config, dir, shm, filters, root, stdio };
            Birth::begin(|cradle| start(work, &cradle))
        });
        match begun {
            Ok(birth) => container.starting = Some(Starting { birth, client }),
            Err(error) => self.failed(client, format!("start container {id}: {error}")),
        }
    }

    /// The pod as a container finds it that is to be `beside` another: in its process namespace.
    fn joined(&self, beside: &str) -> Result<PodConfig, String> {
        let mut pod = self.pod.clone();
        if beside.is_empty() {
            return Ok(pod);
        }
        let target = self.find(beside).map(|index| &self.containers[index]).filter(|it| it.is_running());
        let target =
            target.ok_or_else(|| format!("invalid target container: container {beside} is not running"))?;
        // A pid that is still to be reaped by us is nobody else's.
        pod.pid_namespace = Some(PathBuf::from(format!("/proc/{}/ns/pid", target.state.pid)));
        Ok(pod)
    }

    pub(super) fn advance_start(&mut self, index: usize) {
        let container = &mut self.containers[index];
        let Some(outcome) = container.starting.as_mut().and_then(|starting| starting.birth.advance()) else {
            return;
        };
        let client = container.starting.take().map_or(0, |starting| starting.client);
        let (recorded, reply, ended) = match outcome {
            Outcome::Born { pid, terminal } => {
                (container.born(pid, terminal), Reply::Done, self.strangers.remove(&pid))
            }
            Outcome::Failed { reason, pid } => {
                pid.map(|pid| signal_child(pid, libc::SIGKILL));
                let path = spec::cgroup_path(&self.pod, &container.config.id);
                if let Err(error) = cgroups::remove(&path) {
                    eprintln!("container {}: its cgroup stays for now: {error}", container.config.id);
                }
                (container.not_born(&reason), Reply::Failed { reason }, None)
            }
        };
        note(recorded);
        self.changed();
        self.reply(client, reply);
        if let Some(end) = ended {
            self.container_ended(index, end);
        }
    }

    pub(super) fn signal(&mut self, client: u64, id: &str, signal: i32, all: bool) {
        let Some(index) = self.find(id) else { return self.reply(client, Reply::Unknown { id: id.into() }) };
        let state = &self.containers[index].state;
        if state.phase == Phase::Running {
            if all {
                cgroups::kill(&spec::cgroup_path(&self.pod, id));
            }
            if let Err(error) = signal_child(state.pid, signal) {
                return self.failed(client, format!("signal {signal} to container {id}: {error}"));
            }
        }
        self.reply(client, Reply::Done);
    }

    /// Answered once it is gone; unknown is gone.
    pub(super) fn remove(&mut self, client: u64, id: &str) {
        match self.find(id) {
            None => self.reply(client, Reply::Done),
            Some(index) => {
                self.containers[index].removing.push(client);
                if self.containers[index].is_running() {
                    cgroups::kill(&spec::cgroup_path(&self.pod, id));
                    let _ = signal_child(self.containers[index].state.pid, libc::SIGKILL);
                }
            }
        }
    }

    /// Forgets the containers that are to be removed and have ended.
    pub(super) fn remove_ended(&mut self) {
        let done = |container: &Container| !container.removing.is_empty() && container.starting.is_none();
        while let Some(index) = self.containers.iter().position(|c| done(c) && !c.is_running()) {
            let mut container = self.containers.remove(index);
            container.close();
            let undone = cgroups::remove(&spec::cgroup_path(&self.pod, &container.config.id))
                .and_then(|()| std::fs::remove_dir_all(&container.dir));
            self.changed();
            for client in std::mem::take(&mut container.removing) {
                match &undone {
                    Ok(()) => self.reply(client, Reply::Done),
                    Err(error) => {
                        self.failed(client, format!("remove container {}: {error}", container.config.id))
                    }
                }
            }
        }
        // One that was still being started when its removal was asked for.
        for container in self.containers.iter().filter(|container| !container.removing.is_empty()) {
            if container.is_running() {
                let _ = signal_child(container.state.pid, libc::SIGKILL);
            }
        }
    }

    pub(super) fn exec(&mut self, client: u64, id: &str, exec: &ExecConfig, fds: Vec<OwnedFd>) {
        let Some(index) = self.find(id) else { return self.reply(client, Reply::Unknown { id: id.into() }) };
        let container = &self.containers[index];
        if !container.is_running() {
            return self.failed(client, format!("container {id} is not running"));
        }
        let wanted = if exec.tty { [false; 3] } else { [exec.stdin, exec.stdout, exec.stderr] };
        if fds.len() != wanted.iter().filter(|wanted| **wanted).count() {
            return self.failed(client, "the streams do not match the request");
        }
        let mut fds = fds.into_iter();
        let [stdin, stdout, stderr] = wanted.map(|wanted| if wanted { fds.next() } else { None });
        let work = Enter {
            pid: container.state.pid,
            exec,
            spec: container.dir.join(SPEC_FILE),
            filters: filters(&self.dir),
            cgroup: spec::cgroup_path(&self.pod, id),
            stdio: Stdio { stdin, stdout, stderr },
        };
        match Birth::begin(|cradle| enter(work, &cradle)) {
            Ok(birth) => self.set_role(client, Role::Executing { birth }),
            Err(error) => self.failed(client, format!("exec in container {id}: {error}")),
        }
    }

    pub(super) fn advance_exec(&mut self, id: u64) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let Role::Executing { birth } = &mut client.role else { return };
        let Some(outcome) = birth.advance() else { return };
        match outcome {
            Outcome::Born { pid, terminal } => {
                client.role = Role::Executed { pid };
                client.reply(&Reply::Started { pid }, terminal.into_iter().collect());
                if let Some(end) = self.strangers.remove(&pid) {
                    self.child_ended(pid, end);
                }
            }
            Outcome::Failed { reason, pid } => {
                client.role = Role::Over;
                pid.map(|pid| signal_child(pid, libc::SIGKILL));
                self.failed(id, reason);
            }
        }
    }

    pub(super) fn attach(&mut self, client: u64, id: &str, attach: AttachConfig, fds: Vec<OwnedFd>) {
        let Some(index) = self.find(id) else { return self.reply(client, Reply::Unknown { id: id.into() }) };
        let container = &mut self.containers[index];
        if !container.is_running() {
            return self.failed(client, format!("container {id} is not running"));
        }
        let wanted = [(attach.stdout, Stream::Stdout), (attach.stderr, Stream::Stderr)];
        let streams = wanted.into_iter().filter(|(wanted, _)| *wanted).map(|(_, stream)| stream);
        match container.attach(client, attach.stdin, streams.zip(fds).collect()) {
            Ok(answer) => {
                let pid = container.state.pid;
                self.set_role(client, Role::Attached { id: id.into() });
                self.reply_with(client, Reply::Started { pid }, answer);
            }
            Err(error) => self.failed(client, format!("attach to container {id}: {error}")),
        }
    }
}
