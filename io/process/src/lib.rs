//! What every process needs: shutdown, the clock, randomness, logging.
//!
//! `logic/` never asks for time or randomness; it is handed what these functions return.

pub mod logging;

/// Asks every task to stop accepting, finish within its grace and end.
pub use tokio_util::sync::CancellationToken as Shutdown;
pub use tokio_util::sync::DropGuard as ShutdownOnDrop;

/// The time now, for `logic/` to be told.
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Eight random bytes from the kernel, for names, addresses and ports.
pub fn random_u64() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the kernel hands out randomness once booted");
    u64::from_ne_bytes(bytes)
}
