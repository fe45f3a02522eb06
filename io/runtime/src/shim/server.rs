//! The shim's loop: one poll over its socket, its clients, its containers' outputs and its children's ends.
//!
//! Order within a turn: births before ends, so a process that ends at once is known when it is reaped; records on disk
//! before answers. Nothing waits on a client: answers queue, and a subscriber that is behind gets the newest states once.

use super::birth::Birth;
use super::container::Container;
use super::reap::{End, Signals, interest, next_end, poll, signal_child};
use super::spec;
use crate::cgroups;
use crate::config::PodConfig;
use crate::leftovers;
use crate::protocol::{Greeting, PROTOCOL, Reply, Request};
use crate::state::ContainerState;
use crate::wire::{Inbox, Outbox};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

mod requests;

/// Connections at a time: kelson's own few and one an exec or attach.
const CLIENTS_MAX: usize = 512;
/// Ended children nobody knows yet, kept while a birth is under way.
const STRANGERS_MAX: usize = 1024;
/// How often a stop looks whether all have gone.
const STOP_POLL_MS: i32 = 5;

pub struct Server {
    dir: PathBuf,
    pod: PodConfig,
    listener: UnixListener,
    signals: Signals,
    clients: BTreeMap<u64, Client>,
    next_client: u64,
    containers: Vec<Container>,
    /// Children that ended before their birth was understood.
    strangers: BTreeMap<i32, End>,
    leaving: bool,
    stopping: Vec<u64>,
}

struct Client {
    stream: UnixStream,
    inbox: Inbox,
    outbox: Outbox,
    role: Role,
    gone: bool,
}

enum Role {
    Asking,
    Subscribed { stale: bool },
    Executing { birth: Birth },
    Executed { pid: i32 },
    Attached { id: String },
    Over,
}

/// What a poll entry stands for.
enum Token {
    Listener,
    Signals,
    Client(u64),
    Birth(u64),
    Container(usize),
    Starting(usize),
}

impl Client {
    fn reply(&mut self, reply: &Reply, fds: Vec<OwnedFd>) {
        let queued = self.outbox.push(reply, fds);
        if queued.and_then(|()| self.outbox.flush(self.stream.as_fd())).is_err() {
            self.gone = true;
        }
    }
}

