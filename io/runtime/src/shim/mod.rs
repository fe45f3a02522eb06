//! The shim: what `kelson shim DIR` becomes. One a pod, one thread, no async runtime, a few hundred kilobytes.
//!
//! The way: [`shim_main`] forks itself away from kelson, makes the pod's namespaces, listens on the pod's socket, says
//! that it is ready, and serves (`server`) until the pod is stopped. Containers (`start`) and further processes in
//! them (`enter`) are made in processes forked from here (`birth`), so whatever `libcontainer` does to its own process
//! is gone with it, and a mount that hangs does not hang the shim.
//!
//! The shim runs from kelson's own file for as long as the pod lives: the kernel refuses to write to a running
//! executable, so a container that gets hold of `/proc/…/exe` cannot change it.

mod birth;
mod confinement;
mod container;
mod devices;
mod enter;
mod executor;
mod filter;
pub(crate) mod logs;
mod mounts;
mod pause;
mod reap;
mod seccomp;
mod server;
mod spec;
mod stage;
mod start;
pub(crate) mod users;

use crate::cgroups;
use crate::client::SOCKET;
use crate::config::{Network, PodConfig};
use crate::leftovers::{CONTAINERS, PID_FILE, POD_FILE};
use crate::runtime::READY;
use crate::state::{read_whole, write_whole};
use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The pod's /dev/shm, as container engines size it.
const SHM_SIZE: &str = "mode=1777,size=67108864";
/// Shims outlive the memory pressure their pods make, as other engines' do.
const SHIM_OOM_SCORE_ADJ: i32 = -998;

/// Runs a shim. `args` is what follows `shim` on the command line: the pod's directory. Must be called before the
/// process has more than one thread.
pub fn shim_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let (Some(dir), None) = (args.next(), args.next()) else {
        eprintln!("usage: kelson shim POD-DIRECTORY (started by kelson itself)");
        return ExitCode::from(64);
    };
    // SAFETY: the process is single-threaded, so the child may go on as a normal process.
    match unsafe { libc::fork() } {
        -1 => failed("fork", &io::Error::last_os_error()),
        0 => run(&PathBuf::from(dir)),
        _ => ExitCode::SUCCESS,
    }
}

fn run(dir: &Path) -> ExitCode {
    match prepare(dir).and_then(|pod| Ok((listen(dir)?, pod))) {
        Ok((listener, pod)) => serve(dir, pod, listener),
        Err((step, error)) => failed(step, &error),
    }
}

/// Standard output is what kelson reads: the whole answer to "did it start".
fn failed(step: &str, error: &io::Error) -> ExitCode {
    println!("{step}: {error}");
    ExitCode::FAILURE
}

fn serve(dir: &Path, pod: PodConfig, listener: UnixListener) -> ExitCode {
    let served = server::Server::new(dir.to_owned(), pod, listener).and_then(|mut server| {
        settle(dir)?;
        server.run()
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the shim ends: {error}");
            ExitCode::FAILURE
        }
    }
}

