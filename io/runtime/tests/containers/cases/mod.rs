//! The list of cases.

pub mod adoption;
mod life;
mod security;
mod stage;
mod streams;

use crate::world::World;
use std::pin::Pin;

pub type Case = for<'a> fn(&'a World) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

macro_rules! cases {
    ($($module:ident :: $name:ident),* $(,)?) => {
        pub fn all() -> Vec<(&'static str, Case)> {
            vec![$((stringify!($name), |world| Box::pin($module::$name(world)))),*]
        }
    };
}

cases![
    life::run_and_exit_code,
    life::environment_directory_user,
    life::hostname_and_namespaces_are_the_pods,
    life::cannot_start,
    life::ignored_signal_then_kill,
    life::memory_limit_is_oom_killed,
    life::bounds_reach_the_kernel,
    life::twenty_in_parallel,
    life::remove_running_and_again,
    life::mounts_and_read_only_root,
    life::latency,
    streams::log_lines_and_pieces,
    streams::log_rotation,
    streams::exec_pipes,
    streams::exec_terminal,
    streams::exec_not_found,
    streams::exec_large_input_and_output,
    streams::attach_and_stdin,
    streams::terminal_container,
    life::beside_another_container,
    security::default_profile,
    security::privileged,
    security::no_new_privileges_and_dropped_capabilities,
    security::exec_is_confined_too,
    stage::root_mounted_nowhere,
    stage::groups_are_its_own_and_read_only,
    stage::hidden_places_can_be_mounted,
    stage::directory_in_memory,
    stage::directory_with_pods_stays_where_it_is,
    adoption::killed_client_kills_no_pod,
    adoption::dead_shim_is_lost_and_swept,
    adoption::hung_shim_is_swept,
];
