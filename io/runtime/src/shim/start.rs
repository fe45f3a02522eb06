//! A container's start, in a process of its own: configuration → `libcontainer` → its first process.
//!
//! The child enters the container's control group and sets its stage, lets libcontainer create and start the container,
//! reports the pid and ends; the container's process then belongs to the shim, the nearest subreaper. Errors are words
//! over the cradle.

use super::birth::Cradle;
use super::confinement::{self, Confinement};
use super::executor::Program;
use super::spec;
use super::stage::Stage;
use super::users::{Identity, resolve_user};
use crate::cgroups;
use crate::config::{ContainerConfig, PodConfig};
use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use std::error::Error;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// The container's OCI configuration as it is meant, in its directory; the bundle holds the engine's version.
pub const SPEC_FILE: &str = "oci.json";
/// libcontainer's own state of the container, below the container's directory.
const ENGINE_DIR: &str = "engine";
/// Where the terminal's master arrives, in the container's directory.
const CONSOLE: &str = "console.sock";

/// The ends of the pipes that the process gets. All absent with a terminal.
#[derive(Default)]
pub struct Stdio {
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
}

/// Everything the child needs to know.
pub struct Start<'a> {
    pub pod: &'a PodConfig,
    pub config: &'a ContainerConfig,
    /// The container's directory: the bundle and the engine's state lie there.
    pub dir: PathBuf,
    pub shm: PathBuf,
    /// Where compiled seccomp profiles are kept.
    pub filters: PathBuf,
    /// The root file system, where it is not mounted at the configuration's `rootfs`.
    pub root: Option<OwnedFd>,
    pub stdio: Stdio,
}

/// Runs in the child.
pub fn start(start: Start<'_>, cradle: &Cradle) {
    if let Err(reason) = try_start(start, cradle) {
        cradle.failed(reason);
    }
}

fn try_start(start: Start<'_>, cradle: &Cradle) -> Result<(), String> {
    let Start { pod, config, dir, shm, filters, root, stdio } = start;
    let path = spec::cgroup_path(pod, &config.id);
    cgroups::enter_new_v1(&path, &config.resources, config.privileged, std::process::id())
        .map_err(|error| format!("enter cgroup {path}: {error}"))?;
    cgroups::confine(&path, config.privileged).map_err(|error| format!("cgroup {path}: {error}"))?;
    let stage =
        Stage::set(&path, config, root).map_err(|error| format!("set the container's stage: {error}"))?;
    let config = &stage.found(config);
    let who = resolve_user(&config.rootfs, &config.user)?;
    let mut value = spec::build(pod, config, &who, &shm)?;
    write(&dir.join(SPEC_FILE), &value)?;
    let confinement = Confinement::of(&value, &filters)?;
    confinement::for_engine(&mut value);
    stage.direct(&mut value);
    let bundle = dir.join("bundle");
    fs::create_dir_all(&bundle).map_err(|error| format!("make the bundle: {error}"))?;
    write(&bundle.join("config.json"), &value)?;
    own(&stdio, &who);
    adjust_oom_score(config);
    let console = match config.tty {
        true => Some(listen(&dir).map_err(|error| format!("make the terminal: {error}"))?),
        false => None,
    };
    let program = Program { cradle: cradle.number(), confinement };
    let mut container = create(&dir, &bundle, config, stdio, program).map_err(|error| chain(&error))?;
    if let Some(listener) = console {
        cradle
            .terminal(receive_terminal(listener).map_err(|error| format!("receive the terminal: {error}"))?);
    }
    let pid = container.pid().ok_or("the engine names no process")?;
    cradle.born(pid.as_raw());
    container.start().map_err(|error| chain(&error))
}

fn write(path: &Path, value: &serde_json::Value) -> Result<(), String> {
    fs::write(path, value.to_string()).map_err(|error| format!("write {}: {error}", path.display()))
}

fn create(
    dir: &Path,
    bundle: &Path,
    config: &ContainerConfig,
    stdio: Stdio,
    program: Program,
) -> Result<Container, libcontainer::error::LibcontainerError> {
    let console = config.tty.then(|| dir.join(CONSOLE));
    let mut builder = ContainerBuilder::new(config.id.clone(), SyscallType::default())
        .with_root_path(dir.join(ENGINE_DIR))?
        .with_executor(program)
        .with_console_socket(console)
        .validate_id()?;
    builder.stdin = stdio.stdin;
    builder.stdout = stdio.stdout;
    builder.stderr = stdio.stderr;
    builder.as_init(bundle).with_systemd(false).with_detach(true).build()
}

/// The container's user may reopen /dev/stdout and friends.
fn own(stdio: &Stdio, who: &Identity) {
    for fd in [&stdio.stdin, &stdio.stdout, &stdio.stderr].into_iter().flatten() {
        // /dev/null stays as it is; a pipe's owner cannot fail to change.
        // SAFETY: plain system call on a descriptor we own.
        unsafe { libc::fchown(fd.as_raw_fd(), who.uid, u32::MAX) };
    }
}

/// Lowering the score wants CAP_SYS_RESOURCE, which a node may lack: then the container is a likelier victim, no more.
fn adjust_oom_score(config: &ContainerConfig) {
    let score = config.resources.oom_score_adj.unwrap_or(0);
    if let Err(error) = fs::write("/proc/self/oom_score_adj", score.to_string()) {
        eprintln!("container {}: oom_score_adj {score} refused by the node: {error}", config.id);
    }
}

/// Through the directory's descriptor: a socket's address holds 107 bytes, a path may hold more.
fn listen(dir: &Path) -> std::io::Result<UnixListener> {
    let dir = fs::File::open(dir)?;
    UnixListener::bind(format!("/proc/self/fd/{}/{CONSOLE}", dir.as_raw_fd()))
}

/// The engine has sent the master already: it is waiting in the listener's queue.
fn receive_terminal(listener: UnixListener) -> std::io::Result<OwnedFd> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    use std::os::fd::FromRawFd;
    let (socket, _) = listener.accept()?;
    let mut bytes = [0u8; 256];
    let mut space = nix::cmsg_space!([i32; 1]);
    let mut parts = [std::io::IoSliceMut::new(&mut bytes)];
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control
            && let Some(fd) = fds.first()
        {
            // SAFETY: the kernel just made this descriptor for us.
            return Ok(unsafe { OwnedFd::from_raw_fd(*fd) });
        }
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}

/// The whole cause in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
