//! The slots: what was saved is read back, also when a write was cut short at any byte.

use std::fs;
use std::path::Path;

use kelson_model::Cidr;

use super::{LeaseFile, SLOTS};
use crate::address::Range;
use crate::{NetworkConfig, NetworkError};

struct Directory(NetworkConfig);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kelson-leases-{}-{name}", std::process::id()));
        let range = |text| Cidr::parse(text).unwrap();
        Self(NetworkConfig::new(path, range("10.1.0.0/24"), range("10.96.0.0/16")))
    }

    fn open(&self) -> Result<LeaseFile, NetworkError> {
        LeaseFile::open(&self.0, Range::of(self.0.pod_cidr).unwrap())
    }

    fn slot(&self, number: usize) -> std::path::PathBuf {
        self.0.directory().join(SLOTS[number])
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0.data_dir);
    }
}

fn pods(file: &LeaseFile) -> Vec<&str> {
    file.leases.held().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn what_was_saved_is_read_back() {
    let directory = Directory::new("back");
    let mut file = directory.open().unwrap();
    for pod in ["a", "b", "c"] {
        file.leases.take(pod, Path::new("/n")).unwrap();
        file.save().await.unwrap();
        let again = directory.open().unwrap();
        assert_eq!((&again.leases, again.sequence), (&file.leases, file.sequence));
    }
    file.leases.release("b");
    file.save().await.unwrap();
    assert_eq!(pods(&directory.open().unwrap()), ["a", "c"], "a shorter document over a longer one");
}

#[tokio::test]
async fn a_write_cut_short_leaves_what_was_acknowledged() {
    let directory = Directory::new("cut");
    let mut file = directory.open().unwrap();
    file.leases.take("a", Path::new("/n")).unwrap();
    file.save().await.unwrap();
    file.leases.take("b", Path::new("/n")).unwrap();
    file.save().await.unwrap();
    let newest = directory.slot(usize::from(file.sequence % 2 == 1));
    let whole = fs::read(&newest).unwrap();
    let text_length = whole.iter().rposition(|byte| *byte != b' ').unwrap();
    for length in 0..text_length {
        let torn = [&whole[..length], &vec![0; whole.len() - length]].concat();
        fs::write(&newest, torn).unwrap();
        assert_eq!(pods(&directory.open().unwrap()), ["a"], "cut at {length}");
    }
    fs::write(directory.slot(usize::from(file.sequence.is_multiple_of(2))), "nonsense").unwrap();
    assert!(matches!(directory.open(), Err(NetworkError::LeaseFileDamaged { .. })), "neither is whole");
    fs::write(directory.0.directory().join(super::BOOT), "of another boot").unwrap();
    assert!(pods(&directory.open().unwrap()).is_empty(), "torn by a power failure, which no pod survived");
    assert!(pods(&directory.open().unwrap()).is_empty(), "and said once");
}
