//! A process being born: forked from the shim, it becomes a container's (or an exec's) process or says why not.
//!
//! The child holds one end of a socket pair that closes on exec. It sends the new process's pid (with its terminal's
//! master, if any), and words if something fails; once the new program runs, every copy of that end is gone and the
//! shim reads the end. So: pid and then end is success, words are failure, an end without either is a crash.

use crate::wire::{Inbox, Outbox};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// What the child may say.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    Pid(i32),
    /// Its descriptor travels along.
    Terminal,
    Failed(String),
}

/// The child's end. Cheap to copy by number: the executor, which libcontainer clones, carries only that.
pub struct Cradle(UnixStream);

impl Cradle {
    /// The descriptor's number, for [`say_failed`].
    pub fn number(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// The new process's pid, as the shim sees it.
    pub fn born(&self, pid: i32) {
        say(self.0.as_fd(), &Word::Pid(pid), Vec::new());
    }

    /// The master of the new process's terminal.
    pub fn terminal(&self, master: OwnedFd) {
        say(self.0.as_fd(), &Word::Terminal, vec![master]);
    }

    pub fn failed(&self, reason: String) {
        say(self.0.as_fd(), &Word::Failed(reason), Vec::new());
    }
}

/// Says words over the cradle with this number.
pub fn say_failed(number: i32, reason: String) {
    // SAFETY: the cradle stays open until the program that is being started runs, and this is before that.
    say(unsafe { BorrowedFd::borrow_raw(number) }, &Word::Failed(reason), Vec::new());
}

/// Words fit the socket's buffer, so one flush sends them; a shim that is gone hears nothing.
fn say(socket: BorrowedFd<'_>, word: &Word, fds: Vec<OwnedFd>) {
    let mut outbox = Outbox::default();
    if outbox.push(word, fds).is_ok() {
        let _ = outbox.flush(socket);
    }
}

/// The shim's view of a birth.
pub struct Birth {
    socket: UnixStream,
    inbox: Inbox,
    pid: Option<i32>,
    failed: Option<String>,
}

/// How it went.
pub enum Outcome {
    Born {
        pid: i32,
        terminal: Option<OwnedFd>,
    },
    /// `pid`: a process was made and must go.
    Failed {
        reason: String,
        pid: Option<i32>,
    },
}

impl Birth {
    /// Forks; the child runs `work`, which reports over the cradle, and then ends without unwinding into the shim.
    pub fn begin(work: impl FnOnce(Cradle)) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        // SAFETY: the shim has one thread, so the child may allocate and go on as a normal process.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                drop(ours);
                super::reap::forget_signals();
                let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(Cradle(theirs))));
                // SAFETY: _exit ends the child here; the shim's own destructors are not the child's to run.
                unsafe { libc::_exit(if worked.is_ok() { 0 } else { 101 }) }
            }
            _ => Ok(Self { socket: ours, inbox: Inbox::default(), pid: None, failed: None }),
        }
    }

    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reads what is there. The outcome, once the child's end is closed.
    pub fn advance(&mut self) -> Option<Outcome> {
        loop {
            match self.inbox.fill(self.socket.as_fd()) {
                Ok(0) => return Some(self.outcome()),
                Ok(_) => self.listen(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Some(Outcome::Failed { reason: error.to_string(), pid: self.pid }),
            }
        }
    }

    fn listen(&mut self) {
        while let Ok(Some(word)) = self.inbox.next::<Word>() {
            match word {
                Word::Pid(pid) => self.pid = Some(pid),
                Word::Terminal => {}
                // The first words name the cause; later ones are its consequences.
                Word::Failed(reason) => {
                    self.failed.get_or_insert(reason);
                }
            }
        }
    }

    fn outcome(&mut self) -> Outcome {
        match (self.failed.take(), self.pid) {
            (Some(reason), pid) => Outcome::Failed { reason, pid },
            (None, Some(pid)) => Outcome::Born { pid, terminal: self.inbox.take_fds().pop() },
            (None, None) => {
                Outcome::Failed { reason: "the process that was to start it crashed".into(), pid: None }
            }
        }
    }
}
