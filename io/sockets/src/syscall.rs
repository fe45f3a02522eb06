//! The three requests of bpf(2) that `aya` has no words for: a pinned link's descriptor, another program behind a link
//! that stays, and a link's end at once, not when the kernel gets around to it.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const OBJ_GET: libc::c_int = 7;
const LINK_UPDATE: libc::c_int = 29;
const LINK_DETACH: libc::c_int = 34;

/// `union bpf_attr` as these requests fill it; the kernel takes what lies beyond as zero.
#[repr(C, align(8))]
#[derive(Default)]
struct Attributes {
    words: [u32; 6],
}

/// What is pinned at `path`.
pub fn open(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let address = u64::try_from(path.as_ptr().expose_provenance()).expect("a pointer has at most 64 bits");
    let halves = address.to_ne_bytes();
    let half = |at: usize| u32::from_ne_bytes(halves[at..at + 4].try_into().expect("four bytes"));
    let attributes = Attributes { words: [half(0), half(4), 0, 0, 0, 0] };
    let descriptor = bpf(OBJ_GET, &attributes)?;
    // SAFETY: the kernel made the descriptor just now for this call alone.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// From now on `link` runs `program`.
pub fn exchange(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let attributes = Attributes { words: [number(link), number(program), 0, 0, 0, 0] };
    bpf(LINK_UPDATE, &attributes).map(drop)
}

/// From now on `link` runs nothing.
pub fn detach(link: BorrowedFd<'_>) -> io::Result<()> {
    let attributes = Attributes { words: [number(link), 0, 0, 0, 0, 0] };
    bpf(LINK_DETACH, &attributes).map(drop)
}

fn number(descriptor: BorrowedFd<'_>) -> u32 {
    u32::try_from(descriptor.as_raw_fd()).expect("an open descriptor is not negative")
}

fn bpf(request: libc::c_int, attributes: &Attributes) -> io::Result<RawFd> {
    // SAFETY: the kernel reads `attributes`, as long as told, and a path that the caller keeps alive; it writes nothing.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, request, std::ptr::from_ref(attributes), size_of::<Attributes>())
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    RawFd::try_from(result).map_err(|_| io::ErrorKind::InvalidData.into())
}
