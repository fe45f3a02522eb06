//! A control group as a node's pods have one, and sockets made in it: programs are found by a socket's birthplace.

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use kelson_proxy::Place;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A group of its own and a directory for pins, removed when the test ends, however it ends.
pub struct Group {
    pub place: Place,
    _files: tempfile::TempDir,
}

impl Group {
    pub fn new() -> Self {
        let name = format!("kpx{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let cgroup = root().join(name);
        std::fs::create_dir(&cgroup).expect("making a control group takes root");
        let files = tempfile::tempdir().unwrap();
        Self { place: Place { pins: files.path().join("bpf"), cgroup }, _files: files }
    }

    /// A TCP socket made by a process of this group in the network namespace at `netns`.
    pub fn socket(&self, netns: &str) -> OwnedFd {
        let procs = std::fs::OpenOptions::new().write(true).open(self.place.cgroup.join("cgroup.procs"));
        let (procs, netns) = (procs.unwrap(), std::fs::File::open(netns).unwrap());
        let mut birth = Birth { procs: procs.as_raw_fd(), netns: netns.as_raw_fd(), made: -1 };
        let mut stack = vec![0u128; 4096];
        // SAFETY: the child shares memory and descriptors and this thread waits until it has ended (CLONE_VFORK); it
        // makes system calls alone, on a stack and an argument that live until then.
        let child = unsafe {
            let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES | libc::SIGCHLD;
            let top = stack.as_mut_ptr().add(stack.len()).cast::<c_void>();
            libc::clone(be_born, top, flags, std::ptr::from_mut(&mut birth).cast())
        };
        assert!(child > 0, "{}", io::Error::last_os_error());
        // SAFETY: the child is ours and has ended; no status is asked for.
        assert_eq!(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }, child);
        assert!(birth.made >= 0, "a process of the group makes a socket");
        // SAFETY: the child made the descriptor in the table it shares with us, for us.
        unsafe { OwnedFd::from_raw_fd(birth.made) }
    }

    /// How many programs are attached to the group, by attach type: connect4 and getpeername4.
    pub fn programs(&self) -> [u32; 2] {
        let group = std::fs::File::open(&self.place.cgroup).unwrap();
        [10, 29].map(|attach_type| {
            // BPF_PROG_QUERY's part of `union bpf_attr`: group, type, flags, their flags, ids (a pointer), count.
            let mut words = [0u32; 16];
            words[0] = u32::try_from(group.as_raw_fd()).unwrap();
            words[1] = attach_type;
            // SAFETY: the kernel reads and writes the array, whose length it is told, and no ids are asked for.
            let result = unsafe { libc::syscall(libc::SYS_bpf, 16, words.as_mut_ptr(), size_of_val(&words)) };
            assert_eq!(result, 0, "{}", io::Error::last_os_error());
            words[6]
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let removed = kelson_proxy::remove_translation(&self.place.pins);
        let empty = std::fs::remove_dir(&self.place.cgroup);
        if !std::thread::panicking() {
            removed.unwrap();
            empty.unwrap();
        }
    }
}

struct Birth {
    procs: RawFd,
    netns: RawFd,
    made: RawFd,
}

extern "C" fn be_born(birth: *mut c_void) -> i32 {
    // SAFETY: it is the `Birth` of the waiting parent; the calls take descriptors and one byte that lives.
    unsafe {
        let birth = &mut *birth.cast::<Birth>();
        let joined = libc::write(birth.procs, b"0".as_ptr().cast(), 1) == 1;
        if joined && libc::setns(birth.netns, libc::CLONE_NEWNET) == 0 {
            birth.made = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        }
    }
    0
}

/// Where control groups of version 2 are.
fn root() -> PathBuf {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let unified = mounts.lines().find(|line| line.contains(" - cgroup2 "));
    unified
        .and_then(|line| line.split(' ').nth(4))
        .expect("these tests take control groups of version 2")
        .into()
}
