//! A container's log file in the form kubelets write and collectors read (CRI).
//!
//! `<RFC 3339 with nanoseconds> <stdout|stderr> <F|P> <line>`: F ends a line, P is a piece of one that goes on. The file
//! is bounded: at [`LOG_SIZE_BYTES_MAX`] it becomes `<path>.1`, that `<path>.2` and so on up to [`LOG_FILES`]. A disk that fails costs the lines
//! that do not fit, never the container: nothing here waits or returns an error.

use jiff::Timestamp;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The size at which a log file is rotated away.
pub const LOG_SIZE_BYTES_MAX: u64 = 10 << 20;
/// The current file and those before it, as many as kubelets keep.
pub const LOG_FILES: usize = 5;
/// The longest piece of a line in one entry (containerd's default).
const PIECE_MAX: usize = 16 << 10;

/// Which of a process's two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn word(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// Cuts one output into lines. Holds at most one piece.
#[derive(Default)]
pub struct Lines {
    piece: Vec<u8>,
}

impl Lines {
    /// Appends what `bytes` completes to `out`, all with the same time.
    pub fn take(&mut self, stream: Stream, mut bytes: &[u8], at: Timestamp, out: &mut Vec<u8>) {
        let head = format!("{at:.9} {}", stream.word());
        while !bytes.is_empty() {
            let room = PIECE_MAX - self.piece.len();
            let window = &bytes[..bytes.len().min(room)];
            if let Some(end) = window.iter().position(|byte| *byte == b'\n') {
                entry(out, &head, 'F', &self.piece, &window[..end]);
                bytes = &bytes[end + 1..];
            } else if window.len() == room {
                entry(out, &head, 'P', &self.piece, window);
                bytes = &bytes[room..];
            } else {
                self.piece.extend_from_slice(window);
                return;
            }
            self.piece.clear();
        }
    }

    /// The output ended: what was no whole line is written as a piece.
    pub fn finish(&mut self, stream: Stream, at: Timestamp, out: &mut Vec<u8>) {
        if !self.piece.is_empty() {
            entry(out, &format!("{at:.9} {}", stream.word()), 'P', &self.piece, b"");
            self.piece.clear();
        }
    }
}

fn entry(out: &mut Vec<u8>, head: &str, tag: char, first: &[u8], second: &[u8]) {
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(&[b' ', tag as u8, b' ']);
    out.extend_from_slice(first);
    out.extend_from_slice(second);
    out.push(b'\n');
}

/// The name of the file that was rotated away `age` times.
pub fn rotated(path: &Path, age: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{age}"));
    name.into()
}

/// The file the entries go to. Without a path everything is dropped.
pub struct LogFile {
    path: PathBuf,
    file: Option<File>,
    size: u64,
    bound: u64,
    failing: bool,
}

impl LogFile {
    /// Opens (or continues) the log at `path`.
    pub fn open(path: &Path) -> Self {
        Self::with_bound(path, LOG_SIZE_BYTES_MAX)
    }

    fn with_bound(path: &Path, bound: u64) -> Self {
        let mut log = Self { path: path.to_owned(), file: None, size: 0, bound, failing: false };
        if !path.as_os_str().is_empty() {
            let made = path.parent().map_or(Ok(()), fs::create_dir_all);
            let opened = made.and_then(|()| log.reopen());
            log.note(opened);
        }
        log
    }

    /// Writes whole entries.
    pub fn write(&mut self, entries: &[u8]) {
        if self.path.as_os_str().is_empty() || entries.is_empty() {
            return;
        }
        let result = self.try_write(entries);
        self.note(result);
    }

    fn try_write(&mut self, entries: &[u8]) -> std::io::Result<()> {
        if self.file.is_none() {
            self.reopen()?;
        }
        if self.size > 0 && self.size + entries.len() as u64 > self.bound {
            self.rotate()?;
        }
        if let Some(file) = &mut self.file {
            file.write_all(entries)?;
            self.size += entries.len() as u64;
        }
        Ok(())
    }

    fn rotate(&mut self) -> std::io::Result<()> {
        self.file = None;
        for age in (1..LOG_FILES - 1).rev() {
            // A file that is not there yet has no successor.
            let _ = fs::rename(rotated(&self.path, age), rotated(&self.path, age + 1));
        }
        fs::rename(&self.path, rotated(&self.path, 1))?;
        self.reopen()
    }

    fn reopen(&mut self) -> std::io::Result<()> {
        let file = File::options().create(true).append(true).open(&self.path)?;
        self.size = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    /// Says once that a log fails, and once that it works again.
    fn note(&mut self, result: std::io::Result<()>) {
        match result {
            Ok(()) => self.failing = false,
            Err(error) => {
                if !self.failing {
                    eprintln!("{}: log entries are lost: {error}", self.path.display());
                }
                self.failing = true;
                self.file = None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
