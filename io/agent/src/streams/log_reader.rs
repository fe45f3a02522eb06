//! A container's log, from the files on disk to the response's body.
//!
//! The rotated file and the current one count as one log. Following goes on into the next file when the log is rotated,
//! and ends when the container has ended and its last line was read. Memory is bounded: a few chunks wait for the
//! client, a line is cut at [`LINE_MAX`].

use super::Log;
use super::cri_log::Renderer;
use super::file_changes::FileChanges;
use super::log_options::LogOptions;
use axum::body::{Body, Bytes};
use futures_util::stream;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// Chunks that may wait for a slow client.
const CHUNKS_WAITING: usize = 8;
const CHUNK: usize = 64 << 10;
/// Far above what a writer puts on one line of the file.
const LINE_MAX: usize = 1 << 20;
/// How long a follower trusts the kernel to tell it of changes.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The response's body. Errors before the first byte are the caller's to report; later ones end the body.
pub fn body(log: Log, options: LogOptions) -> io::Result<Body> {
    // Watch before reading, so that nothing falls between.
    let dir = log.path.parent().unwrap_or(Path::new("/")).to_owned();
    let changes = if options.follow && *log.running.borrow() { FileChanges::of(&dir).ok() } else { None };
    let (files, skip) = open(&log.path, options.tail_lines)?;
    let (send, receive) = mpsc::channel(CHUNKS_WAITING);
    tokio::spawn(async move {
        let mut reader = Reader { renderer: Renderer::new(options), line: Vec::new(), send };
        if let Err(error) = reader.read(files, skip, log, changes).await {
            tracing::debug!(%error, "a log's reader went away or its file failed");
        }
    });
    let chunks = stream::unfold(receive, |mut receive| async move {
        receive.recv().await.map(|chunk: Bytes| (Ok::<_, io::Error>(chunk), receive))
    });
    Ok(Body::from_stream(chunks))
}

struct Reader {
    renderer: Renderer,
    /// A line whose end has not been read yet.
    line: Vec<u8>,
    send: mpsc::Sender<Bytes>,
}

impl Reader {
    async fn read(
        &mut self,
        files: Vec<File>,
        skip: u64,
        mut log: Log,
        mut changes: Option<FileChanges>,
    ) -> io::Result<()> {
        let mut current = None;
        for (index, mut file) in files.into_iter().enumerate() {
            if index == 0 {
                file.seek(SeekFrom::Start(skip))?;
            }
            self.drain(&mut file).await?;
            current = Some(file);
        }
        while let Some(changes) = changes.as_mut().filter(|_| !self.renderer.is_full()) {
            // In this order: what a container wrote before it ended is there once it has ended.
            let running = *log.running.borrow_and_update() && log.running.has_changed().is_ok();
            self.catch_up(&log.path, &mut current).await?;
            if !running {
                return Ok(());
            }
            tokio::select! {
                changed = changes.next() => changed?,
                _ = log.running.changed() => {}
                _ = self.send.closed() => return Ok(()),
                _ = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
        Ok(())
    }

    /// Reads the rest of the open file, and then its successors if it was rotated away.
    async fn catch_up(&mut self, path: &Path, current: &mut Option<File>) -> io::Result<()> {
        let newest = open_if_there(path)?;
        let rotated = match (&*current, &newest) {
            (Some(old), Some(new)) => old.metadata()?.ino() != new.metadata()?.ino(),
            (None, Some(_)) => true,
            _ => false,
        };
        if let Some(file) = current {
            self.drain(file).await?;
        }
        if rotated {
            // Two rotations since the last look leave a whole file in between.
            let between = open_if_there(&rotated_path(path))?;
            let known = current.as_ref().map(|file| file.metadata().map(|meta| meta.ino())).transpose()?;
            if let (Some(mut file), Some(known)) = (between, known)
                && file.metadata()?.ino() != known
            {
                self.drain(&mut file).await?;
            }
            *current = newest;
            if let Some(file) = current {
                self.drain(file).await?;
            }
        }
        Ok(())
    }

    /// Sends what the file has now. The client going away is an error, which ends the reading.
    async fn drain(&mut self, file: &mut File) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        while !self.renderer.is_full() {
            // Log files are in the page cache when they are followed; a read blocks as long as a syscall.
            let count = match file.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let mut out = Vec::new();
            self.take(&chunk[..count], &mut out);
            if !out.is_empty() {
                self.send.send(out.into()).await.map_err(|_| io::Error::from(ErrorKind::BrokenPipe))?;
            }
        }
        Ok(())
    }

    fn take(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            match self.line.is_empty() {
                true => self.renderer.line(&bytes[..end], out),
                false => {
                    self.line.extend_from_slice(&bytes[..end]);
                    let line = std::mem::take(&mut self.line);
                    self.renderer.line(&line, out);
                }
            }
            bytes = &bytes[end + 1..];
        }
        let room = LINE_MAX - self.line.len().min(LINE_MAX);
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// The files to read, oldest first, and how many bytes of the first to skip.
fn open(path: &Path, tail_lines: Option<u64>) -> io::Result<(Vec<File>, u64)> {
    let current = open_if_there(path)?;
    let before = open_if_there(&rotated_path(path))?;
    let ino =
        |file: &Option<File>| file.as_ref().map(|file| file.metadata().map(|meta| meta.ino())).transpose();
    // Opened after the current one: if a rotation came in between, this is the same file.
    let before = if ino(&before)? == ino(&current)? { None } else { before };
    let mut files: Vec<File> = [before, current].into_iter().flatten().collect();
    let Some(mut wanted) = tail_lines else { return Ok((files, 0)) };
    for index in (0..files.len()).rev() {
        let (start, missing) = last_lines(&files[index], wanted)?;
        if missing == 0 {
            return Ok((files.split_off(index), start));
        }
        wanted = missing;
    }
    Ok((files, 0))
}

fn open_if_there(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn rotated_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".1");
    name.into()
}

/// Where the last `wanted` lines begin, and how many lines short the file is.
fn last_lines(file: &File, wanted: u64) -> io::Result<(u64, u64)> {
    let size = file.metadata()?.len();
    let (mut end, mut found) = (size, 0);
    if wanted == 0 {
        return Ok((size, 0));
    }
    let mut block = vec![0; CHUNK];
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let part = &mut block[..(end - start) as usize];
        file.read_exact_at(part, start)?;
        for (offset, _) in part.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let next_line = start + offset as u64 + 1;
            // The newline at the very end closes the last line, it begins none.
            if next_line < size {
                found += 1;
            }
            if found == wanted {
                return Ok((next_line, 0));
            }
        }
        end = start;
    }
    // The first line has no newline before it.
    found += u64::from(size > 0);
    Ok((0, wanted - found.min(wanted)))
}

#[cfg(test)]
mod tests;
