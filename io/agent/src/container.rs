//! Starting one container: its environment, image, root file system, mounts and bounds, then the runtime's part.
//!
//! Invariant: either the container runs, or nothing of it is left but what the error says.

use crate::error::chain;
use crate::host::{Host, write_file};
use crate::objects::{Key, Kind, Object};
use crate::{labels, sandbox, volumes};
use k8s_openapi::api::core::v1::{Container, Pod, VolumeMount};
use kelson_images::{Image, Root};
use kelson_pods::env::{self, Sources};
use kelson_pods::process::{self, ImageProcess, Process};
use kelson_pods::{Run, StartError, ephemeral, resources, service_env};
use kelson_runtime::{ContainerConfig, Mount, Phase, Propagation, Resources, Seccomp, User};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

const MESSAGE_PATH: &str = "/dev/termination-log";

/// The runtime's id of a run; unique in the cluster.
pub fn id(pod: &Pod, container: &str, attempt: u32) -> String {
    format!("{}-{container}-{attempt}", pod.metadata.uid.as_deref().unwrap_or_default())
}

/// The log of a run.
pub fn log_path(host: &Host, pod: &Pod, container: &str, attempt: u32) -> PathBuf {
    let meta = &pod.metadata;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let dir = host.paths.pod_logs(&text(&meta.namespace), &text(&meta.name), &text(&meta.uid));
    dir.join(container).join(format!("{attempt}.log"))
}

/// Creates and starts run `attempt` of `container`; returns its configuration. `runs` are the pod's until now.
pub async fn start(
    host: &Host,
    pod: &Pod,
    shim: &kelson_runtime::Pod,
    container: &Container,
    attempt: u32,
    ips: &[String],
    runs: &[Run],
) -> Result<ContainerConfig, StartError> {
    let spelled = container.image.clone().unwrap_or_default();
    let beside = ephemeral::target(pod, &container.name, runs).map_err(StartError::Config)?;
    let env = env::environment(pod, container, &sources(host, pod, ips).await).map_err(StartError::Config)?;
    let image = host
        .images
        .find(&spelled)
        .ok_or_else(|| StartError::Create(format!("image \"{spelled}\" not found")))?;
    let hostname = shim.config().hostname.clone();
    let process =
        process::of(pod, container, &of_image(&image), env, &hostname).map_err(StartError::Config)?;
    let mut config = configure(host, pod, container, attempt, &image, process).await?;
    config.beside = beside.map(|run| run.id.clone()).unwrap_or_default();
    let root = root(host, &image, &config.id, shim.takes_roots()).await.map_err(StartError::Create)?;
    config.rootfs = root.path;
    let started = launch(shim, &config, root.mount).await;
    match started {
        Ok(()) => Ok(config),
        Err(why) => Err(failed(shim, &config, why).await),
    }
}

/// Makes the run's root file system, after undoing what an interrupted start may have left; mounted nowhere yet if that
/// `can_travel`.
async fn root(host: &Host, image: &Image, id: &str, can_travel: bool) -> Result<Root, String> {
    let (images, image, root) = (host.images.clone(), image.clone(), host.paths.root(id));
    let prepared = tokio::task::spawn_blocking(move || {
        if root.exists() {
            images.release(&root)?;
        }
        match can_travel {
            true => images.make(&image, &root),
            false => images.prepare(&image, &root).map(|path| Root { path, mount: None }),
        }
    });
    prepared.await.map_err(|error| chain(&error))?.map_err(|error| chain(&error))
}

async fn launch(
    shim: &kelson_runtime::Pod,
    config: &ContainerConfig,
    root: Option<OwnedFd>,
) -> Result<(), String> {
    shim.create(config).await.map_err(|error| chain(&error))?;
    let started = match root {
        Some(root) => shim.start_on(&config.id, root).await,
        None => shim.start(&config.id).await,
    };
    started.map_err(|error| chain(&error))
}

/// Whether the container could not be made, or was made and its process could not be started.
async fn failed(shim: &kelson_runtime::Pod, config: &ContainerConfig, message: String) -> StartError {
    let states = shim.states().await.unwrap_or_default();
    match states.iter().any(|state| state.id == config.id && state.phase == Phase::Exited) {
        true => StartError::Run {
            id: config.id.clone(),
            message,
            image_name: config.labels.get(labels::IMAGE_NAME).cloned().unwrap_or_default(),
            image_id: config.labels.get(labels::IMAGE_ID).cloned().unwrap_or_default(),
        },
        false => {
            let _ = shim.remove(&config.id).await;
            StartError::Create(message)
        }
    }
}

