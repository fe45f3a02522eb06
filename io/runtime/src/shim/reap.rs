//! The shim's signals and the ends of its children.
//!
//! A handler writes one byte into a pipe that the poll loop reads: nothing else happens in signal context. SIGINT and
//! SIGHUP mean nothing to a shim; at SIGTERM (the machine goes down) it leaves once no container runs.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd};
use std::sync::atomic::{AtomicI32, Ordering};

static WAKE: AtomicI32 = AtomicI32::new(-1);

extern "C" fn on_signal(signal: libc::c_int) {
    let byte = signal as u8;
    // SAFETY: write is async-signal-safe; a full pipe means the loop is awake anyway. errno is put back.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        libc::write(WAKE.load(Ordering::Relaxed), (&raw const byte).cast(), 1);
        *errno = before;
    }
}

/// The reading end of the signals' pipe.
pub struct Signals(File);

impl Signals {
    /// Takes over the process's signals. Once a process.
    pub fn install() -> io::Result<Self> {
        let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC | nix::fcntl::OFlag::O_NONBLOCK)?;
        WAKE.store(write.into_raw_fd(), Ordering::Relaxed);
        for signal in [libc::SIGCHLD, libc::SIGTERM] {
            set(signal, on_signal as *const () as libc::sighandler_t)?;
        }
        for signal in [libc::SIGINT, libc::SIGHUP, libc::SIGPIPE] {
            set(signal, libc::SIG_IGN)?;
        }
        // SAFETY: the pipe's descriptor is ours alone.
        Ok(Self(unsafe { File::from_raw_fd(read.into_raw_fd()) }))
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Empties the pipe. True if SIGTERM was among them.
    pub fn drain(&mut self) -> bool {
        let mut bytes = [0u8; 64];
        let mut leave = false;
        while let Ok(count @ 1..) = self.0.read(&mut bytes) {
            leave |= bytes[..count].contains(&(libc::SIGTERM as u8));
        }
        leave
    }
}

/// SA_RESTART: no call elsewhere need think of interruptions.
fn set(signal: i32, handler: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: all-zero is a valid sigaction; the handler is async-signal-safe.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(signal, &action, std::ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// For a forked child: its signals are not the shim's.
pub fn forget_signals() {
    for signal in [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        let _ = set(signal, libc::SIG_DFL);
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// 128 + signal if a signal ended it.
    pub code: i32,
    /// 0 if none.
    pub signal: i32,
}

/// The next child that ended, if any.
pub fn next_end() -> Option<(i32, End)> {
    let mut status = 0;
    // SAFETY: waits without blocking, into our own integer.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
    (pid > 0).then(|| (pid, read_status(status)))
}

fn read_status(status: i32) -> End {
    if libc::WIFSIGNALED(status) {
        let signal = libc::WTERMSIG(status);
        End { code: 128 + signal, signal }
    } else {
        End { code: libc::WEXITSTATUS(status), signal: 0 }
    }
}

/// Sends a signal to a child that has not been reaped, so the pid is its own.
pub fn signal_child(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: no memory effects.
    match unsafe { libc::kill(pid, signal) } {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            error => Err(error),
        },
    }
}

/// Waits until one of `fds` is ready or `timeout_ms` passed; -1 waits for ever.
pub fn poll(fds: &mut [libc::pollfd], timeout_ms: i32) -> io::Result<()> {
    // SAFETY: the slice is valid for the call and its length is its own.
    let ready = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout_ms) };
    match ready {
        -1 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            error => Err(error),
        },
        _ => Ok(()),
    }
}

/// A poll entry.
pub fn interest(fd: BorrowedFd<'_>, events: i16) -> libc::pollfd {
    libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_statuses() {
        assert_eq!(read_status(7 << 8), End { code: 7, signal: 0 });
        assert_eq!(read_status(9), End { code: 137, signal: 9 });
        assert_eq!(read_status(11 | 0x80), End { code: 139, signal: 11 });
    }
}
