//! Waiting for a directory's files to change, without asking again and again.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tokio::io::unix::AsyncFd;

/// An inotify watch on one directory.
pub struct FileChanges(AsyncFd<File>);

impl FileChanges {
    /// Changes from now on: writes, new files, renames.
    pub fn of(dir: &Path) -> io::Result<Self> {
        let path = CString::new(dir.as_os_str().as_bytes())?;
        // SAFETY: makes a descriptor that only the File below owns; the path outlives the calls.
        unsafe {
            let fd = libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            let file = File::from_raw_fd(fd);
            let mask = libc::IN_MODIFY | libc::IN_CREATE | libc::IN_MOVED_TO;
            if libc::inotify_add_watch(file.as_raw_fd(), path.as_ptr(), mask) < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: the AsyncFd owns the file, so the descriptor stays open and the same.
            Ok(Self(AsyncFd::register(file)?))
        }
    }

    /// Returns after the next change, or at once if there was one since the last call. Cancel-safe.
    pub async fn next(&mut self) -> io::Result<()> {
        loop {
            let mut guard = self.0.readable().await?;
            let mut events = [0u8; 4096];
            match guard.try_io(|file| io::Read::read(&mut file.get_ref(), &mut events)) {
                Ok(result) => return result.map(|_| ()),
                Err(_would_block) => {}
            }
        }
    }
}
