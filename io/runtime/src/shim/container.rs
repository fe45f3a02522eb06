//! One container in the shim: its record, its streams, and where their bytes go.
//!
//! Reading from the container never waits for anybody: the log drops what the disk refuses, and an attached client that
//! does not read is let go once [`PENDING_MAX`] bytes wait for it.

use super::birth::Birth;
use super::logs::{Lines, LogFile, Stream};
use super::reap::End;
use super::start::Stdio;
use crate::config::ContainerConfig;
use crate::fd_stream::set_nonblocking;
use crate::leftovers::{CONFIG_FILE, STATE_FILE};
use crate::state::{ContainerState, Phase, write_whole};
use jiff::Timestamp;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// Bytes that may wait for one attached client.
const PENDING_MAX: usize = 1 << 20;
/// Read at a time, and at most this often before the loop looks at the others.
const CHUNK: usize = 32 << 10;
const CHUNKS_A_TURN: usize = 4;
/// The exit code of a container that could not be started, as containerd reports it.
pub const EXIT_NOT_STARTED: i32 = 128;

/// A start under way, and who asked.
pub struct Starting {
    pub birth: Birth,
    pub client: u64,
}

pub struct Container {
    pub config: ContainerConfig,
    pub state: ContainerState,
    /// `containers/<id>` in the pod's directory.
    pub dir: PathBuf,
    pub starting: Option<Starting>,
    /// Clients that wait for its removal.
    pub removing: Vec<u64>,
    pub sinks: Vec<Sink>,
    outputs: Vec<Output>,
    stdin: Option<OwnedFd>,
    terminal: Option<OwnedFd>,
    log: Option<LogFile>,
}

struct Output {
    fd: OwnedFd,
    stream: Stream,
    lines: Lines,
}

/// Where an attached client reads one output.
pub struct Sink {
    pub client: u64,
    fd: OwnedFd,
    stream: Stream,
    pending: Vec<u8>,
}

impl Container {
    /// Records a new container on disk.
    pub fn create(config: ContainerConfig, dir: PathBuf) -> io::Result<Self> {
        std::fs::create_dir(&dir)?;
        write_whole(&dir.join(CONFIG_FILE), &config)?;
        let state = ContainerState {
            id: config.id.clone(),
            name: config.name.clone(),
            created_at: Some(Timestamp::now()),
            ..ContainerState::default()
        };
        let container = Self {
            config,
            state,
            dir,
            starting: None,
            removing: Vec::new(),
            sinks: Vec::new(),
            outputs: Vec::new(),
            stdin: None,
            terminal: None,
            log: None,
        };
        container.record()?;
        Ok(container)
    }

    pub fn is_running(&self) -> bool {
        self.state.phase == Phase::Running
    }

