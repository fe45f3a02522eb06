//! `shareProcessNamespace`: the process that is number 1 in the pod's process namespace, as upstream's `pause` is.
//!
//! It waits for the shim's end and lets the kernel reap orphans. The containers see it, so it holds nothing of the node:
//! its root is an empty file system, and it is nobody.

use crate::cgroups;
use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Who it is, as upstream's image says.
const NOBODY: u32 = 65535;
/// Where its root is mounted, in the pod's directory.
const ROOT: &str = "pause";

/// Makes the namespace; the path by which containers join it. It lives as long as this process.
pub fn begin() -> io::Result<PathBuf> {
    std::fs::create_dir_all(ROOT)?;
    let (mut ours, theirs) = UnixStream::pair()?;
    // SAFETY: one thread, so the child may go on as a normal process; it ends without running our destructors.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {
            drop(ours);
            // kelson waits for the end of standard output.
            // SAFETY: nothing in the child uses it; _exit ends the child.
            unsafe {
                libc::close(1);
                libc::_exit(i32::from(bear(theirs).is_err()))
            }
        }
        _ => drop(theirs),
    }
    let mut pid = [0u8; 4];
    ours.read_exact(&mut pid).map_err(|_| io::Error::other("its first process could not be started"))?;
    let mut up = [0u8; 1];
    ours.read_exact(&mut up).map_err(|_| io::Error::other("its first process could not be confined"))?;
    // The other end notices when we are gone; so this one is never closed.
    std::mem::forget(ours);
    Ok(PathBuf::from(format!("/proc/{}/ns/pid", i32::from_ne_bytes(pid))))
}

/// In the child: forks once more, into the new namespace, and tells the shim the pid.
fn bear(mut socket: UnixStream) -> io::Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWPID)?;
    // SAFETY: as above.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let code = i32::from(confine().and_then(|()| wait(socket)).is_err());
            // SAFETY: ends the process and with it the namespace.
            unsafe { libc::_exit(code) }
        }
        pid => {
            socket.write_all(&pid.to_ne_bytes())?;
            drop(socket);
            // Where kelson's own supervisor would not end it.
            cgroups::move_shim(pid.unsigned_abs());
            Ok(())
        }
    }
}

/// An empty root, no rights.
fn confine() -> io::Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    nix::mount::mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    nix::mount::mount(Some("pause"), ROOT, Some("tmpfs"), flags, Some("size=4k,mode=555"))?;
    nix::unistd::chdir(ROOT)?;
    nix::unistd::pivot_root(".", ".")?;
    nix::mount::umount2(".", MntFlags::MNT_DETACH)?;
    nix::unistd::chdir("/")?;
    nix::unistd::setgroups(&[])?;
    nix::unistd::setresgid(NOBODY.into(), NOBODY.into(), NOBODY.into())?;
    nix::unistd::setresuid(NOBODY.into(), NOBODY.into(), NOBODY.into())?;
    // SAFETY: constants; the name is NUL-terminated. Ignored children are reaped by the kernel.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, c"pause".as_ptr());
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
    }
    Ok(())
}

/// Says that it stands, then until the shim is gone.
fn wait(mut socket: UnixStream) -> io::Result<()> {
    socket.write_all(b"1")?;
    // SAFETY: standard error is the log of the node; nothing is said from here on.
    unsafe { libc::close(2) };
    let mut nothing = [0u8; 1];
    while socket
        .read(&mut nothing)
        .map_or_else(|error| error.kind() == io::ErrorKind::Interrupted, |count| count > 0)
    {}
    Ok(())
}
