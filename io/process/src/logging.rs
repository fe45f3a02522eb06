//! Logging: one line an event on stderr, `KELSON_LOG` chooses what: `debug`, or `warn,kelson_dns=trace`. `info` unless it
//! says otherwise.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// Starts logging. Colour only where a person looks.
pub fn start() {
    let asked = std::env::var("KELSON_LOG").unwrap_or_default();
    let chosen = chosen(&asked);
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colour);
    let filter = chosen.clone().unwrap_or_else(|_| usual());
    tracing_subscriber::registry().with(filter).with(lines).init();
    if let Err(why) = chosen {
        tracing::warn!("KELSON_LOG: {asked:?} is not understood ({why}); it is read as \"info\"");
    }
}

fn chosen(asked: &str) -> Result<Targets, String> {
    match asked.trim() {
        "" => Ok(usual()),
        asked => asked.parse().map_err(|error: tracing_subscriber::filter::ParseError| error.to_string()),
    }
}

fn usual() -> Targets {
    Targets::new().with_default(LevelFilter::INFO)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::chosen;

    /// Whether an event of that part and level is logged when this is asked for; none where it is not understood.
    fn check(asked: &str, part: &str, level: Level, expected: Option<bool>) {
        assert_eq!(chosen(asked).ok().map(|it| it.would_enable(part, &level)), expected, "{asked}");
    }

    #[test]
    fn levels_are_chosen_for_all_and_for_parts() {
        check("", "kelson_dns::udp", Level::INFO, Some(true));
        check("", "kelson_dns::udp", Level::DEBUG, Some(false));
        check("debug", "kelson_dns::udp", Level::DEBUG, Some(true));
        check("warn,kelson_dns=trace", "kelson_dns::udp", Level::TRACE, Some(true));
        check("warn,kelson_dns=trace", "kelson_proxy", Level::INFO, Some(false));
        check("off", "kelson_proxy", Level::ERROR, Some(false));
        check("kelson_dns=loud", "kelson_dns", Level::ERROR, None);
    }
}
