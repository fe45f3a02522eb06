//! The file: what survives, who may read it, what is refused.

use std::os::unix::fs::PermissionsExt;

use super::directory::{Directory, commit, list, value};
use crate::{Change, Config, Embedded, Expect, OpenError, Store, StoreError};

fn put(key: &str, text: &str) -> Change {
    Change::put(key, Expect::Any, text.to_owned())
}

#[test]
fn everything_survives_a_restart() {
    let directory = Directory::new();
    let store = directory.open();
    commit(&store, vec![put("/a", "1"), put("/b", "1")]).unwrap();
    commit(&store, vec![put("/a", "2"), Change::delete("/b", Expect::Any, "gone")]).unwrap();
    drop(store);
    let store = directory.open();
    assert_eq!((store.revision(), value(&store, "/a").unwrap().as_str()), (3, "2"));
    let entries = list(&store, "/", None, 0).entries;
    assert_eq!((entries.len(), entries[0].create_revision, entries[0].mod_revision), (1, 2, 3));
    assert!(store.watch("/", 3).is_ok(), "the current revision can be watched");
    assert!(matches!(store.watch("/", 2), Err(StoreError::Compacted { oldest: 3 })));
    assert_eq!(commit(&store, vec![put("/a", "3")]).unwrap(), 4);
}

#[test]
fn only_the_owner_may_read_it() {
    let directory = Directory::new();
    drop(directory.open());
    let mode = || std::fs::metadata(directory.file()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    std::fs::set_permissions(directory.file(), PermissionsExt::from_mode(0o644)).unwrap();
    drop(directory.open());
    assert_eq!(mode(), 0o600, "an older file is closed to others too");
}

#[test]
fn one_process_at_a_time() {
    let directory = Directory::new();
    let _open = directory.open();
    let second = Embedded::open(directory.file(), Config::default()).map(drop).unwrap_err();
    assert!(matches!(second, OpenError::InUse { .. }), "{second}");
}

#[test]
fn foreign_and_damaged_files_are_refused_by_name() {
    let check = |bytes: &[u8]| {
        let directory = Directory::new();
        std::fs::write(directory.file(), bytes).unwrap();
        let error = Embedded::open(directory.file(), Config::default()).map(drop).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(directory.file().to_str().unwrap()), "{error}");
    };
    check(b"once upon a time");
    check(&[0; 8192]);
    check(&[0xff; 1 << 20]);
    let directory = Directory::new();
    let store = directory.open();
    commit(&store, vec![put("/a", "1")]).unwrap();
    drop(store);
    let mut cut = std::fs::read(directory.file()).unwrap();
    cut.truncate(4096);
    check(&cut);
}

#[test]
fn somebody_elses_tables_are_refused() {
    let directory = Directory::new();
    let database = redb::Database::create(directory.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(redb::TableDefinition::<&str, u64>::new("theirs")).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = Embedded::open(directory.file(), Config::default()).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[test]
fn another_format_is_refused_with_both_numbers() {
    let directory = Directory::new();
    drop(directory.open());
    let database = redb::Database::create(directory.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    let numbers = redb::TableDefinition::<&str, u64>::new("numbers");
    transaction.open_table(numbers).unwrap().insert("format", 9).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = Embedded::open(directory.file(), Config::default()).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Format { found: 9, expected: 1, .. }), "{error}");
}

#[test]
fn a_missing_directory_is_an_error_with_the_path() {
    let error = Embedded::open("/nowhere/at/all/store.redb", Config::default()).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "cannot open the store /nowhere/at/all/store.redb");
}

#[test]
fn a_crash_while_making_the_file_does_no_harm() {
    let directory = Directory::new();
    std::fs::write(directory.file(), b"").unwrap();
    std::fs::write(directory.file().with_extension("redb.new"), b"half a sto").unwrap();
    let store = directory.open();
    assert_eq!(commit(&store, vec![put("/a", "1")]).unwrap(), 2);
    assert!(!directory.file().with_extension("redb.new").exists());
}