type Step<T> = Result<T, (&'static str, io::Error)>;

trait Named<T> {
    fn step(self, step: &'static str) -> Step<T>;
}

impl<T, E: Into<io::Error>> Named<T> for Result<T, E> {
    fn step(self, step: &'static str) -> Step<T> {
        self.map_err(|error| (step, error.into()))
    }
}

/// Leaves kelson's session, cgroup and namespaces, and makes the pod's own.
fn prepare(dir: &Path) -> Step<PodConfig> {
    close_inherited();
    nix::unistd::setsid().step("leave the session")?;
    name_process();
    std::env::set_current_dir(dir).step("enter the pod's directory")?;
    let mut pod: PodConfig = read_whole(Path::new(POD_FILE)).step("read the pod's configuration")?;
    write_whole(Path::new(PID_FILE), &std::process::id()).step("record the shim's pid")?;
    begin_move();
    // Refused where the node denies us CAP_SYS_RESOURCE; then the shim is as likely a victim as any process.
    let _ = fs::write("/proc/self/oom_score_adj", SHIM_OOM_SCORE_ADJ.to_string());
    cgroups::bound_pod(&cgroups::pod_path(&pod), &pod.resources).step("set the pod's bounds")?;
    make_namespaces(&pod)?;
    make_shm(&pod)?;
    if pod.share_pid && !pod.host_pid {
        pod.pid_namespace = Some(pause::begin().step("make the pod's process namespace")?);
    }
    fs::create_dir_all(CONTAINERS).step("make the containers' directory")?;
    Ok(pod)
}

/// Moves the shim into the shims' cgroup from a process beside it. The kernel makes whoever writes to `cgroup.procs` first
/// wait some 10 ms for every processor (RCU); whoever comes meanwhile waits for the same: a container's start, which has
/// a dozen such writes to make, then finds most of the wait behind it.
fn begin_move() {
    let shim = std::process::id();
    // SAFETY: one thread; the child only writes files and ends without running our destructors.
    if unsafe { libc::fork() } == 0 {
        // kelson waits for the end of standard output.
        // SAFETY: nothing in the child uses it.
        unsafe { libc::close(1) };
        cgroups::move_shim(shim);
        // SAFETY: ends the child.
        unsafe { libc::_exit(0) }
    }
}

fn close_inherited() {
    // SAFETY: nothing in this process owns a descriptor above standard error yet.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}

/// `kelson-shim` in process lists; orphans of the pod come to us.
fn name_process() {
    // SAFETY: both calls take constants; the name is NUL-terminated and within 16 bytes.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, c"kelson-shim".as_ptr());
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
    }
}

/// The shim enters the namespaces that the pod's containers share; they inherit them.
fn make_namespaces(pod: &PodConfig) -> Step<()> {
    let host_network = pod.network == Network::Host;
    if let Network::Path(path) = &pod.network {
        let file = File::open(path).step("open the pod's network namespace")?;
        nix::sched::setns(file, CloneFlags::CLONE_NEWNET).step("enter the pod's network namespace")?;
    }
    let mut own = CloneFlags::empty();
    own.set(CloneFlags::CLONE_NEWIPC, !pod.host_ipc);
    own.set(CloneFlags::CLONE_NEWUTS, !host_network);
    nix::sched::unshare(own).step("make the pod's namespaces")?;
    if !host_network && !pod.hostname.is_empty() {
        nix::unistd::sethostname(&pod.hostname).step("set the pod's hostname")?;
    }
    set_sysctls(pod, host_network)
}

/// What container engines allow every pod with a network of its own: low ports and ping without privileges.
const OPEN_NETWORK: [(&str, &str); 2] =
    [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")];

fn set_sysctls(pod: &PodConfig, host_network: bool) -> Step<()> {
    for (name, value) in OPEN_NETWORK {
        if !host_network && !pod.sysctls.contains_key(name) {
            set_sysctl(name, value).step("open the pod's network to unprivileged use")?;
        }
    }
    for (name, value) in &pod.sysctls {
        let refused = |reason: &str| Err(io::Error::other(format!("{name}: {reason}"))).step("set a sysctl");
        match (name.split('.').next(), host_network, pod.host_ipc) {
            (Some("net"), true, _) => return refused("the pod uses the node's network"),
            (Some("kernel" | "fs"), _, true) => return refused("the pod uses the node's IPC namespace"),
            (Some("net" | "kernel" | "fs"), ..) if is_namespaced(name) => {}
            _ => return refused("it is not namespaced: setting it would change the node"),
        }
        set_sysctl(name, value)
            .map_err(|error| io::Error::other(format!("{name}: {error}")))
            .step("set a sysctl")?;
    }
    Ok(())
}

/// The kernel parameters that belong to the IPC or network namespace (Kubernetes' list of namespaced sysctls).
fn is_namespaced(name: &str) -> bool {
    let ipc = ["kernel.shm_rmid_forced", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.sem"];
    let plain = |part: &str| !part.is_empty() && !part.contains('/');
    name.split('.').all(plain)
        && (name.starts_with("net.") || name.starts_with("kernel.msg") || name.starts_with("fs.mqueue."))
        || ipc.contains(&name)
}

fn set_sysctl(name: &str, value: &str) -> io::Result<()> {
    fs::write(format!("/proc/sys/{}", name.replace('.', "/")), value)
}

/// One /dev/shm for all containers of the pod, because they share its IPC namespace.
fn make_shm(pod: &PodConfig) -> Step<()> {
    if pod.host_ipc {
        return Ok(());
    }
    fs::create_dir_all("shm").step("make the pod's shm")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    nix::mount::mount(Some("shm"), "shm", Some("tmpfs"), flags, Some(SHM_SIZE)).step("mount the pod's shm")
}

/// Only root may talk to a shim. A socket left by a shim that was killed is replaced.
fn listen(dir: &Path) -> Step<UnixListener> {
    let _ = fs::remove_file(SOCKET);
    let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let listener = UnixListener::bind(SOCKET);
    nix::sys::stat::umask(before);
    let listener =
        listener.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", dir.display())));
    listener.step("listen on the pod's socket")
}

/// Says that the shim listens, and lets go of kelson's pipe: from here on words go to `shim.log`.
fn settle(dir: &Path) -> io::Result<()> {
    let log = File::options().create(true).append(true).open(dir.join("shim.log"))?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2(std::os::fd::AsRawFd::as_raw_fd(&log), 2)?;
    io::stdout().write_all(READY.as_bytes())?;
    io::stdout().flush()?;
    nix::unistd::dup2(std::os::fd::AsRawFd::as_raw_fd(&null), 1)?;
    Ok(())
}