    /// Makes the pipes (none with a terminal): ours are kept, the container's returned.
    pub fn plumb(&mut self) -> io::Result<Stdio> {
        self.log = Some(LogFile::open(&self.config.log_path));
        if self.config.tty {
            return Ok(Stdio::default());
        }
        let pipe = || nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC);
        let (stdout, stdout_theirs) = pipe()?;
        let (stderr, stderr_theirs) = pipe()?;
        self.listen(stdout, Stream::Stdout)?;
        self.listen(stderr, Stream::Stderr)?;
        let stdin = match self.config.stdin {
            true => {
                let (theirs, ours) = pipe()?;
                self.stdin = Some(ours);
                theirs
            }
            false => std::fs::File::open("/dev/null")?.into(),
        };
        Ok(Stdio { stdin: Some(stdin), stdout: Some(stdout_theirs), stderr: Some(stderr_theirs) })
    }

    fn listen(&mut self, fd: OwnedFd, stream: Stream) -> io::Result<()> {
        set_nonblocking(fd.as_fd())?;
        self.outputs.push(Output { fd, stream, lines: Lines::default() });
        Ok(())
    }

    /// The process runs.
    pub fn born(&mut self, pid: i32, terminal: Option<OwnedFd>) -> io::Result<()> {
        if let Some(terminal) = terminal {
            self.listen(terminal.try_clone()?, Stream::Stdout)?;
            self.stdin = self.config.stdin.then(|| terminal.try_clone()).transpose()?;
            self.terminal = Some(terminal);
        }
        self.state.phase = Phase::Running;
        self.state.pid = pid;
        self.state.started_at = Some(Timestamp::now());
        self.record()
    }

    /// It could not be started.
    pub fn not_born(&mut self, reason: &str) -> io::Result<()> {
        self.close();
        self.state.phase = Phase::Exited;
        self.state.exit_code = EXIT_NOT_STARTED;
        self.state.finished_at = Some(Timestamp::now());
        self.state.message = reason.into();
        self.record()
    }

    /// Its first process ended; its last words are written before anybody hears of it.
    pub fn ended(&mut self, end: End, oom_killed: bool) -> io::Result<()> {
        while self.pump() {}
        self.state.phase = Phase::Exited;
        self.state.pid = 0;
        self.state.exit_code = end.code;
        self.state.signal = end.signal;
        self.state.oom_killed = oom_killed && end.code != 0;
        self.state.finished_at = Some(Timestamp::now());
        self.stdin = None;
        self.terminal = None;
        self.sinks.retain_mut(|sink| sink.flush() && !sink.pending.is_empty());
        self.record()
    }

    /// Reads what is left and writes lines that never ended.
    pub fn close(&mut self) {
        while self.pump() {}
        let at = Timestamp::now();
        let mut entries = Vec::new();
        for mut output in self.outputs.drain(..) {
            output.lines.finish(output.stream, at, &mut entries);
        }
        if let Some(log) = &mut self.log {
            log.write(&entries);
        }
        self.stdin = None;
        self.terminal = None;
    }

    fn record(&self) -> io::Result<()> {
        write_whole(&self.dir.join(STATE_FILE), &self.state)
    }

    /// What the loop must watch for reading.
    pub fn outputs(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.outputs.iter().map(|output| output.fd.as_fd())
    }

    /// What the loop must watch for writing.
    pub fn blocked_sinks(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sinks.iter().filter(|sink| !sink.pending.is_empty()).map(|sink| sink.fd.as_fd())
    }

    /// Moves what the container wrote to its log and its attached clients. True when there may be more at once.
    pub fn pump(&mut self) -> bool {
        let at = Timestamp::now();
        let mut more = false;
        let mut entries = Vec::new();
        let (sinks, mut open) = (&mut self.sinks, Vec::new());
        for mut output in self.outputs.drain(..) {
            let mut turn = Turn { at, entries: &mut entries, sinks };
            match output.read(&mut turn) {
                Read::Blocked => open.push(output),
                Read::More => {
                    more = true;
                    open.push(output);
                }
                Read::Ended => output.lines.finish(output.stream, at, &mut entries),
            }
        }
        self.outputs = open;
        if let Some(log) = &mut self.log {
            log.write(&entries);
        }
        more
    }

    /// Gives waiting bytes to attached clients; lets go of those that went.
    pub fn flush_sinks(&mut self) {
        let over = !self.is_running();
        self.sinks.retain_mut(|sink| sink.flush() && !(over && sink.pending.is_empty()));
    }

    /// Joins a client to the outputs; returns the descriptors for the answer.
    pub fn attach(
        &mut self,
        client: u64,
        stdin: bool,
        outputs: Vec<(Stream, OwnedFd)>,
    ) -> io::Result<Vec<OwnedFd>> {
        let mut answer = Vec::new();
        if stdin {
            let own =
                self.stdin.as_ref().ok_or_else(|| io::Error::other("its standard input is not open"))?;
            answer.push(own.try_clone()?);
            if self.config.stdin_once && !self.config.tty {
                self.stdin = None;
            }
        }
        if let Some(terminal) = &self.terminal {
            answer.push(terminal.try_clone()?);
        }
        for (stream, fd) in outputs {
            set_nonblocking(fd.as_fd())?;
            self.sinks.push(Sink { client, fd, stream, pending: Vec::new() });
        }
        Ok(answer)
    }
}

/// One round of reading.
struct Turn<'a> {
    at: Timestamp,
    entries: &'a mut Vec<u8>,
    sinks: &'a mut Vec<Sink>,
}

enum Read {
    Blocked,
    More,
    Ended,
}

impl Output {
    fn read(&mut self, turn: &mut Turn<'_>) -> Read {
        let mut chunk = [0u8; CHUNK];
        for _ in 0..CHUNKS_A_TURN {
            match nix::unistd::read(self.fd.as_raw_fd(), &mut chunk) {
                Ok(0) => return Read::Ended,
                Ok(count) => {
                    self.lines.take(self.stream, &chunk[..count], turn.at, turn.entries);
                    turn.sinks.retain_mut(|sink| sink.stream != self.stream || sink.give(&chunk[..count]));
                }
                Err(nix::errno::Errno::EAGAIN) => return Read::Blocked,
                Err(nix::errno::Errno::EINTR) => {}
                // EIO: the terminal's last user is gone.
                Err(_) => return Read::Ended,
            }
        }
        Read::More
    }
}

impl Sink {
    /// False when the client is gone or too slow.
    fn give(&mut self, bytes: &[u8]) -> bool {
        self.pending.extend_from_slice(bytes);
        self.flush() && self.pending.len() <= PENDING_MAX
    }

    /// False when the client is gone.
    fn flush(&mut self) -> bool {
        while !self.pending.is_empty() {
            match nix::unistd::write(&self.fd, &self.pending) {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(nix::errno::Errno::EAGAIN) => return true,
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => return false,
            }
        }
        true
    }
}
