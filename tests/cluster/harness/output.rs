//! What a command printed, and how tests compare it with what a document prints.

use std::process::{Command, Stdio};

/// The end of a command.
#[derive(Debug)]
pub struct Output {
    line: String,
    pub code: i32,
    /// Standard output.
    pub text: String,
    /// Standard error.
    pub errors: String,
}

impl Output {
    /// Runs the command to its end.
    pub fn of(line: &str, mut command: Command) -> Self {
        let output = command.stdin(Stdio::null()).output().expect("the program is installed");
        Self {
            line: line.to_owned(),
            code: output.status.code().unwrap_or(-1),
            text: String::from_utf8_lossy(&output.stdout).into_owned(),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Panics with everything known unless the command succeeded.
    pub fn succeeded(self, log: impl Fn() -> String) -> Self {
        assert!(
            self.code == 0,
            "`{}` failed ({})\n{}{}\n--- log\n{}",
            self.line,
            self.code,
            self.text,
            self.errors,
            log()
        );
        self
    }

    /// The rows of a table, cells split at two or more spaces; the heading first.
    pub fn rows(&self) -> Vec<Vec<String>> {
        rows(&self.text)
    }

    /// Compares with the printed text, line by line.
    #[track_caller]
    pub fn prints(&self, expected: &str) {
        assert_eq!(self.text.trim_end(), expected.trim_end(), "`{}`{}", self.line, self.errors);
    }

    /// The value after `label` in what `kubectl describe` prints.
    pub fn field(&self, label: &str) -> String {
        let line = self.text.lines().find_map(|l| l.strip_prefix(label)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {label} in\n{}", self.text)).trim().to_owned()
    }
}

/// Splits a table kubectl printed into cells.
pub fn rows(text: &str) -> Vec<Vec<String>> {
    let cells =
        |line: &str| line.split("  ").map(str::trim).filter(|c| !c.is_empty()).map(str::to_owned).collect();
    text.lines().map(cells).collect()
}
