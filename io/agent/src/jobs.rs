//! The work behind each action, beside the pod's loop: it takes time, may be cut off at any point, and ends in reports.

use crate::error::chain;
use crate::host::Host;
use crate::pressure::overrun;
use crate::sandbox::Sandbox;
use crate::task::Public;
use crate::volumes::Mounted;
use crate::{container, credentials, hooks, probes, sandbox, volumes};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Node, Pod};
use kelson_images::{Auth, PullOptions};
use kelson_pods::{
    HookKind, ImageFacts, ProbeKind, ProbeOutcome, PullError, Report, Run, StartError, StopSignal, pressure,
};
use kelson_runtime::{ContainerConfig, ContainerState, Phase};
use kube::Api;
use kube::api::{DeleteParams, Preconditions};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// First and longest pause between two tries to delete the API object.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_LONGEST: Duration = Duration::from_secs(10);

/// How often volumes with a limit are looked at, as upstream does.
const MEASURE: Duration = Duration::from_secs(10);

/// What a job ended in.
pub enum Outcome {
    Reports(Vec<Report>),
    Pulled(Vec<Report>),
    Sandbox(Sandbox),
    SandboxGone,
    Refreshed,
    /// Too much is in a volume, says the message.
    Measured(Option<String>),
    Started {
        config: Box<ContainerConfig>,
    },
}

fn report(report: Report) -> Outcome {
    Outcome::Reports(vec![report])
}

/// Puts the volumes in place, if the pod may run here at all.
pub async fn mount(host: &Host, pod: &Pod, ips: &[String], mounted: Mounted) -> Outcome {
    if let Some(message) = misplaced(host, pod).await {
        return report(Report::Rejected { reason: "NodeAffinity", message });
    }
    if let Some(message) = unbearable(host, pod) {
        return report(Report::Rejected { reason: "Evicted", message });
    }
    report(match volumes::mount_all(host, pod, ips, mounted).await {
        Ok(()) => Report::VolumesMounted,
        Err(messages) => Report::VolumesFailed(messages),
    })
}

/// Why a pod that was bound past the scheduler does not belong here. A node that cannot be read says nothing.
async fn misplaced(host: &Host, pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let chooses = spec.node_selector.is_some()
        || spec.affinity.as_ref().is_some_and(|affinity| affinity.node_affinity.is_some());
    if !chooses {
        return None;
    }
    let node = Api::<Node>::all(host.client.clone()).get(&host.config.node_name).await.ok()?;
    let why = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector";
    (!kelson_plans::schedule::allows(pod, &node)).then(|| why.to_owned())
}

/// Why a node that is short of something does not take a pod that it has not taken yet.
fn unbearable(host: &Host, pod: &Pod) -> Option<String> {
    let taken = pod.status.as_ref().is_some_and(|status| status.start_time.is_some());
    pressure::refusal(&host.pressure.borrow(), pod).filter(|_| !taken)
}

/// Nothing is told: the files themselves are the outcome.
pub async fn refresh(host: &Host, pod: &Pod, ips: &[String], mounted: Mounted) -> Outcome {
    volumes::refresh(host, pod, ips, mounted).await;
    Outcome::Refreshed
}

/// Looks after a while at how much is in the volumes, and how much containers wrote.
pub async fn measure(host: &Arc<Host>, pod: &Arc<Pod>, public: watch::Receiver<Public>) -> Outcome {
    tokio::time::sleep(MEASURE).await;
    let (host, pod, public) = (host.clone(), pod.clone(), public.borrow().clone());
    let look = move || volumes::overrun(&host, &pod).or_else(|| overrun(&host, &pod, &public));
    // A look that fails has seen nothing.
    Outcome::Measured(tokio::task::spawn_blocking(look).await.ok().flatten())
}

pub async fn unmount(host: &Host, pod: &Pod, mounted: Mounted) -> Outcome {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    if let Err(error) = volumes::unmount_all(host, uid, mounted).await {
        tracing::warn!(uid, error = chain(&error), "a pod's volumes could not be removed");
    }
    report(Report::VolumesGone)
}

pub async fn sandbox(host: &Host, pod: &Pod) -> Outcome {
    match sandbox::start(host, pod).await {
        Ok(sandbox) => Outcome::Sandbox(sandbox),
        Err(why) => report(Report::SandboxFailed(why)),
    }
}

