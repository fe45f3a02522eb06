//! One more process in a running container (`exec`), in a process of its own.
//!
//! libcontainer's way in (`as_tenant`) leaves the seccomp profile out, so this is our own: join the container's cgroups
//! and namespaces, fork into its pid namespace as the shim's child, and become what the container's first process
//! became: same user, same capabilities, same profile.

use super::birth::{Cradle, say_failed};
use super::confinement::Confinement;
use super::executor::execute;
use super::start::Stdio;
use crate::cgroups;
use crate::config::ExecConfig;
use crate::state::read_whole;
use libcontainer::oci_spec::runtime::Process;
use libcontainer::syscall::syscall::create_syscall;
use nix::sched::CloneFlags;
use nix::unistd::{Gid, Uid};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

/// Everything the child needs to know.
pub struct Enter<'a> {
    /// The container's first process, seen from the shim.
    pub pid: i32,
    pub exec: &'a ExecConfig,
    /// The container's OCI configuration, as it is meant.
    pub spec: PathBuf,
    /// Where compiled seccomp profiles are kept.
    pub filters: PathBuf,
    pub cgroup: String,
    pub stdio: Stdio,
}

/// In this order: the mount namespace last, because it takes /proc away.
const NAMESPACES: [(&str, CloneFlags); 6] = [
    ("cgroup", CloneFlags::CLONE_NEWCGROUP),
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("uts", CloneFlags::CLONE_NEWUTS),
    ("net", CloneFlags::CLONE_NEWNET),
    ("pid", CloneFlags::CLONE_NEWPID),
    ("mnt", CloneFlags::CLONE_NEWNS),
];

/// Runs in the child.
pub fn enter(enter: Enter<'_>, cradle: &Cradle) {
    if let Err(reason) = try_enter(enter, cradle) {
        cradle.failed(reason);
    }
}

fn try_enter(enter: Enter<'_>, cradle: &Cradle) -> Result<(), String> {
    let Enter { pid, exec, spec, filters, cgroup, stdio } = enter;
    let value: serde_json::Value =
        read_whole(&spec).map_err(|error| format!("read {}: {error}", spec.display()))?;
    let confinement = Confinement::of(&value, &filters)?;
    let process: Process = serde_json::from_value(value["process"].clone())
        .map_err(|error| format!("read {}: {error}", spec.display()))?;
    let namespaces =
        open_namespaces(pid).map_err(|error| format!("open the container's namespaces: {error}"))?;
    let score = fs::read(format!("/proc/{pid}/oom_score_adj")).unwrap_or_default();
    // Best effort, as for the container itself.
    let _ = fs::write("/proc/self/oom_score_adj", score);
    cgroups::enter(&cgroup, std::process::id()).map_err(|error| format!("join cgroup {cgroup}: {error}"))?;
    // Until the program runs, nothing in the container may look into this process.
    // SAFETY: a prctl with constants.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
    for (file, kind) in namespaces {
        nix::sched::setns(file, kind).map_err(|error| format!("enter the container's {kind:?}: {error}"))?;
    }
    match fork_sibling() {
        Err(error) => Err(format!("fork: {error}")),
        Ok(0) => {
            let number = cradle.number();
            let reason =
                become_process(&process, &confinement, exec, stdio, cradle).unwrap_or_else(|reason| reason);
            say_failed(number, reason);
            // SAFETY: ends this process without running the shim's destructors.
            unsafe { libc::_exit(1) }
        }
        Ok(child) => {
            cradle.born(child);
            Ok(())
        }
    }
}

fn open_namespaces(pid: i32) -> io::Result<Vec<(File, CloneFlags)>> {
    let open = |(name, kind): (&str, CloneFlags)| Ok((File::open(format!("/proc/{pid}/ns/{name}"))?, kind));
    NAMESPACES.into_iter().map(open).collect()
}

