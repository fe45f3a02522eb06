//! Handing actions out as jobs: what each needs, and nothing of when.

use super::Task;
use crate::jobs::{self, Outcome};
use crate::{container, sandbox, volumes};
use kelson_pods::{Action, Report, Run, pressure};
use std::time::Instant;

impl Task {
    /// Hands an action out as a job; one that needs the sandbox is dropped when there is none.
    pub(super) fn act(&mut self, action: Action) {
        let (host, pod, ips) = (self.host.clone(), self.pod.clone(), self.ips.clone());
        let mounted = self.mounted.clone();
        match action {
            Action::MountVolumes => {
                self.spawn("mount", async move { jobs::mount(&host, &pod, &ips, mounted).await })
            }
            Action::StartSandbox => self.spawn("sandbox", async move { jobs::sandbox(&host, &pod).await }),
            Action::Pull { container, image } => {
                self.spawn("pull", async move { jobs::pull(&host, &pod, container, image).await })
            }
            Action::Remove { container: _, id } => self.remove(id),
            Action::StopSandbox => self.stop_sandbox(),
            Action::UnmountVolumes => {
                self.spawn("unmount", async move { jobs::unmount(&host, &pod, mounted).await })
            }
            Action::DeletePod => self.spawn("delete", async move { jobs::delete(&host, &pod).await }),
            action => match self.shim.clone() {
                Some(shim) => self.act_inside(action, shim),
                None => tracing::debug!(?action, "an action came after the sandbox was gone"),
            },
        }
    }

    /// What is done inside the sandbox.
    fn act_inside(&mut self, action: Action, shim: kelson_runtime::Pod) {
        let (host, pod, ips) = (self.host.clone(), self.pod.clone(), self.ips.clone());
        match action {
            Action::Start { container, attempt } => {
                let runs: Vec<Run> = self.runs.values().cloned().collect();
                self.spawn("start", async move {
                    jobs::start(&host, &pod, &shim, container, attempt, &ips, &runs).await
                })
            }
            Action::Hook { container, id, kind, limit_seconds } => self.spawn("hook", async move {
                jobs::hook(&pod, &shim, container, id, kind, limit_seconds, &ips).await
            }),
            Action::Signal { container: _, id, signal } => {
                let number = self.stop_signal(&id);
                self.spawn("signal", async move { jobs::signal(&shim, id, signal, number).await })
            }
            Action::Probe { container, id, kind } => {
                self.spawn("probe", async move { jobs::probe(&pod, &shim, container, id, kind, &ips).await })
            }
            action => tracing::error!(?action, "an action that nobody carries out"),
        }
    }

    fn stop_sandbox(&mut self) {
        let (host, uid, roots) = (self.host.clone(), self.uid(), self.roots());
        // Whatever the shim has to say from here on is no news.
        let shim = self.shim.take();
        self.states = None;
        self.publish();
        self.spawn("stop", async move {
            sandbox::stop(&host, &uid, shim, roots).await;
            Outcome::SandboxGone
        })
    }

    fn remove(&mut self, id: String) {
        let (host, pod, shim) = (self.host.clone(), self.pod.clone(), self.shim.clone());
        self.configs.remove(&id);
        let Some(run) = self.runs.remove(&id) else { return self.report(Report::Removed { id }) };
        self.spawn("remove", async move {
            container::remove(&host, &pod, shim.as_ref(), &run).await;
            Outcome::Reports(vec![Report::Removed { id: run.id }])
        });
    }

    /// The number of the run's stop signal.
    fn stop_signal(&self, id: &str) -> i32 {
        let wanted = self.configs.get(id).map(|config| config.stop_signal.as_str()).unwrap_or_default();
        kelson_runtime::parse_signal(wanted).unwrap_or(libc::SIGTERM)
    }

    /// Brings the files of the volumes up to date, one update at a time.
    pub(super) fn refresh(&mut self) {
        if !volumes::can_change(&self.pod) {
            return;
        }
        if std::mem::replace(&mut self.refreshing, true) {
            self.refresh_again = true;
            return;
        }
        let (host, pod, ips) = (self.host.clone(), self.pod.clone(), self.ips.clone());
        let mounted = self.mounted.clone();
        self.spawn("refresh", async move { jobs::refresh(&host, &pod, &ips, mounted).await });
    }

    /// Keeps an eye on the volumes and the containers that may not grow.
    pub(super) fn measure(&mut self) {
        let (host, pod, public) = (self.host.clone(), self.pod.clone(), self.public.subscribe());
        if self.shim.is_some() && (volumes::is_limited(&pod) || pressure::is_limited(&pod)) {
            self.spawn("measure", async move { jobs::measure(&host, &pod, public).await });
        }
    }

    fn spawn(&mut self, job: &'static str, work: impl Future<Output = Outcome> + Send + 'static) {
        let (pod, work) = (self.name(), Box::pin(work));
        self.jobs.spawn(async move {
            let begun = Instant::now();
            let outcome = work.await;
            tracing::debug!(pod, job, took_us = begun.elapsed().as_micros(), "a job ended");
            outcome
        });
    }
}