pub async fn pull(host: &Host, pod: &Pod, container: String, image: String) -> Outcome {
    let begun = Instant::now();
    let auth = match credentials::find(host, pod, &image).await {
        Some((user, password)) => Auth::Basic { user, password },
        None => Auth::Anonymous,
    };
    let insecure_registries = host.config.insecure_registries.clone();
    let options = PullOptions { insecure_registries, auth, ..PullOptions::default() };
    tracing::debug!(image, pod = pod.metadata.name, "pulling");
    let pulled = host.images.pull(&image, &options).await;
    let took = SignedDuration::try_from(begun.elapsed()).unwrap_or(SignedDuration::MAX);
    Outcome::Pulled(vec![match pulled {
        Ok(pulled) => Report::Pulled {
            container,
            image,
            facts: ImageFacts { size: pulled.size, imported: false },
            took,
        },
        Err(error) => Report::PullFailed { container, image, error: PullError(chain(&error)) },
    }])
}

pub async fn start(
    host: &Host,
    pod: &Pod,
    shim: &kelson_runtime::Pod,
    name: String,
    attempt: u32,
    ips: &[String],
    runs: &[Run],
) -> Outcome {
    let Some(spec) = kelson_pods::any_container(pod, &name) else {
        let error = StartError::Config(format!("container \"{name}\" is not in the pod"));
        return report(Report::StartFailed { container: name, attempt, error });
    };
    match container::start(host, pod, shim, &spec, attempt, ips, runs).await {
        Ok(config) => {
            // The states that follow the start have to be there before the loop looks at them.
            let id = config.id.clone();
            let begun = |states: &Arc<Vec<ContainerState>>| {
                states.iter().any(|it| it.id == id && it.phase != Phase::Created)
            };
            let _ = shim.watch().wait_for(begun).await;
            Outcome::Started { config: Box::new(config) }
        }
        Err(error) => report(Report::StartFailed { container: name, attempt, error }),
    }
}

pub async fn hook(
    pod: &Pod,
    shim: &kelson_runtime::Pod,
    name: String,
    id: String,
    kind: HookKind,
    limit_seconds: i64,
    ips: &[String],
) -> Outcome {
    let limit = Duration::from_secs(u64::try_from(limit_seconds).unwrap_or(0));
    let ip = ips.first().map(String::as_str).unwrap_or_default();
    let error = match kelson_pods::container(pod, &name) {
        Some(spec) => hooks::run(pod, shim, spec, &id, kind, limit, ip).await.err(),
        None => None,
    };
    if let Some(why) = &error {
        tracing::debug!(id, ?kind, why, "a hook failed");
    }
    report(Report::HookDone { id, kind, error })
}

pub async fn probe(
    pod: &Pod,
    shim: &kelson_runtime::Pod,
    name: String,
    id: String,
    kind: ProbeKind,
    ips: &[String],
) -> Outcome {
    let ip = ips.first().map(String::as_str).unwrap_or_default();
    let outcome = match kelson_pods::container(pod, &name) {
        Some(spec) => probes::run(shim, spec, &id, kind, ip).await,
        None => ProbeOutcome::Errored(format!("container \"{name}\" is not in the pod")),
    };
    report(Report::Probed { id, kind, outcome })
}

/// The end of the run, if it comes, is told by the runtime.
pub async fn signal(shim: &kelson_runtime::Pod, id: String, signal: StopSignal, number: i32) -> Outcome {
    let sent = match signal {
        StopSignal::Stop => shim.signal(&id, number).await,
        StopSignal::Kill => shim.kill(&id).await,
    };
    if let Err(error) = sent
        && !error.is_gone()
    {
        tracing::warn!(id, error = chain(&error), "a container could not be signalled");
    }
    Outcome::Reports(Vec::new())
}

/// Deletes the API object for good, as long as it takes; another pod of the same name is left alone.
pub async fn delete(host: &Host, pod: &Pod) -> Outcome {
    let meta = &pod.metadata;
    let name = meta.name.as_deref().unwrap_or_default();
    let api: Api<Pod> = Api::namespaced(host.client.clone(), meta.namespace.as_deref().unwrap_or_default());
    let preconditions = Some(Preconditions { uid: meta.uid.clone(), resource_version: None });
    let params = DeleteParams { grace_period_seconds: Some(0), preconditions, ..DeleteParams::default() };
    let mut pause = RETRY_FIRST;
    loop {
        match api.delete(name, &params).await {
            Ok(_) => return Outcome::Reports(Vec::new()),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                return Outcome::Reports(Vec::new());
            }
            Err(error) => tracing::warn!(
                pod = name,
                error = chain(&error),
                "cannot delete the pod's object; trying again"
            ),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_LONGEST);
    }
}