/// A fork whose child is our parent's (the shim's) child. As a fork it returns twice: 0 in the child.
fn fork_sibling() -> io::Result<i32> {
    let flags = (libc::CLONE_PARENT | libc::SIGCHLD) as libc::c_ulong;
    // SAFETY: without CLONE_VM and with no stack given this is fork(2) but for the parent; this process has one thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid as i32) }
}

/// Replaces this process with the program; returns the reason when that fails.
fn become_process(
    process: &Process,
    confinement: &Confinement,
    exec: &ExecConfig,
    stdio: Stdio,
    cradle: &Cradle,
) -> Result<String, String> {
    nix::unistd::setsid().map_err(|error| format!("new session: {error}"))?;
    match exec.tty {
        true => take_terminal(process, cradle).map_err(|error| format!("make the terminal: {error}"))?,
        false => take_pipes(stdio, process).map_err(|error| format!("connect the streams: {error}"))?,
    }
    let cwd = if exec.cwd.is_empty() { process.cwd().clone() } else { PathBuf::from(&exec.cwd) };
    nix::unistd::chdir(&cwd).map_err(|error| format!("change to directory {}: {error}", cwd.display()))?;
    become_user(process)?;
    // SAFETY: only marks descriptors; those beyond standard error are gone once the program runs.
    unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as i32) };
    confinement.apply()?;
    Ok(execute(&exec.args, &environment(process, exec)))
}

/// The container's user, with every capability still there for the confinement to drop.
fn become_user(process: &Process) -> Result<(), String> {
    let user = process.user();
    let groups: Vec<Gid> = user.additional_gids().iter().flatten().map(|gid| Gid::from_raw(*gid)).collect();
    nix::unistd::setgroups(&groups).map_err(|error| format!("set groups: {error}"))?;
    create_syscall()
        .set_id(Uid::from_raw(user.uid()), Gid::from_raw(user.gid()))
        .map_err(|error| format!("set the user: {error}"))
}

/// A terminal of the container's own devpts; its master goes to whoever asked.
fn take_terminal(process: &Process, cradle: &Cradle) -> io::Result<()> {
    let pair = nix::pty::openpty(None, None)?;
    // SAFETY: plain system calls on descriptors we own.
    unsafe {
        libc::fchown(pair.slave.as_raw_fd(), process.user().uid(), u32::MAX);
        libc::ioctl(pair.slave.as_raw_fd(), libc::TIOCSCTTY, 0);
    }
    for number in 0..3 {
        nix::unistd::dup2(pair.slave.as_raw_fd(), number)?;
    }
    cradle.terminal(pair.master);
    Ok(())
}

/// The caller's pipes, and the container's /dev/null where there is none.
fn take_pipes(stdio: Stdio, process: &Process) -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    for (number, pipe) in [stdio.stdin, stdio.stdout, stdio.stderr].into_iter().enumerate() {
        if let Some(pipe) = &pipe {
            // SAFETY: plain system call on a descriptor we own; the user may then reopen /dev/stdout.
            unsafe { libc::fchown(pipe.as_raw_fd(), process.user().uid(), u32::MAX) };
        }
        let from = pipe.as_ref().map_or(null.as_fd(), OwnedFd::as_fd);
        nix::unistd::dup2(from.as_raw_fd(), number as i32)?;
    }
    Ok(())
}

/// The container's environment, with what the caller asks for on top.
fn environment(process: &Process, exec: &ExecConfig) -> Vec<String> {
    let own = process.env().iter().flatten();
    let replaced = |entry: &str| exec.env.iter().any(|(name, _)| entry.split('=').next() == Some(name));
    let mut env: Vec<String> = own.filter(|entry| !replaced(entry)).cloned().collect();
    env.extend(exec.env.iter().map(|(name, value)| format!("{name}={value}")));
    if exec.tty && !env.iter().any(|entry| entry.starts_with("TERM=")) {
        env.push("TERM=xterm".into());
    }
    env
}
