//! Seccomp profiles → the kernel's filter programs, compiled once and kept.
//!
//! Compiling the default profile takes libseccomp 10 ms, more than all the rest of a start. A compiled program lies in a
//! file named after its profile's hash, together with the profile itself: only an equal profile makes it valid. The
//! directory belongs to root; a file that is torn or strange is compiled anew.

use libcontainer::oci_spec::runtime::{LinuxSeccomp, LinuxSeccompArg, LinuxSyscall};
use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use serde_json::Value;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Seek};
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;

/// A BPF instruction's size, and the most instructions the kernel takes.
const INSTRUCTION: usize = 8;
const INSTRUCTIONS_MAX: usize = 4096;

/// The program for an OCI profile, from `kept` if it is there.
pub fn of(profile: &Value, kept: &Path) -> Result<Vec<u8>, String> {
    let key = format!("{}\n{profile}\n", env!("CARGO_PKG_VERSION"));
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let path = kept.join(format!("{:016x}.bpf", hasher.finish()));
    if let Some(program) =
        fs::read(&path).ok().and_then(|file| Some(file.strip_prefix(key.as_bytes())?.to_vec()))
        && is_program(&program)
    {
        return Ok(program);
    }
    let parsed =
        serde_json::from_value(profile.clone()).map_err(|error| format!("seccomp profile: {error}"))?;
    let program = compile(&parsed).map_err(|reason| format!("seccomp profile: {reason}"))?;
    // Not kept is only slower.
    if let Err(error) = keep(kept, &path, key.as_bytes(), &program) {
        eprintln!("could not keep a compiled seccomp profile in {}: {error}", kept.display());
    }
    Ok(program)
}

fn is_program(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.len().is_multiple_of(INSTRUCTION)
        && bytes.len() / INSTRUCTION <= INSTRUCTIONS_MAX
}

/// Whole or not at all; shims may race, each with a file of its own.
fn keep(dir: &Path, path: &Path, key: &[u8], program: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).recursive(true).create(dir)?;
    let beside = path.with_extension(format!("{}", std::process::id()));
    fs::write(&beside, [key, program].concat())?;
    fs::rename(&beside, path)
}

fn compile(profile: &LinuxSeccomp) -> Result<Vec<u8>, String> {
    if profile.flags().as_ref().is_some_and(|flags| !flags.is_empty()) || profile.listener_path().is_some() {
        return Err("flags and listeners are not supported".into());
    }
    let default = action(&profile.default_action().to_string(), profile.default_errno_ret())?;
    let mut context = ScmpFilterContext::new(default).map_err(|error| error.to_string())?;
    for arch in profile.architectures().iter().flatten() {
        let arch: ScmpArch = arch.to_string().parse().map_err(|error| format!("{arch}: {error}"))?;
        context.add_arch(arch).map_err(|error| error.to_string())?;
    }
    for rule in profile.syscalls().iter().flatten() {
        let action = action(&rule.action().to_string(), rule.errno_ret())?;
        // A rule that does what happens anyway is refused by the library.
        if action != default {
            add(&mut context, rule, action)?;
        }
    }
    export(&context)
}

fn action(name: &str, errno: Option<u32>) -> Result<ScmpAction, String> {
    let value = errno.map_or(libc::EPERM, |errno| errno as i32);
    match ScmpAction::from_str(name, Some(value)) {
        Ok(ScmpAction::Notify) => Err("SCMP_ACT_NOTIFY is not supported".into()),
        result => result.map_err(|error| format!("{name}: {error}")),
    }
}

fn add(context: &mut ScmpFilterContext, rule: &LinuxSyscall, action: ScmpAction) -> Result<(), String> {
    let comparisons: Vec<ScmpArgCompare> =
        rule.args().iter().flatten().map(comparison).collect::<Result<_, _>>()?;
    let mut indexes: Vec<usize> = rule.args().iter().flatten().map(LinuxSeccompArg::index).collect();
    indexes.sort_unstable();
    let twice = indexes.windows(2).any(|pair| pair[0] == pair[1]);
    for name in rule.names() {
        // A name that neither the library nor the architecture knows cannot be called either.
        let Ok(syscall) = ScmpSyscall::from_name(name) else { continue };
        // The library compares an argument once a rule; several comparisons of one are alternatives (runc does the same).
        let added = match twice {
            true => comparisons
                .iter()
                .try_for_each(|one| context.add_rule_conditional(action, syscall, &[*one]).map(|_| ())),
            false => context.add_rule_conditional(action, syscall, &comparisons).map(|_| ()),
        };
        added.map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

fn comparison(arg: &LinuxSeccompArg) -> Result<ScmpArgCompare, String> {
    let name = arg.op().to_string();
    let op = match name.parse().map_err(|error| format!("{name}: {error}"))? {
        ScmpCompareOp::MaskedEqual(_) => {
            // OCI: value is the mask, valueTwo what must remain.
            let remains = arg.value_two().unwrap_or(0);
            return Ok(ScmpArgCompare::new(
                arg.index() as u32,
                ScmpCompareOp::MaskedEqual(arg.value()),
                remains,
            ));
        }
        op => op,
    };
    Ok(ScmpArgCompare::new(arg.index() as u32, op, arg.value()))
}

fn export(context: &ScmpFilterContext) -> Result<Vec<u8>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("export the filter: {error}");
    // SAFETY: a constant name; the descriptor is owned by the File.
    let fd = unsafe { libc::memfd_create(c"filter".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(failed(&std::io::Error::last_os_error()));
    }
    // SAFETY: the kernel just made it for us.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    context.export_bpf(&file).map_err(|error| failed(&error))?;
    let mut program = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut program)).map_err(|error| failed(&error))?;
    if is_program(&program) { Ok(program) } else { Err(failed(&"it is too large for the kernel")) }
}

