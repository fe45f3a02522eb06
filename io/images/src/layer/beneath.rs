//! Opening paths beneath a directory, and nowhere else.
//!
//! The kernel does the work: `openat2` with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS` refuses `..`, absolute paths and
//! links, without a race. Names are checked before they get here all the same.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;

/// The deepest path taken.
const DEPTH_MAX: usize = 256;
/// The longest path taken, bytes (the kernel's own bound).
const PATH_BYTES_MAX: usize = 4095;

/// A path within a layer: its directories and its last name. The root itself has neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inside {
    /// The directory, `a/b`; empty for the root.
    pub parent: Vec<u8>,
    /// The name in it; `None` for the root itself.
    pub name: Option<Vec<u8>>,
}

impl Inside {
    /// Parses a path as archives have them: leading `/` and `./` mean nothing, `..` is refused.
    pub fn parse(path: &[u8]) -> io::Result<Self> {
        if path.len() > PATH_BYTES_MAX || path.contains(&0) {
            return Err(refused("its path is too long or holds a zero byte"));
        }
        let mut parts: Vec<&[u8]> =
            path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
        if parts.contains(&b"..".as_slice()) {
            return Err(refused("its path leaves the layer"));
        }
        if parts.len() > DEPTH_MAX {
            return Err(refused("its path is too deep"));
        }
        let name = parts.pop().map(<[u8]>::to_vec);
        Ok(Self { parent: parts.join(&b'/'), name })
    }
}

/// An error about what an entry tries.
pub fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Bytes as a C string; zero bytes were refused when the path was parsed.
pub fn c_string(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| refused("its path holds a zero byte"))
}

/// Opens the directory everything happens in.
pub fn open_root(directory: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_RDONLY;
    let fd = open(directory, flags, Mode::empty())?;
    // SAFETY: `open` just returned this descriptor and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Opens the directory at `path` beneath `root`; empty is the root.
pub fn open_directory(root: &OwnedFd, path: &[u8]) -> io::Result<OwnedFd> {
    let path = if path.is_empty() { c_string(b".")? } else { c_string(path)? };
    let how = OpenHow::new().flags(OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_RDONLY).resolve(
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS,
    );
    let opened = openat2(root.as_raw_fd(), path.as_c_str(), how);
    match opened {
        // SAFETY: `openat2` just returned this descriptor and nobody else owns it.
        Ok(fd) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        Err(nix::errno::Errno::ELOOP) => Err(refused("its path goes through a symbolic link")),
        Err(nix::errno::Errno::EXDEV) => Err(refused("its path leaves the layer")),
        Err(nix::errno::Errno::ENOTDIR) => {
            Err(refused("its path goes through something that is no directory"))
        }
        Err(error) => Err(error.into()),
    }
}
