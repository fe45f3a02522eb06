//! What `kelson up` prints: a line a part with the time it took, and the one line a shell needs.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Instant;

use anyhow::Context;
use kelson_apiserver::ApiServer;

use super::config::Config;

/// The report, as far as it has come.
pub struct Report {
    begun: Instant,
}

impl Report {
    /// A report of a start that began then.
    pub fn since(begun: Instant) -> Self {
        Self { begun }
    }

    /// One part is ready.
    pub fn ready(&mut self, part: &str, what: &str) {
        println!("{:>6} ms  {part:<12} {what}", self.begun.elapsed().as_millis());
    }

    /// Everything is.
    pub fn finish(self, config: &Config) {
        println!("\nexport KUBECONFIG={}", config.kubeconfig.display());
    }
}

/// Writes the administrator's kubeconfig, readable by its owner alone.
pub fn write_kubeconfig(config: &Config, api: &ApiServer) -> anyhow::Result<()> {
    let text = api.kubeconfig(&format!("https://127.0.0.1:{}", config.listen[0].port()));
    let path = &config.kubeconfig;
    let write = || {
        let aside = path.with_extension("new");
        let _ = std::fs::remove_file(&aside);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(&aside, path)
    };
    write().with_context(|| format!("--write-kubeconfig: writing {}", path.display()))
}
