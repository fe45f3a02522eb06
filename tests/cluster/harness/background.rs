//! A shell line that goes on while the test does something else; its output so far can be counted.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::Cluster;

/// Killed when dropped.
pub struct Background {
    process: Child,
    output: PathBuf,
}

impl Cluster {
    /// Starts a shell line on the node, with `ROUND` set to `round` in its environment.
    pub fn shell_in_background(&self, line: &str, round: usize) -> Background {
        let output = self.directory.join(format!("background-{round}"));
        let file = std::fs::File::create(&output).expect("the output file is made");
        let mut command: Command = self.on_node("sh");
        command
            .args(["-c", line])
            .env("KUBECONFIG", self.data_dir().join("kubeconfig"))
            .env("HOME", &self.directory);
        command.env("ROUND", round.to_string()).stdin(Stdio::null()).stdout(file).stderr(Stdio::null());
        Background { process: command.spawn().expect("a shell runs"), output }
    }
}

impl Background {
    fn text(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Lines printed so far.
    pub fn lines(&self) -> usize {
        self.text().lines().count()
    }

    /// Waits for the line's end; the first word of each line it printed.
    pub fn finish(mut self) -> Vec<String> {
        self.process.wait().expect("the shell ends");
        self.text().lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
