//! How the process ends: 0 done, 64 a flag is wrong, 1 anything else, with the cause on stderr in one line. A subcommand
//! whose codes say more ends with [`Told`].

use std::process::ExitCode;

/// A flag's value cannot be used. The message names the flag and says what to pass instead.
#[derive(Debug)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Everything has been said already; only the exit code is left.
#[derive(Debug)]
pub struct Told(pub u8);

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ended with exit code {}", self.0)
    }
}

impl std::error::Error for Told {}

/// `sysexits.h`'s EX_USAGE.
const USAGE: u8 = 64;

/// Prints what went wrong, if anything, and chooses the exit code.
pub fn code(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    if let Some(Told(code)) = error.downcast_ref() {
        return ExitCode::from(*code);
    }
    eprintln!("kelson: {error:#}");
    if error.is::<Usage>() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}