fn of_image(image: &Image) -> ImageProcess {
    let config = image.config.clone();
    ImageProcess {
        entrypoint: config.entrypoint,
        cmd: config.cmd,
        env: config.env,
        user: config.user,
        working_dir: config.working_dir,
        stop_signal: config.stop_signal,
    }
}

/// Everything the environment may be made of.
async fn sources(host: &Host, pod: &Pod, ips: &[String]) -> Sources {
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    let links = pod.spec.as_ref().and_then(|it| it.enable_service_links).unwrap_or(true);
    let services = {
        let known = host.services.borrow();
        service_env::variables(
            known.iter().flat_map(|it| it.values()).map(|it| &it.linked),
            &namespace,
            links,
        )
    };
    let mut sources = Sources {
        services,
        pod_ips: ips.to_vec(),
        host_ips: host.node_ips(),
        node_cpu_milli: host.capacity.cpu_milli,
        node_memory: host.capacity.memory,
        ..Sources::default()
    };
    for (secret, name) in env::references(pod) {
        let kind = if secret { Kind::Secret } else { Kind::ConfigMap };
        let key = Key { kind, namespace: namespace.clone(), name: name.clone() };
        match host.objects.follow(&key).get().await {
            Some(Object::ConfigMap(map)) => drop(sources.config_maps.insert(name, (*map).clone())),
            Some(Object::Secret(secret)) => drop(sources.secrets.insert(name, (*secret).clone())),
            None => {}
        }
    }
    sources
}

async fn configure(
    host: &Host,
    pod: &Pod,
    container: &Container,
    attempt: u32,
    image: &Image,
    process: Process,
) -> Result<ContainerConfig, StartError> {
    let id = id(pod, &container.name, attempt);
    let mounts = mounts(host, pod, container, &id, &process).await?;
    let figures = resources::of_container(pod, container, host.capacity.memory);
    let full = image.names.first().cloned().unwrap_or_else(|| image.id.clone());
    let spelled = container.image.clone().unwrap_or_default();
    let name =
        kelson_images::normalize(&spelled).ok().filter(|name| image.names.contains(name)).unwrap_or(full);
    let number = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
    Ok(ContainerConfig {
        rootfs: PathBuf::new(),
        beside: String::new(),
        log_path: log_path(host, pod, &container.name, attempt),
        name: container.name.clone(),
        args: process.args,
        env: process.env,
        cwd: process.cwd,
        user: User {
            image: image.config.user.clone(),
            uid: process.uid.map(number),
            gid: process.gid.map(number),
            groups: process.groups.into_iter().map(number).collect(),
            strict: process.strict_groups,
        },
        mounts,
        resources: Resources {
            cpu_shares: Some(figures.cpu_shares),
            cpu_quota_us: figures.cpu_quota_us,
            cpu_period_us: figures.cpu_quota_us.map(|_| resources::CPU_PERIOD_US),
            memory_limit_bytes: figures.memory_limit,
            oom_score_adj: Some(figures.oom_score_adj),
            ..Resources::default()
        },
        add_capabilities: process.add_capabilities,
        drop_capabilities: process.drop_capabilities,
        privileged: process.privileged,
        read_only: process.read_only,
        no_new_privileges: process.no_new_privileges,
        seccomp: seccomp(host, process.seccomp),
        unmasked_proc: process.unmasked_proc,
        tty: container.tty.unwrap_or(false),
        stdin: container.stdin.unwrap_or(false),
        stdin_once: container.stdin_once.unwrap_or(false),
        stop_signal: process.stop_signal,
        labels: BTreeMap::from([
            (labels::ATTEMPT.to_owned(), attempt.to_string()),
            (labels::IMAGE.to_owned(), spelled),
            (labels::IMAGE_NAME.to_owned(), name),
            (labels::IMAGE_ID.to_owned(), image.reference().to_owned()),
            (
                labels::MESSAGE_POLICY.to_owned(),
                container.termination_message_policy.clone().unwrap_or_default(),
            ),
        ]),
        id,
    })
}

