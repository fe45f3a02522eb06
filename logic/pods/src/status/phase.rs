//! The phase a pod is in, counted from its container statuses as a kubelet counts them.

use crate::restart::restarts;
use crate::spec::{self, Role};
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};

/// Init container statuses and main container statuses.
pub(super) type Statuses<'a> = [&'a Vec<ContainerStatus>; 2];

/// How many main containers and sidecars stand where.
#[derive(Default)]
struct Count {
    running: u32,
    waiting: u32,
    stopped: u32,
    stopped_for_good: u32,
    succeeded: u32,
    /// Init containers that have yet to end, or sidecars that have yet to start.
    pending_init: u32,
    failed_init: bool,
}

/// `terminal`: no container will run again. `initialized`: a main container has run.
pub(super) fn compute(
    pod: &Pod,
    [init, main]: Statuses<'_>,
    terminal: bool,
    initialized: bool,
) -> &'static str {
    let mut count = Count::default();
    for (container, status) in spec::init_containers(pod).iter().zip(init) {
        match spec::init_role(container) {
            Role::Sidecar => count.sidecar(status, initialized),
            _ => count.init(pod, container, status),
        }
    }
    for (container, status) in spec::main_containers(pod).iter().zip(main) {
        count.main(pod, container, status);
    }
    count.phase(terminal)
}

/// The exit code of a container that has ended, also if it waits for its next run.
fn ended(status: &ContainerStatus) -> Option<i32> {
    let terminated = |state: &Option<k8s_openapi::api::core::v1::ContainerState>| {
        state.as_ref().and_then(|state| state.terminated.as_ref()).map(|it| it.exit_code)
    };
    match running(status) {
        true => None,
        false => terminated(&status.state).or_else(|| terminated(&status.last_state)),
    }
}

fn running(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|state| state.running.is_some())
}

impl Count {
    fn init(&mut self, pod: &Pod, container: &Container, status: &ContainerStatus) {
        match ended(status) {
            Some(0) => {}
            Some(code) => self.failed_init |= !restarts(pod, container, code),
            None => self.pending_init += 1,
        }
    }

    fn sidecar(&mut self, status: &ContainerStatus, initialized: bool) {
        let starting = !status.started.unwrap_or(false) && !initialized;
        match (running(status), ended(status)) {
            (true, _) => {
                self.running += 1;
                self.pending_init += u32::from(starting);
            }
            (false, Some(_)) => {}
            (false, None) => {
                self.waiting += 1;
                self.pending_init += u32::from(!initialized);
            }
        }
    }

    fn main(&mut self, pod: &Pod, container: &Container, status: &ContainerStatus) {
        match (running(status), ended(status)) {
            (true, _) => self.running += 1,
            (false, Some(code)) => {
                self.stopped += 1;
                self.stopped_for_good += u32::from(!restarts(pod, container, code));
                self.succeeded += u32::from(code == 0);
            }
            (false, None) => self.waiting += 1,
        }
    }

    fn phase(&self, terminal: bool) -> &'static str {
        let all_succeeded = if self.stopped == self.succeeded { "Succeeded" } else { "Failed" };
        if self.failed_init {
            return "Failed";
        }
        if self.pending_init > 0 || self.waiting > 0 {
            return "Pending";
        }
        match (self.running, self.stopped) {
            (1.., _) => "Running",
            (0, 0) => "Pending",
            (0, _) if terminal || self.stopped == self.stopped_for_good => all_succeeded,
            (0, _) => "Running",
        }
    }
}
