//! What a container's first process is: command line, environment, directory, user, rights.
//!
//! Joins the pod's word with the image's as CRI does: the pod wins, field by field.

use crate::env::expand;
use crate::spec;
use k8s_openapi::api::core::v1::{Container, Pod, PodSecurityContext, SecurityContext};

/// PATH of a container whose image sets none.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the image says about its process.
#[derive(Clone, Debug, Default)]
pub struct ImageProcess {
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    /// `NAME=value` entries.
    pub env: Vec<String>,
    /// As written: empty, `name`, `uid`, `uid:gid` …
    pub user: String,
    pub working_dir: String,
    pub stop_signal: String,
}

/// The process of a container, everything but its user resolved to numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    pub cwd: String,
    pub uid: Option<i64>,
    pub gid: Option<i64>,
    /// `supplementalGroups` and `fsGroup`.
    pub groups: Vec<i64>,
    /// `supplementalGroupsPolicy: Strict`: the image's groups are not added.
    pub strict_groups: bool,
    pub privileged: bool,
    pub read_only: bool,
    pub no_new_privileges: bool,
    pub add_capabilities: Vec<String>,
    pub drop_capabilities: Vec<String>,
    pub unmasked_proc: bool,
    pub seccomp: Seccomp,
    /// Empty: SIGTERM.
    pub stop_signal: String,
}

/// The seccomp profile asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Seccomp {
    #[default]
    RuntimeDefault,
    Unconfined,
    /// Path below the node's seccomp directory.
    Localhost(String),
}

/// Joins pod and image. `env` is [`crate::env::environment`]'s, `hostname` what the pod calls itself.
/// The error is the message of `CreateContainerError` or `CreateContainerConfigError`.
pub fn of(
    pod: &Pod,
    container: &Container,
    image: &ImageProcess,
    env: Vec<(String, String)>,
    hostname: &str,
) -> Result<Process, String> {
    let own = container.security_context.clone().unwrap_or_default();
    let of_pod = pod.spec.as_ref().and_then(|it| it.security_context.clone()).unwrap_or_default();
    let uid = own.run_as_user.or(of_pod.run_as_user);
    non_root(pod, container, &own, &of_pod, uid, &image.user)?;
    let args = args(container, image, &env);
    if args.is_empty() {
        return Err("no command specified".to_owned());
    }
    let capabilities = own.capabilities.clone().unwrap_or_default();
    let mut groups = of_pod.supplemental_groups.clone().unwrap_or_default();
    groups.extend(of_pod.fs_group);
    let lifecycle_signal = container.lifecycle.as_ref().and_then(|it| it.stop_signal.clone());
    Ok(Process {
        args,
        env: merged_env(image, env, hostname),
        cwd: container
            .working_dir
            .clone()
            .filter(|it| !it.is_empty())
            .unwrap_or_else(|| image.working_dir.clone()),
        uid,
        gid: own.run_as_group.or(of_pod.run_as_group),
        groups,
        strict_groups: of_pod.supplemental_groups_policy.as_deref() == Some("Strict"),
        privileged: own.privileged.unwrap_or(false),
        read_only: own.read_only_root_filesystem.unwrap_or(false),
        no_new_privileges: own.allow_privilege_escalation == Some(false),
        add_capabilities: capabilities.add.unwrap_or_default(),
        drop_capabilities: capabilities.drop.unwrap_or_default(),
        unmasked_proc: own.proc_mount.as_deref() == Some("Unmasked"),
        seccomp: seccomp(&own, &of_pod),
        stop_signal: lifecycle_signal.unwrap_or_else(|| image.stop_signal.clone()),
    })
}

/// The command line: a command replaces the image's entrypoint and its cmd, args replace its cmd.
fn args(container: &Container, image: &ImageProcess, env: &[(String, String)]) -> Vec<String> {
    let value = |name: &str| env.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
    let expanded = |words: &Option<Vec<String>>| -> Vec<String> {
        words.iter().flatten().map(|word| expand(word, value)).collect()
    };
    let (command, args) = (expanded(&container.command), expanded(&container.args));
    let (entrypoint, rest) = match (command.is_empty(), args.is_empty()) {
        (false, _) => (command, args),
        (true, false) => (image.entrypoint.clone(), args),
        (true, true) => (image.entrypoint.clone(), image.cmd.clone()),
    };
    entrypoint.into_iter().chain(rest).collect()
}

/// PATH and HOSTNAME, then the image's variables, then the container's; a later one takes the earlier one's place.
fn merged_env(image: &ImageProcess, env: Vec<(String, String)>, hostname: &str) -> Vec<(String, String)> {
    let split = |entry: &String| match entry.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (entry.clone(), String::new()),
    };
    let basic = [("PATH".to_owned(), DEFAULT_PATH.to_owned()), ("HOSTNAME".to_owned(), hostname.to_owned())];
    let mut all: Vec<(String, String)> = Vec::new();
    for (name, value) in basic.into_iter().chain(image.env.iter().map(split)).chain(env) {
        match all.iter_mut().find(|(other, _)| *other == name) {
            Some((_, old)) => *old = value,
            None => all.push((name, value)),
        }
    }
    all
}

/// `runAsNonRoot`: refuses root, and a user that only the image knows by name.
fn non_root(
    pod: &Pod,
    container: &Container,
    own: &SecurityContext,
    of_pod: &PodSecurityContext,
    uid: Option<i64>,
    image_user: &str,
) -> Result<(), String> {
    if own.run_as_non_root.or(of_pod.run_as_non_root) != Some(true) {
        return Ok(());
    }
    let place = format!("(pod: \"{}\", container: {})", spec::full_name(pod), container.name);
    let user = image_user.split(':').next().unwrap_or_default();
    match (uid, user.parse::<i64>()) {
        (Some(0), _) => Err(format!("container's runAsUser breaks non-root policy {place}")),
        (Some(_), _) => Ok(()),
        (None, Ok(0)) => Err(format!("container has runAsNonRoot and image will run as root {place}")),
        (None, Ok(_)) => Ok(()),
        (None, Err(_)) if user.is_empty() => {
            Err(format!("container has runAsNonRoot and image will run as root {place}"))
        }
        (None, Err(_)) => Err(format!(
            "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root {place}"
        )),
    }
}

fn seccomp(own: &SecurityContext, of_pod: &PodSecurityContext) -> Seccomp {
    let profile = own.seccomp_profile.as_ref().or(of_pod.seccomp_profile.as_ref());
    match profile.map(|it| (it.type_.as_str(), &it.localhost_profile)) {
        Some(("Unconfined", _)) => Seccomp::Unconfined,
        Some(("Localhost", Some(path))) => Seccomp::Localhost(path.clone()),
        _ => Seccomp::RuntimeDefault,
    }
}