fn seccomp(host: &Host, wanted: process::Seccomp) -> Seccomp {
    match wanted {
        process::Seccomp::RuntimeDefault => Seccomp::RuntimeDefault,
        process::Seccomp::Unconfined => Seccomp::Unconfined,
        process::Seccomp::Localhost(path) => Seccomp::Localhost(host.paths.seccomp().join(path)),
    }
}

/// The pod's volumes, then the files every container gets unless a volume is mounted there.
async fn mounts(
    host: &Host,
    pod: &Pod,
    container: &Container,
    id: &str,
    process: &Process,
) -> Result<Vec<Mount>, StartError> {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let mut mounts = Vec::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        mounts.push(volume_mount(host, pod, mount, id, index, process).await?);
    }
    let message = host.paths.termination_message(uid, id);
    write_file(&message, "").map_err(StartError::Create)?;
    let message_path = container.termination_message_path.clone().unwrap_or_else(|| MESSAGE_PATH.to_owned());
    let files = [
        ("/etc/hosts", host.paths.pod_file(uid, "hosts"), false),
        ("/etc/hostname", host.paths.pod_file(uid, "hostname"), false),
        ("/etc/resolv.conf", host.paths.pod_file(uid, "resolv.conf"), false),
        (message_path.as_str(), message, false),
    ];
    for (destination, source, read_only) in files {
        if !mounts.iter().any(|mount| mount.destination == Path::new(destination)) {
            let destination = PathBuf::from(destination);
            mounts.push(Mount { source, destination, read_only, propagation: Propagation::None });
        }
    }
    Ok(mounts)
}

async fn volume_mount(
    host: &Host,
    pod: &Pod,
    mount: &VolumeMount,
    id: &str,
    index: usize,
    process: &Process,
) -> Result<Mount, StartError> {
    let volume = pod.spec.iter().flat_map(|it| it.volumes.iter().flatten()).find(|it| it.name == mount.name);
    let volume = volume
        .ok_or_else(|| StartError::Config(format!("cannot find volume \"{}\" to mount", mount.name)))?;
    let root = volumes::location(host, pod, volume);
    let value =
        |name: &str| process.env.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
    let sub_path = match (&mount.sub_path, &mount.sub_path_expr) {
        (Some(path), _) if !path.is_empty() => Some(path.clone()),
        (_, Some(expression)) if !expression.is_empty() => Some(env::expand(expression, value)),
        _ => None,
    };
    let source = match sub_path {
        None => root,
        Some(path) => {
            let target = host.paths.sub_path(pod.metadata.uid.as_deref().unwrap_or_default(), id, index);
            let bound = target.clone();
            tokio::task::spawn_blocking(move || volumes::bind(&root, &path, &bound))
                .await
                .map_err(|error| StartError::Config(error.to_string()))?
                .map_err(StartError::Config)?;
            target
        }
    };
    let projected = volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.downward_api.is_some()
        || volume.projected.is_some();
    let claimed_read_only =
        volume.persistent_volume_claim.as_ref().and_then(|it| it.read_only).unwrap_or(false);
    Ok(Mount {
        source,
        destination: absolute(&mount.mount_path),
        read_only: mount.read_only.unwrap_or(false) || projected || claimed_read_only,
        propagation: match mount.mount_propagation.as_deref() {
            Some("HostToContainer") => Propagation::HostToContainer,
            Some("Bidirectional") => Propagation::Bidirectional,
            _ => Propagation::None,
        },
    })
}

/// A mount path is below the root whether or not it says so.
fn absolute(path: &str) -> PathBuf {
    Path::new("/").join(path)
}

/// Forgets a run: its process entry, root file system, message and log.
pub async fn remove(host: &Host, pod: &Pod, shim: Option<&kelson_runtime::Pod>, run: &kelson_pods::Run) {
    if let Some(shim) = shim
        && let Err(error) = shim.remove(&run.id).await
        && !error.is_gone()
    {
        tracing::warn!(id = run.id, error = chain(&error), "a container that ended could not be removed");
    }
    sandbox::release_root(host, &run.id).await;
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let log = log_path(host, pod, &run.container, run.attempt);
    let rotated = (1..kelson_runtime::LOG_FILES).map(|age| kelson_runtime::rotated(&log, age));
    let message = host.paths.termination_message(uid, &run.id);
    let _ = volumes::remove(&host.paths.pod(uid).join("subpaths").join(&run.id));
    for path in rotated.chain([log.clone(), message]) {
        let _ = std::fs::remove_file(path);
    }
}
