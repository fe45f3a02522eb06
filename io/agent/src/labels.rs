//! What the agent writes beside pods and containers in the runtime, to know them again after a restart.

use kelson_pods::{Exit, Run, RunState};
use kelson_runtime::{ContainerConfig, ContainerState, Phase};

/// Seconds of grace the pod asked for.
pub const GRACE: &str = "grace";
/// Which run of its container this is.
pub const ATTEMPT: &str = "attempt";
/// The image as the pod spells it.
pub const IMAGE: &str = "image";
/// The image under its full name.
pub const IMAGE_NAME: &str = "imageName";
/// What `imageID` shows.
pub const IMAGE_ID: &str = "imageID";
/// `terminationMessagePolicy`.
pub const MESSAGE_POLICY: &str = "messagePolicy";

/// The run as `kelson_pods` knows runs; `message` is what it left in its termination message file.
pub fn run(config: &ContainerConfig, state: &ContainerState, message: String) -> Run {
    let label = |name: &str| config.labels.get(name).cloned().unwrap_or_default();
    Run {
        container: config.name.clone(),
        attempt: label(ATTEMPT).parse().unwrap_or(0),
        id: config.id.clone(),
        image: label(IMAGE),
        image_name: label(IMAGE_NAME),
        image_id: label(IMAGE_ID),
        state: run_state(state, message),
    }
}

fn run_state(state: &ContainerState, message: String) -> RunState {
    let now = kelson_process::now;
    match state.phase {
        Phase::Created => RunState::Created,
        Phase::Running => RunState::Running { started_at: state.started_at.unwrap_or_else(now) },
        Phase::Exited => RunState::Exited(Exit {
            started_at: state.started_at,
            finished_at: state.finished_at.unwrap_or_else(now),
            exit_code: state.exit_code,
            reason: Exit::reason_for(state.exit_code, state.oom_killed).to_owned(),
            message: if message.is_empty() { state.message.clone() } else { message },
        }),
    }
}
