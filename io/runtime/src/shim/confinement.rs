//! The last things a process loses before its program runs: the seccomp filter goes on, capabilities go, and with
//! `allowPrivilegeEscalation: false` the way back.
//!
//! libcontainer would compile the profile anew at every start, so the filter is ours to load (`filter`). Without
//! no_new_privs that takes CAP_SYS_ADMIN, and dropping from the bounding set CAP_SETPCAP: the engine is told to leave
//! those two ([`for_engine`]) and [`Confinement::apply`] takes them, as the last step before the program.

use super::filter;
use libcontainer::oci_spec::runtime::LinuxCapabilities;
use libcontainer::syscall::syscall::create_syscall;
use serde_json::{Value, json};
use std::path::Path;
use std::rc::Rc;

/// What to apply; made while the node's files can still be read.
#[derive(Clone)]
pub struct Confinement {
    capabilities: Option<LinuxCapabilities>,
    no_new_privileges: bool,
    filter: Option<Rc<Vec<u8>>>,
}

impl Confinement {
    /// Of an OCI configuration; its profile's compiled form is kept in `filters`.
    pub fn of(spec: &Value, filters: &Path) -> Result<Self, String> {
        let process = &spec["process"];
        let profile = &spec["linux"]["seccomp"];
        let capabilities = serde_json::from_value(process["capabilities"].clone());
        Ok(Self {
            capabilities: capabilities.map_err(|error| format!("capabilities: {error}"))?,
            no_new_privileges: process["noNewPrivileges"] == true,
            filter: if profile.is_null() { None } else { Some(Rc::new(filter::of(profile, filters)?)) },
        })
    }

    /// Makes it so, for this process and what it executes. The user must have been set before.
    pub fn apply(&self) -> Result<(), String> {
        let syscall = create_syscall();
        let drop_capabilities = || match &self.capabilities {
            Some(capabilities) => libcontainer::capabilities::drop_privileges(capabilities, syscall.as_ref())
                .map_err(|error| format!("drop capabilities: {error}")),
            None => Ok(()),
        };
        let load = || self.filter.as_ref().map_or(Ok(()), |program| filter::load(program));
        if !self.no_new_privileges {
            load()?;
            return drop_capabilities();
        }
        drop_capabilities()?;
        // SAFETY: a prctl with constants.
        if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
            return Err(format!("no_new_privs: {}", std::io::Error::last_os_error()));
        }
        load()
    }
}

/// Changes an OCI configuration so that the engine leaves to us what is ours.
pub fn for_engine(spec: &mut Value) {
    if let Some(linux) = spec["linux"].as_object_mut() {
        linux.remove("seccomp");
    }
    let Some(process) = spec["process"].as_object_mut() else { return };
    process.remove("noNewPrivileges");
    for set in ["bounding", "effective", "permitted"] {
        if let Some(names) = process["capabilities"][set].as_array_mut() {
            for needed in ["CAP_SYS_ADMIN", "CAP_SETPCAP"] {
                if !names.iter().any(|name| name == needed) {
                    names.push(json!(needed));
                }
            }
        }
    }
}
