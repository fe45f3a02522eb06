//! The Rust files of the workspace, as git would see them.

use std::path::{Path, PathBuf};

/// One file, by its path from the root.
pub struct Source {
    pub path: String,
    pub text: String,
}

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace exists")
}

/// Every Rust file of ours, in order.
pub fn sources() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    for place in ["bin", "logic", "io", "tests", "sim", "bench", "fuzz"] {
        walk(&root.join(place), &mut found);
    }
    found.sort();
    let read = |path: PathBuf| Source {
        text: std::fs::read_to_string(&path).expect("a listed file is readable"),
        path: path.strip_prefix(&root).expect("walked from the root").to_string_lossy().into_owned(),
    };
    found.into_iter().map(read).collect()
}

fn walk(place: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true if !path.ends_with("target") => walk(&path, found),
            false if path.extension().is_some_and(|e| e == "rs") => found.push(path),
            _ => {}
        }
    }
}

impl Source {
    pub fn lines(&self) -> usize {
        self.text.lines().count()
    }

    /// Whether the file holds tests only: a `tests` directory, `tests.rs`, or `…_tests.rs`.
    pub fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs") || self.path.ends_with("_tests.rs")
    }

    /// The text without comment lines.
    pub fn code(&self) -> String {
        self.text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    }

    /// Names of the types, traits, modules and functions the file declares, and its own.
    pub fn declared_names(&self) -> Vec<String> {
        let stem =
            Path::new(&self.path).file_stem().expect("a file has a name").to_string_lossy().into_owned();
        let declared = self.code();
        let declared = declared.lines().filter_map(declared_name);
        std::iter::once(stem).chain(declared.map(str::to_owned)).collect()
    }
}

fn declared_name(line: &str) -> Option<&str> {
    let mut words = line
        .split_whitespace()
        .skip_while(|w| w.starts_with("pub") || ["async", "const", "unsafe"].contains(w));
    let keyword = words.next()?;
    // What an impl calls its types is its trait's choice.
    if keyword == "type" && line.starts_with(' ') {
        return None;
    }
    let name = words.next()?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
    ["struct", "enum", "trait", "mod", "fn", "type"].contains(&keyword).then(|| &name[..end])
}