/// Puts the filter on this process, for good.
pub fn load(program: &[u8]) -> Result<(), String> {
    let mut instructions: Vec<libc::sock_filter> = program
        .chunks_exact(INSTRUCTION)
        .map(|bytes| libc::sock_filter {
            code: u16::from_ne_bytes([bytes[0], bytes[1]]),
            jt: bytes[2],
            jf: bytes[3],
            k: u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
        })
        .collect();
    let length = u16::try_from(instructions.len()).map_err(|_| "the filter is too long")?;
    let program = libc::sock_fprog { len: length, filter: instructions.as_mut_ptr() };
    // SAFETY: the program and its instructions outlive the call, and the length is theirs.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &program) };
    if result == 0 {
        Ok(())
    } else {
        Err(format!("load the seccomp filter: {}", std::io::Error::last_os_error()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn kept_programs_are_only_believed_when_whole() {
        let dir = std::env::temp_dir().join(format!("kelson-filters-{}", std::process::id()));
        let profile = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["mkdir", "nosuchcall"], "action": "SCMP_ACT_ERRNO" }],
        });
        let first = of(&profile, &dir).unwrap();
        let path = fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
        let whole = fs::read(&path).unwrap();
        let again = of(&profile, &dir).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let torn = of(&profile, &dir).unwrap();
        let repaired = fs::read(&path).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert!(first == again && first == torn && repaired == whole && whole.ends_with(&first));
    }

    /// The default profile, asked of the kernel itself in a process that wears it.
    #[test]
    fn the_default_profile_answers() {
        let profile = super::super::seccomp::default(&["CAP_CHOWN".to_owned()]);
        let program = compile(&serde_json::from_value(profile).unwrap()).unwrap();
        let errno = |call: &dyn Fn() -> libc::c_long| match call() {
            -1 => std::io::Error::last_os_error().raw_os_error().unwrap(),
            _ => 0,
        };
        // SAFETY: each call is harmless whether it is let through or not; a clone's child ends at once.
        let clone = |flags: i32| unsafe {
            let pid = libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0);
            if pid == 0 {
                libc::_exit(0);
            }
            pid
        };
        // SAFETY: as above.
        let check = || unsafe {
            [
                (errno(&|| clone(0)), 0),
                (errno(&|| clone(libc::CLONE_NEWUSER)), libc::EPERM),
                (errno(&|| clone(libc::CLONE_NEWNS)), libc::EPERM),
                (errno(&|| libc::syscall(libc::SYS_clone3, 0, 0)), libc::ENOSYS),
                (errno(&|| libc::syscall(libc::SYS_unshare, libc::CLONE_NEWNS)), libc::EPERM),
                (errno(&|| libc::syscall(libc::SYS_bpf, 0, 0, 0)), libc::EPERM),
                (errno(&|| libc::syscall(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0)), 0),
                (errno(&|| libc::syscall(libc::SYS_socket, 40, libc::SOCK_STREAM, 0)), libc::EPERM),
                (errno(&|| libc::syscall(libc::SYS_personality, 0xffff_ffff_u64)), 0),
                (errno(&|| libc::syscall(libc::SYS_personality, 0x40000)), libc::EPERM),
                (errno(&|| libc::syscall(libc::SYS_getpid)), 0),
            ]
        };
        // SAFETY: the child only makes system calls, and ends without unwinding.
        unsafe {
            match libc::fork() {
                0 => {
                    libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                    let wrong =
                        load(&program).map(|()| check().iter().position(|(got, wanted)| got != wanted));
                    libc::_exit(match wrong {
                        Ok(None) => 0,
                        Ok(Some(index)) => 1 + index as i32,
                        Err(_) => 100,
                    })
                }
                pid => {
                    let mut status = 0;
                    assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
                    assert_eq!(libc::WEXITSTATUS(status), 0, "the number of the first wrong answer");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_is_said() {
        let check = |profile: Value, expected: &str| {
            let error = of(&profile, Path::new("/nowhere")).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(json!({ "defaultAction": "SCMP_ACT_NOTIFY" }), "SCMP_ACT_NOTIFY is not supported");
        check(json!({ "defaultAction": "SCMP_ACT_FLY" }), "seccomp profile");
        check(json!({}), "defaultAction");
    }
}
