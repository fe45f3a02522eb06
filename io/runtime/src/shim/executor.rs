//! The last step of a start: find the program, put the signals right, execute.
//!
//! Runs in the container, as the container's user, so what it finds is what the container sees. Failures carry the
//! words that engines' users know (`exec: "x": executable file not found in $PATH`).

use super::birth::say_failed;
use super::confinement::Confinement;
use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{Executor, ExecutorError, ExecutorValidationError};
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Executes a container's first process for libcontainer.
#[derive(Clone)]
pub struct Program {
    /// The cradle's number.
    pub cradle: i32,
    /// What the engine leaves to us.
    pub confinement: Confinement,
}

impl Executor for Program {
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        let process = spec.process().as_ref();
        let args = process.and_then(|process| process.args().as_deref()).unwrap_or_default();
        let env = process.and_then(|process| process.env().as_deref()).unwrap_or_default();
        find(args, env).map(|_| ()).map_err(|reason| {
            say_failed(self.cradle, reason.clone());
            ExecutorValidationError::ArgValidationError(reason)
        })
    }

    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let process = spec.process().as_ref();
        let args = process.and_then(|process| process.args().as_deref()).unwrap_or_default();
        let env: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
        let reason = match self.confinement.apply() {
            Ok(()) => execute(args, &env),
            Err(reason) => reason,
        };
        say_failed(self.cradle, reason.clone());
        Err(ExecutorError::Other(reason))
    }
}

/// Replaces this process. Returns only when that fails, with the reason.
pub fn execute(args: &[String], env: &[String]) -> String {
    let attempt = || -> Result<std::convert::Infallible, String> {
        let path = find(args, env)?;
        let say = |error: &dyn std::fmt::Display| format!("exec {}: {error}", path.display());
        let program = CString::new(path.as_os_str().as_bytes()).map_err(|error| say(&error))?;
        let strings = |list: &[String]| -> Result<Vec<CString>, String> {
            list.iter().map(|text| CString::new(text.as_bytes()).map_err(|error| say(&error))).collect()
        };
        let (args, env) = (strings(args)?, strings(env)?);
        reset_signals();
        nix::unistd::execve(&program, &args, &env).map_err(|errno| say(&describe(&io::Error::from(errno))))
    };
    attempt().map_or_else(|reason| reason, |never| match never {})
}

/// Where the program is, or the words for why it cannot be run.
fn find(args: &[String], env: &[String]) -> Result<PathBuf, String> {
    let name = args.first().filter(|name| !name.is_empty()).ok_or("no command given")?;
    if name.contains('/') {
        return match usable(Path::new(name)) {
            Ok(()) => Ok(name.into()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(format!("exec: {name:?}: permission denied"))
            }
            Err(error) => Err(format!("exec: {name:?}: stat {name}: {}", describe(&error))),
        };
    }
    let path = env.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or_default();
    let mut forbidden = false;
    for dir in path.split(':') {
        let candidate = Path::new(if dir.is_empty() { "." } else { dir }).join(name);
        match usable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) => forbidden |= error.kind() == io::ErrorKind::PermissionDenied,
        }
    }
    Err(match forbidden {
        true => format!("exec: {name:?}: permission denied"),
        false => format!("exec: {name:?}: executable file not found in $PATH"),
    })
}

fn usable(path: &Path) -> io::Result<()> {
    let meta = fs::metadata(path)?;
    match meta.is_file() && meta.permissions().mode() & 0o111 != 0 {
        true => Ok(()),
        false => Err(io::ErrorKind::PermissionDenied.into()),
    }
}

/// The system's words as Go prints them, which is what users search for.
fn describe(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOENT) => "no such file or directory".into(),
        Some(libc::ENOEXEC) => "exec format error".into(),
        Some(libc::EACCES) => "permission denied".into(),
        _ => error.to_string(),
    }
}

/// A program expects default signals and none blocked; this process had SIGPIPE and more ignored.
fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: restoring a default disposition touches no memory; those that cannot be changed answer an error.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let none = nix::sys::signal::SigSet::empty();
    let _ = nix::sys::signal::sigprocmask(nix::sys::signal::SigmaskHow::SIG_SETMASK, Some(&none), None);
}
