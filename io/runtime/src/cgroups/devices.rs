//! What a container may do with devices: make any node, and use those of containerd's set. For v1 in the words of its
//! device controller; v2 has none, there a program of the kernel's decides, attached to the container's own group.
//!
//! Without this a container, which may make device nodes, could read the node's disks. So a container is refused where
//! the kernel takes neither.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// Character devices that may be read and written, by major and minor number: null, zero, full, random, urandom; tty,
/// console, ptmx; and every pseudo-terminal.
const USABLE: [(u32, Option<u32>); 9] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(0)),
    (5, Some(1)),
    (5, Some(2)),
    (136, None),
];

/// Forbids everything else in a group of the v1 controller.
pub fn confine_v1(dir: &Path) -> io::Result<()> {
    super::container::write(&dir.join("devices.deny"), "a *:* rwm")?;
    let allow = dir.join("devices.allow");
    let usable = USABLE.map(|(major, minor)| match minor {
        Some(minor) => format!("c {major}:{minor} rwm"),
        None => format!("c {major}:* rwm"),
    });
    let nodes = ["c *:* m", "b *:* m"].map(String::from);
    nodes.iter().chain(&usable).try_for_each(|rule| super::container::write(&allow, rule))
}

/// Forbids everything else in a group of a v2 hierarchy, which is made if it is not there.
pub fn confine_v2(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let group = File::open(dir)?;
    let refused = |error: io::Error| {
        io::Error::new(error.kind(), format!("confine devices, which wants CONFIG_CGROUP_BPF: {error}"))
    };
    attach(&group, &load(&program()).map_err(refused)?).map_err(refused)
}

/// One instruction of the kernel's machine, as `struct bpf_insn` has it.
#[derive(Clone, Copy)]
#[repr(C)]
struct Instruction {
    code: u8,
    /// The destination in the lower half, the source in the upper.
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// Register 0 is the answer, 1 the context: `struct bpf_cgroup_dev_ctx`.
const CONTEXT: u8 = 1;
const ACCESS: u8 = 2;
const KIND: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
/// `BPF_DEVCG_ACC_MKNOD` alone.
const MAKE: u32 = 1;
/// `BPF_DEVCG_DEV_CHAR`.
const CHARACTER: u32 = 2;

/// Lets through what [`USABLE`] names, and the making of nodes.
fn program() -> Vec<Instruction> {
    let mut code = vec![
        load_word(KIND, 0),
        load_word(MAJOR, 4),
        load_word(MINOR, 8),
        move_register(ACCESS, KIND),
        with(SHIFT_RIGHT, ACCESS, 16),
        with(AND, KIND, 0xffff),
    ];
    // Each rule is one or two jumps over the two instructions that allow.
    code.extend([with(JUMP_UNLESS, ACCESS, MAKE).over(2), answer(1), EXIT]);
    code.extend([with(JUMP_IF, KIND, CHARACTER).over(2), answer(0), EXIT]);
    for (major, minor) in USABLE {
        match minor {
            Some(minor) => {
                code.extend([
                    with(JUMP_UNLESS, MAJOR, major).over(3),
                    with(JUMP_UNLESS, MINOR, minor).over(2),
                ]);
            }
            None => code.push(with(JUMP_UNLESS, MAJOR, major).over(2)),
        }
        code.extend([answer(1), EXIT]);
    }
    code.extend([answer(0), EXIT]);
    code
}

const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xb7;
const MOVE_REGISTER: u8 = 0xbf;
const SHIFT_RIGHT: u8 = 0x77;
const AND: u8 = 0x57;
const JUMP_IF: u8 = 0x15;
const JUMP_UNLESS: u8 = 0x55;
const EXIT: Instruction = Instruction { code: 0x95, registers: 0, offset: 0, immediate: 0 };

fn load_word(into: u8, offset: i16) -> Instruction {
    Instruction { code: LOAD_WORD, registers: into | CONTEXT << 4, offset, immediate: 0 }
}

fn move_register(into: u8, from: u8) -> Instruction {
    Instruction { code: MOVE_REGISTER, registers: into | from << 4, offset: 0, immediate: 0 }
}

fn with(code: u8, register: u8, value: u32) -> Instruction {
    Instruction { code, registers: register, offset: 0, immediate: value.cast_signed() }
}

fn answer(value: u32) -> Instruction {
    with(MOVE, 0, value)
}

impl Instruction {
    /// A jump over so many instructions.
    fn over(self, count: i16) -> Self {
        Self { offset: count, ..self }
    }
}

const COMMAND_LOAD: libc::c_long = 5;
const COMMAND_ATTACH: libc::c_long = 8;
const CGROUP_DEVICE_PROGRAM: u32 = 15;
const CGROUP_DEVICE: u32 = 6;
/// Beside programs of others: all have to allow.
const ALLOW_MULTI: u32 = 2;

/// The members of `union bpf_attr` for loading, up to the last that is used.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log: [u64; 2],
    version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    expected: u32,
}

/// Those for attaching.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    let load = Load {
        kind: CGROUP_DEVICE_PROGRAM,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log: [0; 2],
        version: 0,
        flags: 0,
        name: *b"kelson_devices\0\0",
        interface: 0,
        expected: CGROUP_DEVICE,
    };
    let fd = bpf(COMMAND_LOAD, &load)?;
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn attach(group: &File, program: &OwnedFd) -> io::Result<()> {
    let attach = Attach {
        target: group.as_raw_fd().cast_unsigned(),
        program: program.as_raw_fd().cast_unsigned(),
        kind: CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    bpf(COMMAND_ATTACH, &attach).map(drop)
}

fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<i32> {
    // SAFETY: a structure of the stated size, only read; what it points to lives until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes as *const T, size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { i32::try_from(result).map_err(io::Error::other) }
}

#[cfg(test)]
mod tests;
