//! A network namespace without uplink: loopback and whatever kelson makes, and no way out.

use std::process::Command;

/// Deleted when dropped.
pub struct Namespace(String);

impl Namespace {
    /// Makes the namespace and brings its loopback up.
    pub fn create(name: &str) -> Self {
        let namespace = Self(format!("kelson-{name}-{}", std::process::id()));
        run("ip", &["netns", "add", &namespace.0]);
        run("ip", &["-n", &namespace.0, "link", "set", "lo", "up"]);
        namespace
    }

    pub fn name(&self) -> &str {
        &self.0
    }

    /// A command inside it. `nsenter` rather than `ip netns exec`, which would hide the cgroups.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.0)).arg("--").arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().expect("the program is installed");
    assert!(status.success(), "{program} {arguments:?} failed");
}
