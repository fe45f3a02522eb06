//! Network namespaces bound to files: made on a thread that is thrown away, so that no thread of ours ever changes its own.
//!
//! A namespace made here lives as long as its file, whoever dies. Used by the pod network, the container runtime and
//! tests. Nothing here blocks for long or needs an async runtime.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statfs::statfs;

use crate::NetworkError;
use crate::config::parent;

/// The file system type of namespace files (`NSFS_MAGIC`).
const NSFS_MAGIC: u64 = 0x6e73_6673;

/// Makes a network namespace with `lo` up and binds it to the file `path`. Keeps one that is already there.
pub fn create(path: &Path) -> Result<(), NetworkError> {
    if is_namespace(path) {
        return Ok(());
    }
    fs::create_dir_all(parent(path)).map_err(|e| failed("create", path, e))?;
    File::create(path).map_err(|e| failed("create", path, e))?;
    let made = std::thread::scope(|scope| scope.spawn(|| unshare_to(path)).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    made.map_err(|source| {
        let _ = fs::remove_file(path);
        failed("create", path, source)
    })
}

/// Unbinds and removes the file `path`; the namespace ends with its last process. Nothing there is fine.
pub fn remove(path: &Path) -> Result<(), NetworkError> {
    while is_namespace(path) {
        umount2(path, MntFlags::MNT_DETACH).map_err(|e| failed("unmount", path, e.into()))?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

/// Whether `path` is a file a namespace is bound to.
pub fn is_namespace(path: &Path) -> bool {
    statfs(path).is_ok_and(|fs| fs.filesystem_type().0 as u64 == NSFS_MAGIC)
}

/// Runs `work` on a thread inside the namespace bound to `path` and returns what it returns. Sockets opened there stay
/// in that namespace wherever they are used afterwards. A panic of `work` is passed on.
pub fn enter<T: Send>(path: &Path, work: impl FnOnce() -> T + Send) -> Result<T, NetworkError> {
    let namespace = File::open(path).map_err(|e| failed("open", path, e))?;
    let on_thread = || -> io::Result<T> {
        setns(&namespace, CloneFlags::CLONE_NEWNET)?;
        Ok(work())
    };
    std::thread::scope(|scope| scope.spawn(on_thread).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        .map_err(|e| failed("enter", path, e))
}

/// Leaves the thread's namespace for a new one and binds it to `path`.
fn unshare_to(path: &Path) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    loopback_up()?;
    let own = "/proc/thread-self/ns/net";
    mount(Some(own), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    Ok(())
}

/// Sets `lo` up in the thread's namespace, by the old ioctl: one call, no netlink conversation.
fn loopback_up() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: `ifreq` is plain data for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the socket is open, and the request lives through the call that only reads it.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn failed(operation: &'static str, path: &Path, source: io::Error) -> NetworkError {
    NetworkError::Namespace { operation, path: path.to_owned(), source }
}
