//! Logging: one line an event on stderr, `KELSON_LOG` chooses what (`info` unless it says otherwise).

use tracing_subscriber::EnvFilter;

/// Starts logging. Colour only where a person looks.
pub fn start() {
    let filter = EnvFilter::try_from_env("KELSON_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour).init();
}
