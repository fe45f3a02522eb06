//! One pod, seen from kelson: a handle that asks its shim and hears of every change.
//!
//! A pod whose shim is gone still answers: its states come from disk, with what was running counted as lost.

use crate::client::Connection;
use crate::config::{AttachConfig, ContainerConfig, ExecConfig, PodConfig};
use crate::error::Error;
use crate::fd_stream::FdStream;
use crate::leftovers;
use crate::protocol::{Reply, Request, TAKES_ROOTS};
use crate::session::{Control, Session};
use crate::signals::parse_signal;
use crate::state::{ContainerState, Phase};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

/// The containers' states, in the order of their creation.
pub type States = Arc<Vec<ContainerState>>;

/// How long after SIGKILL a container may take to be gone.
const KILL_WAIT: Duration = Duration::from_secs(10);

/// A handle on one pod; clones share it. Dropping the last leaves the pod running.
#[derive(Clone)]
pub struct Pod(Arc<Inner>);

struct Inner {
    config: PodConfig,
    dir: PathBuf,
    asking: Mutex<Option<Connection>>,
    states: watch::Receiver<States>,
    seen: Mutex<watch::Receiver<States>>,
    alive: watch::Receiver<bool>,
    /// What the shim speaks; 0 if it is gone.
    protocol: u32,
    listener: JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Pod {
    /// Connects to the pod at `dir`; a dead shim makes a pod that is not [`Pod::is_alive`].
    pub(crate) async fn open(config: PodConfig, dir: PathBuf) -> Result<Self, Error> {
        let (alive_tell, alive) = watch::channel(true);
        let (tell, states) = watch::channel(States::default());
        let mut protocol = 0;
        let listener = match subscribe(&config.uid, &dir).await {
            Ok((connection, first)) => {
                protocol = connection.protocol;
                tell.send_replace(first);
                tokio::spawn(listen(connection, tell, alive_tell, dir.clone()))
            }
            Err(error @ (Error::Gone { .. } | Error::Connection { .. })) => {
                tracing::warn!(uid = config.uid, %error, "a pod lost its shim");
                tell.send_replace(Arc::new(leftovers::states(&dir)));
                alive_tell.send_replace(false);
                // Both senders live on in the task, so receivers wait instead of failing.
                tokio::spawn(async move {
                    let _keep = (tell, alive_tell);
                    std::future::pending().await
                })
            }
            Err(error) => return Err(error),
        };
        let seen = Mutex::new(states.clone());
        let asking = Mutex::new(None);
        Ok(Self(Arc::new(Inner { config, dir, asking, states, seen, alive, protocol, listener })))
    }

    /// As given to [`crate::Runtime::start_pod`].
    pub fn config(&self) -> &PodConfig {
        &self.0.config
    }

    pub fn uid(&self) -> &str {
        &self.0.config.uid
    }

    /// The pod's directory on the node; the agent may keep files of its own under `agent/`.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// False once the shim is gone: then only [`Pod::states`] and [`Pod::stop`] make sense.
    pub fn is_alive(&self) -> bool {
        *self.0.alive.borrow()
    }

    /// The configurations of the containers that were created and not removed, sorted by id.
    pub fn containers(&self) -> Vec<ContainerConfig> {
        leftovers::configs(&self.0.dir)
    }

    /// Takes a container on: checks and records its configuration. No process yet.
    pub async fn create(&self, config: &ContainerConfig) -> Result<(), Error> {
        check(config)?;
        self.done(&Request::Create { config: Box::new(config.clone()) }).await
    }

    /// Makes the container's process. An error is the runtime's own words for the pod's status; the container is then
    /// `Exited` with that message.
    pub async fn start(&self, id: &str) -> Result<(), Error> {
        self.done(&Request::Start { id: id.into() }).await
    }

    /// Whether [`Pod::start_on`] may be used: an earlier kelson's shim knows nothing of it.
    pub fn takes_roots(&self) -> bool {
        self.0.protocol >= TAKES_ROOTS
    }

    /// As [`Pod::start`], on a root file system that is mounted nowhere: it becomes the container's alone, and goes with
    /// it.
    pub async fn start_on(&self, id: &str, root: OwnedFd) -> Result<(), Error> {
        match self.ask_with(&Request::Start { id: id.into() }, vec![root]).await? {
            Reply::Done => Ok(()),
            _ => Err(unexpected()),
        }
    }

    /// Signals a container's first process; no error when it has ended.
    pub async fn signal(&self, id: &str, signal: i32) -> Result<(), Error> {
        self.done(&Request::Signal { id: id.into(), signal, all: false }).await
    }

    /// Kills every process of a container.
    pub async fn kill(&self, id: &str) -> Result<(), Error> {
        self.done(&Request::Signal { id: id.into(), signal: libc::SIGKILL, all: true }).await
    }

    /// Stop signal, `grace`, then SIGKILL; returns once the container has ended.
    pub async fn stop_container(&self, id: &str, grace: Duration) -> Result<(), Error> {
        let config = self.containers().into_iter().find(|config| config.id == id);
        let wanted = config.map(|config| config.stop_signal).unwrap_or_default();
        self.signal(id, parse_signal(&wanted).unwrap_or(libc::SIGTERM)).await?;
        if tokio::time::timeout(grace, self.ended(id)).await.is_ok() {
            return Ok(());
        }
        self.kill(id).await?;
        tokio::time::timeout(KILL_WAIT, self.ended(id)).await.map_err(|_| {
            Error::Refused(format!("container {id} survives SIGKILL: a process hangs in the kernel"))
        })
    }

    /// Forgets a container and undoes what it left; ends it first if it still runs. No error when it is unknown.
    pub async fn remove(&self, id: &str) -> Result<(), Error> {
        self.done(&Request::Remove { id: id.into() }).await
    }

    /// The states, asked for now.
    pub async fn states(&self) -> Result<Vec<ContainerState>, Error> {
        match self.ask(&Request::States).await {
            Ok(Reply::States { states }) => Ok(states),
            Ok(_) => Err(unexpected()),
            Err(Error::Gone { .. }) => Ok(leftovers::states(&self.0.dir)),
            Err(error) => Err(error),
        }
    }

    /// The states as they change; the value is there at once.
    pub fn watch(&self) -> watch::Receiver<States> {
        self.0.states.clone()
    }

    /// Returns when something changed since the last call. For one caller; others take their own [`Pod::watch`].
    pub async fn changed(&self) {
        if self.0.seen.lock().await.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Starts one more process in a running container.
    pub async fn exec(&self, id: &str, exec: &ExecConfig) -> Result<Session, Error> {
        let plumbing = match exec.tty {
            true => Plumbing::default(),
            false => {
                Plumbing::new(exec.stdin, exec.stdout, exec.stderr).map_err(|source| self.lost(source))?
            }
        };
        let request = Request::Exec { id: id.into(), exec: exec.clone() };
        let mut session = self.session(request, plumbing).await?;
        if let Some(terminal) = session.control.connection.take_fds().pop() {
            self.join_terminal(&mut session, terminal, exec.stdin, exec.stdout)?;
        }
        Ok(session)
    }

    /// Joins a running container's first process. Output from now on; earlier output is in the log.
    pub async fn attach(&self, id: &str, attach: &AttachConfig) -> Result<Session, Error> {
        let plumbing =
            Plumbing::new(false, attach.stdout, attach.stderr).map_err(|source| self.lost(source))?;
        let mut session = self.session(Request::Attach { id: id.into(), attach: *attach }, plumbing).await?;
        let mut fds = session.control.connection.take_fds().into_iter();
        if attach.stdin
            && let Some(stdin) = fds.next()
        {
            session.control.terminal = fds.next();
            session.stdin = Some(FdStream::new(stdin).map_err(|source| self.lost(source))?);
        } else {
            session.control.terminal = fds.next();
        }
        Ok(session)
    }

    /// Ends every container, undoes mounts, cgroups and files. Works, and succeeds, whatever is left of the pod.
    pub async fn stop(&self) -> Result<(), Error> {
        match self.done(&Request::Stop).await {
            Ok(()) | Err(Error::Gone { .. } | Error::Connection { .. }) => {}
            Err(error) => return Err(error),
        }
        let dir = self.0.dir.clone();
        tokio::task::spawn_blocking(move || leftovers::remove_pod(&dir))
            .await
            .expect("removal does not panic")
    }

    async fn session(&self, request: Request, plumbing: Plumbing) -> Result<Session, Error> {
        let mut connection = Connection::open(self.uid(), &self.0.dir).await?;
        let Reply::Started { pid } = connection.ask(&request, plumbing.theirs).await? else {
            return Err(unexpected());
        };
        let [stdin, stdout, stderr] = plumbing.ours;
        let control = Control { connection, terminal: None, pid };
        Ok(Session { stdin, stdout, stderr, control })
    }

    fn join_terminal(
        &self,
        session: &mut Session,
        fd: OwnedFd,
        stdin: bool,
        stdout: bool,
    ) -> Result<(), Error> {
        let clone = |fd: &OwnedFd| fd.try_clone().and_then(FdStream::new).map_err(|source| self.lost(source));
        session.stdin = if stdin { Some(clone(&fd)?) } else { None };
        session.stdout = if stdout { Some(clone(&fd)?) } else { None };
        session.control.terminal = Some(fd);
        Ok(())
    }

    async fn ended(&self, id: &str) {
        let mut states = self.watch();
        let over = |states: &States| {
            states.iter().find(|state| state.id == id).is_none_or(|state| state.phase != Phase::Running)
        };
        if states.wait_for(over).await.is_err() {
            std::future::pending().await
        }
    }

    async fn done(&self, request: &Request) -> Result<(), Error> {
        match self.ask(request).await? {
            Reply::Done => Ok(()),
            _ => Err(unexpected()),
        }
    }

    /// One request at a time on an idle connection, which is kept for the next.
    async fn ask(&self, request: &Request) -> Result<Reply, Error> {
        self.ask_with(request, Vec::new()).await
    }

    async fn ask_with(&self, request: &Request, fds: Vec<OwnedFd>) -> Result<Reply, Error> {
        let kept = self.0.asking.lock().await.take();
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection::open(self.uid(), &self.0.dir).await?,
        };
        let reply = connection.ask(request, fds).await;
        if matches!(reply, Ok(_) | Err(Error::Refused(_) | Error::NotFound(_))) {
            *self.0.asking.lock().await = Some(connection);
        }
        reply
    }

    fn lost(&self, source: io::Error) -> Error {
        Error::Connection { uid: self.uid().into(), source }
    }
}

fn unexpected() -> Error {
    Error::Refused("the shim answered something else than was asked".into())
}

/// The pipes of a session: our ends as streams, theirs to send along.
#[derive(Default)]
struct Plumbing {
    ours: [Option<FdStream>; 3],
    theirs: Vec<OwnedFd>,
}

impl Plumbing {
    fn new(stdin: bool, stdout: bool, stderr: bool) -> io::Result<Self> {
        let mut plumbing = Self::default();
        for (index, wanted) in [stdin, stdout, stderr].into_iter().enumerate() {
            if wanted {
                let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
                let (ours, theirs) = if index == 0 { (write, read) } else { (read, write) };
                plumbing.ours[index] = Some(FdStream::new(ours)?);
                plumbing.theirs.push(theirs);
            }
        }
        Ok(plumbing)
    }
}

async fn subscribe(uid: &str, dir: &Path) -> Result<(Connection, States), Error> {
    let mut connection = Connection::open(uid, dir).await?;
    match connection.ask(&Request::Subscribe, Vec::new()).await? {
        Reply::States { states } => Ok((connection, Arc::new(states))),
        _ => Err(unexpected()),
    }
}

/// Passes on every change until the shim is gone, then what is on disk.
async fn listen(
    mut connection: Connection,
    tell: watch::Sender<States>,
    alive: watch::Sender<bool>,
    dir: PathBuf,
) {
    while let Ok(reply) = connection.answer().await {
        if let Reply::States { states } = reply {
            tell.send_replace(Arc::new(states));
        }
    }
    alive.send_replace(false);
    tell.send_replace(Arc::new(leftovers::states(&dir)));
    std::future::pending().await
}

/// What a configuration must fulfil before any shim sees it.
fn check(config: &ContainerConfig) -> Result<(), Error> {
    let invalid = |field, reason: &str| Err(Error::Invalid { field, reason: reason.into() });
    if !leftovers::is_name(&config.id) {
        return invalid("container id", "1 to 128 letters, digits, '.', '_' or '-', the first no '.'");
    }
    if config.args.first().is_none_or(String::is_empty) {
        return invalid("args", "no command: neither the image nor the container names one");
    }
    if !config.rootfs.is_absolute() {
        return invalid("rootfs", "the path must be absolute");
    }
    if !config.cwd.is_empty() && !config.cwd.starts_with('/') {
        return invalid("working directory", "the path must be absolute");
    }
    if config.mounts.iter().any(|mount| !mount.destination.is_absolute() || !mount.source.is_absolute()) {
        return invalid("mounts", "source and destination must be absolute paths");
    }
    Ok(())
}
