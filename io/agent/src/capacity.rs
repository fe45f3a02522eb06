//! What the node has: processors, memory, disk, and what it is called.

use std::fs;
use std::path::Path;

/// The node's resources.
#[derive(Clone, Copy, Debug, Default)]
pub struct Capacity {
    /// Thousandths of a processor.
    pub cpu_milli: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes of the file system that holds the data directory.
    pub disk: i64,
}

impl Capacity {
    /// Reads what the kernel says.
    pub fn read(data_dir: &Path) -> Capacity {
        let cpus = std::thread::available_parallelism().map_or(1, |count| count.get());
        let memory =
            fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_memory(&text)).unwrap_or(0);
        let disk = nix::sys::statvfs::statvfs(data_dir)
            .map(|it| it.blocks().saturating_mul(it.fragment_size()))
            .unwrap_or(0);
        Capacity {
            cpu_milli: i64::try_from(cpus).unwrap_or(1).saturating_mul(1000),
            memory,
            disk: i64::try_from(disk).unwrap_or(i64::MAX),
        }
    }
}

/// `MemTotal` of /proc/meminfo, in bytes.
fn total_memory(text: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: i64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib.saturating_mul(1024))
}
