//! subPath: a file or directory inside a volume, found without ever being led out of it.
//!
//! Links inside the volume are followed (a ConfigMap's files are links) as long as they stay inside; the place they lead
//! to is opened once more from the volume's root with links forbidden (`openat2`), and that very file is what is mounted,
//! so a container that swaps a directory for a link in between gets an error and no file of the node.

use nix::mount::{MsFlags, mount};
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// Mounts `volume`/`sub_path` at `target`, making the directory if there is nothing. The error is for the pod's status.
pub fn bind(volume: &Path, sub_path: &str, target: &Path) -> Result<(), String> {
    let wrong =
        |error: io::Error| format!("failed to prepare subPath for volumeMount \"{sub_path}\": {error}");
    let inside =
        Path::new(sub_path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !inside {
        return Err(format!("subPath \"{sub_path}\" must be relative and not contain \"..\""));
    }
    let found = open(volume, sub_path).map_err(wrong)?;
    make_target(&found, target).map_err(wrong)?;
    let source = format!("/proc/self/fd/{}", found.as_raw_fd());
    mount(Some(source.as_str()), target, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .map_err(|error| wrong(error.into()))
}

fn open(volume: &Path, sub_path: &str) -> io::Result<OwnedFd> {
    let root = volume.canonicalize()?;
    let wanted = root.join(sub_path);
    if !wanted.exists() {
        make_dirs(&root, Path::new(sub_path))?;
    }
    let real = wanted.canonicalize()?;
    let relative =
        real.strip_prefix(&root).map_err(|_| io::Error::other("the path leads out of the volume"))?;
    let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
    open_beneath(&File::open(&root)?, relative)
}

/// Makes the missing directories one by one, each opened from the one above without following links.
fn make_dirs(root: &Path, path: &Path) -> io::Result<()> {
    let mut dir = OwnedFd::from(File::open(root)?);
    for part in path.components().filter(|part| matches!(part, Component::Normal(_))) {
        let name = CString::new(part.as_os_str().as_bytes())?;
        // SAFETY: the descriptor is open and the name ends in a zero byte.
        let made = unsafe { libc::mkdirat(dir.as_raw_fd(), name.as_ptr(), 0o750) };
        if made < 0 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::AlreadyExists {
                return Err(error);
            }
        }
        dir = open_beneath(&dir, Path::new(part.as_os_str()))?;
    }
    Ok(())
}

/// Opens `path` below `dir`; no link is followed and nothing above is reached.
fn open_beneath(dir: &impl AsRawFd, path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: `open_how` is plain data for which all zeroes is a valid value.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (libc::O_PATH | libc::O_CLOEXEC) as u64;
    how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS;
    // SAFETY: the descriptor is open, the path ends in a zero byte, and `how` lives through the call.
    let fd = unsafe {
        libc::syscall(libc::SYS_openat2, dir.as_raw_fd(), path.as_ptr(), &how, size_of::<libc::open_how>())
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just given us this descriptor and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Something of the same kind to mount over.
fn make_target(found: &OwnedFd, target: &Path) -> io::Result<()> {
    fs::create_dir_all(target.parent().unwrap_or(target))?;
    let is_dir = fs::metadata(format!("/proc/self/fd/{}", found.as_raw_fd()))?.is_dir();
    match is_dir {
        true => fs::create_dir_all(target),
        false => File::create(target).map(drop),
    }
}

#[cfg(test)]
mod tests;