impl Server {
    pub fn new(dir: PathBuf, pod: PodConfig, listener: UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            dir,
            pod,
            listener,
            signals: Signals::install()?,
            clients: BTreeMap::new(),
            next_client: 0,
            containers: Vec::new(),
            strangers: BTreeMap::new(),
            leaving: false,
            stopping: Vec::new(),
        })
    }

    /// Serves until the pod is stopped, or SIGTERM came and nothing runs.
    pub fn run(&mut self) -> io::Result<()> {
        loop {
            let (mut fds, tokens) = self.interests();
            poll(&mut fds, if self.stopping.is_empty() { -1 } else { STOP_POLL_MS })?;
            for (fd, token) in fds.iter().zip(&tokens) {
                if fd.revents != 0 {
                    self.ready(token);
                }
            }
            self.reap();
            self.containers.iter_mut().for_each(Container::flush_sinks);
            self.drop_gone();
            self.remove_ended();
            self.refresh_subscribers();
            if !self.stopping.is_empty() && self.try_stop() || self.leaving && !self.is_busy() {
                return Ok(());
            }
        }
    }

    fn interests(&self) -> (Vec<libc::pollfd>, Vec<Token>) {
        let (mut fds, mut tokens) = (Vec::new(), Vec::new());
        let mut add = |fd, events, token| {
            fds.push(interest(fd, events));
            tokens.push(token);
        };
        for (index, container) in self.containers.iter().enumerate() {
            container.outputs().for_each(|fd| add(fd, libc::POLLIN, Token::Container(index)));
            container.blocked_sinks().for_each(|fd| add(fd, libc::POLLOUT, Token::Container(index)));
            if let Some(starting) = &container.starting {
                add(starting.birth.socket(), libc::POLLIN, Token::Starting(index));
            }
        }
        for (id, client) in &self.clients {
            let writing = if client.outbox.len() > 0 { libc::POLLOUT } else { 0 };
            add(client.stream.as_fd(), libc::POLLIN | writing, Token::Client(*id));
            if let Role::Executing { birth } = &client.role {
                add(birth.socket(), libc::POLLIN, Token::Birth(*id));
            }
        }
        add(self.listener.as_fd(), libc::POLLIN, Token::Listener);
        add(self.signals.fd(), libc::POLLIN, Token::Signals);
        (fds, tokens)
    }

    fn ready(&mut self, token: &Token) {
        match token {
            Token::Listener => self.accept(),
            Token::Signals => self.leaving |= self.signals.drain(),
            Token::Client(id) => self.serve(*id),
            Token::Birth(id) => self.advance_exec(*id),
            Token::Container(index) => {
                self.containers[*index].pump();
            }
            Token::Starting(index) => self.advance_start(*index),
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            if self.clients.len() >= CLIENTS_MAX {
                continue;
            }
            let mut outbox = Outbox::default();
            let greeting = Greeting { protocol: PROTOCOL, pid: std::process::id() as i32 };
            let greeted = outbox.push(&greeting, Vec::new()).and_then(|()| outbox.flush(stream.as_fd()));
            if greeted.is_ok() {
                let client =
                    Client { stream, inbox: Inbox::default(), outbox, role: Role::Asking, gone: false };
                self.clients.insert(self.next_client, client);
                self.next_client += 1;
            }
        }
    }

    /// Reads a client's requests and sends it what waits.
    fn serve(&mut self, id: u64) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if client.outbox.flush(client.stream.as_fd()).is_err() {
            client.gone = true;
            return;
        }
        match client.inbox.fill(client.stream.as_fd()) {
            Ok(1..) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            _ => client.gone = true,
        }
        while let Some(client) = self.clients.get_mut(&id) {
            match client.inbox.next::<Request>() {
                Ok(Some(request)) => {
                    let fds = client.inbox.take_fds();
                    self.handle(id, request, fds);
                }
                Ok(None) => return,
                Err(error) => {
                    client.reply(&Reply::Failed { reason: format!("not understood: {error}") }, Vec::new());
                    client.gone = true;
                    return;
                }
            }
        }
    }

    fn handle(&mut self, client: u64, request: Request, fds: Vec<OwnedFd>) {
        match request {
            Request::Create { config } => self.create(client, *config),
            Request::Start { id } => self.start(client, &id, fds),
            Request::Signal { id, signal, all } => self.signal(client, &id, signal, all),
            Request::Remove { id } => self.remove(client, &id),
            Request::States => self.reply(client, Reply::States { states: self.states() }),
            Request::Subscribe => {
                self.reply(client, Reply::States { states: self.states() });
                self.set_role(client, Role::Subscribed { stale: false });
            }
            Request::Exec { id, exec } => self.exec(client, &id, &exec, fds),
            Request::Attach { id, attach } => self.attach(client, &id, attach, fds),
            Request::Kill { signal } => {
                if let Some(Role::Executed { pid }) = self.clients.get(&client).map(|client| &client.role) {
                    let _ = signal_child(*pid, signal);
                }
            }
            Request::Stop => self.stopping.push(client),
        }
    }

    fn reply(&mut self, client: u64, reply: Reply) {
        self.reply_with(client, reply, Vec::new());
    }

    fn reply_with(&mut self, client: u64, reply: Reply, fds: Vec<OwnedFd>) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.reply(&reply, fds);
        }
    }

    fn failed(&mut self, client: u64, reason: impl ToString) {
        self.reply(client, Reply::Failed { reason: reason.to_string() });
    }

    fn set_role(&mut self, client: u64, role: Role) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.role = role;
        }
    }

    fn states(&self) -> Vec<ContainerState> {
        self.containers.iter().map(|container| container.state.clone()).collect()
    }

    fn find(&self, id: &str) -> Option<usize> {
        self.containers.iter().position(|container| container.config.id == id)
    }

    /// Ends of children; births first, so that no end meets a process nobody knows.
    fn reap(&mut self) {
        for index in 0..self.containers.len() {
            self.advance_start(index);
        }
        let clients: Vec<u64> = self.clients.keys().copied().collect();
        clients.into_iter().for_each(|id| self.advance_exec(id));
        while let Some((pid, end)) = next_end() {
            self.child_ended(pid, end);
        }
        if !self.is_bearing() {
            self.strangers.clear();
        }
    }

    fn child_ended(&mut self, pid: i32, end: End) {
        if let Some(index) = self.containers.iter().position(|c| c.is_running() && c.state.pid == pid) {
            return self.container_ended(index, end);
        }
        let executed =
            |client: &&mut Client| matches!(client.role, Role::Executed { pid: own } if own == pid);
        if let Some(client) = self.clients.values_mut().find(executed) {
            client.role = Role::Over;
            client.reply(&Reply::Ended { code: end.code }, Vec::new());
        } else if self.is_bearing() && self.strangers.len() < STRANGERS_MAX {
            self.strangers.insert(pid, end);
        }
    }

    fn container_ended(&mut self, index: usize, end: End) {
        let container = &mut self.containers[index];
        let path = spec::cgroup_path(&self.pod, &container.config.id);
        let oom_killed = cgroups::oom_kills(&path) > 0;
        if self.pod.host_pid || self.pod.share_pid || !container.config.beside.is_empty() {
            // Without a pid namespace of its own, ending the first process does not end the others.
            cgroups::kill(&path);
        }
        note(container.ended(end, oom_killed));
        let id = container.config.id.clone();
        let attached =
            |client: &&mut Client| matches!(&client.role, Role::Attached { id: own } if *own == id);
        for client in self.clients.values_mut().filter(attached) {
            client.role = Role::Over;
            client.reply(&Reply::Ended { code: end.code }, Vec::new());
        }
        self.changed();
    }

    /// A birth is under way: an ended child may be its process.
    fn is_bearing(&self) -> bool {
        self.containers.iter().any(|container| container.starting.is_some())
            || self.clients.values().any(|client| matches!(client.role, Role::Executing { .. }))
    }

    fn is_busy(&self) -> bool {
        self.containers.iter().any(|container| container.is_running() || container.starting.is_some())
    }

    fn changed(&mut self) {
        for client in self.clients.values_mut() {
            if let Role::Subscribed { stale } = &mut client.role {
                *stale = true;
            }
        }
    }

    fn refresh_subscribers(&mut self) {
        let behind = |client: &Client| {
            matches!(client.role, Role::Subscribed { stale: true }) && client.outbox.len() == 0
        };
        if !self.clients.values().any(behind) {
            return;
        }
        let reply = Reply::States { states: self.states() };
        for client in self.clients.values_mut().filter(|client| behind(client)) {
            client.role = Role::Subscribed { stale: false };
            client.reply(&reply, Vec::new());
        }
    }

    fn drop_gone(&mut self) {
        let gone: Vec<u64> =
            self.clients.iter().filter(|(_, client)| client.gone).map(|(id, _)| *id).collect();
        for id in gone {
            self.clients.remove(&id);
            for container in &mut self.containers {
                container.sinks.retain(|sink| sink.client != id);
            }
        }
    }

    /// Kills again and again until all have ended, then undoes what the pod left. True when the shim may end.
    fn try_stop(&mut self) -> bool {
        let path = cgroups::pod_path(&self.pod);
        if self.is_busy() {
            cgroups::kill(&path);
            let running = self.containers.iter().filter(|container| container.is_running());
            running.for_each(|container| drop(signal_child(container.state.pid, libc::SIGKILL)));
            return false;
        }
        self.containers.iter_mut().for_each(Container::close);
        let undone = cgroups::remove(&path)
            .map_err(|error| error.to_string())
            .and_then(|()| leftovers::unmount_below(&self.dir).map_err(|error| error.to_string()));
        if undone.is_ok() {
            // Whoever comes by before kelson has removed the rest takes it for what it is: a removal, not a lost pod.
            let _ = std::fs::remove_file(self.dir.join(leftovers::POD_FILE));
        }
        for client in std::mem::take(&mut self.stopping) {
            match &undone {
                Ok(()) => self.reply(client, Reply::Done),
                Err(reason) => self.failed(client, reason),
            }
        }
        undone.is_ok()
    }
}

/// Compiled seccomp profiles: beside the pods, for all of them.
fn filters(pod_dir: &Path) -> PathBuf {
    let root = pod_dir.parent().and_then(Path::parent);
    root.unwrap_or(pod_dir).join("seccomp")
}

/// A record that cannot be written is said once a time; the container goes on.
fn note(recorded: io::Result<()>) {
    if let Err(error) = recorded {
        eprintln!("could not record a container's state: {error}");
    }
}
