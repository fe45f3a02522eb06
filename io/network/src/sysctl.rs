//! Kernel settings of the network namespace the calling thread is in, and what they were before.

use std::fs;
use std::io;

use crate::NetworkError;

/// Sets `key` (path beneath `/proc/sys`, with slashes) to `value`; what it was before when that differs.
pub(crate) fn set(key: &str, value: &'static str) -> Result<Option<String>, NetworkError> {
    let path = format!("/proc/sys/{key}");
    let failed = |source: io::Error| NetworkError::Sysctl { key: key.replace('/', "."), value, source };
    let before = fs::read_to_string(&path).map_err(failed)?;
    if before.trim() == value {
        return Ok(None);
    }
    fs::write(&path, value).map_err(failed)?;
    Ok(Some(before.trim().to_owned()))
}

/// Puts back what [`set`] found; a setting that is gone with its link is nobody's loss.
pub(crate) fn restore(key: &str, value: &str) {
    if let Err(error) = fs::write(format!("/proc/sys/{key}"), value) {
        tracing::debug!(key, %error, "setting not restored");
    }
}
