//! One `kelson up` a data directory: an advisory lock that ends with the process.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, bail};
use nix::fcntl::{Flock, FlockArg};

/// Held for as long as this process owns the data directory.
pub struct Lock(#[expect(dead_code, reason = "held, never read: dropping it unlocks")] Flock<File>);

/// Makes the data directory, readable by its owner alone.
pub fn make_private(data_dir: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(data_dir);
    made.with_context(|| format!("--data-dir: creating {}", data_dir.display()))
}

/// Makes the data directory and locks it.
pub fn take(data_dir: &Path) -> anyhow::Result<Lock> {
    make_private(data_dir)?;
    let shown = data_dir.display();
    let path = data_dir.join("lock");
    let options =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = options.with_context(|| format!("--data-dir: opening {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            lock.set_len(0)?;
            write!(lock, "{}", std::process::id())?;
            Ok(Lock(lock))
        }
        Err((mut file, _)) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            bail!("{shown} is in use by process {holder}; stop it, or pass another --data-dir")
        }
    }
}
