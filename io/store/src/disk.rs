//! The file: two redb tables, one for the entries and one for the revision.
//!
//! Invariant: the revision on disk and the entries on disk are of the same commit. Read once at the start, only written
//! from then on, by one thread.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition, TableHandle,
};

use crate::{Entry, FIRST_REVISION, OpenError};

/// What we call this layout.
const FORMAT: u64 = 1;
/// redb's page cache. Everything is in memory already; the writer only needs the upper pages of its tree.
const CACHE_BYTES: usize = 8 << 20;

/// Key to (create revision, revision of the last put, value).
const ENTRIES: TableDefinition<&str, (u64, u64, &[u8])> = TableDefinition::new("entries");
/// `format` and `revision`.
const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");

/// What a store file held when it was opened.
pub struct Contents {
    /// The last revision.
    pub revision: u64,
    /// Every entry.
    pub entries: BTreeMap<Arc<str>, Arc<Entry>>,
}

/// The open file.
pub struct Disk {
    database: Database,
}

impl Disk {
    /// Opens or makes the file, readable by its owner only.
    pub fn open(path: &Path) -> Result<(Self, Contents), OpenError> {
        // redb asserts on some kinds of damage; to us every one of them is a damaged file.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            if is_missing(path) {
                make(path)?;
            }
            let disk = Self { database: database(path, path)? };
            let contents = disk.load(path)?;
            Ok((disk, contents))
        }));
        opened.unwrap_or_else(|_| Err(OpenError::Damaged { path: path.to_owned(), source: None }))
    }

    fn format(&self) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            transaction.open_table(ENTRIES)?;
            let mut numbers = transaction.open_table(NUMBERS)?;
            numbers.insert("format", FORMAT)?;
            numbers.insert("revision", FIRST_REVISION)?;
        }
        Ok(transaction.commit()?)
    }

    fn load(&self, path: &Path) -> Result<Contents, OpenError> {
        let (format, contents) = self.load_all().map_err(|error| damaged(path, error))?;
        match (format, contents) {
            (Some(FORMAT), Some(contents)) => Ok(contents),
            (Some(found), _) if found != FORMAT => {
                Err(OpenError::Format { path: path.to_owned(), found, expected: FORMAT })
            }
            _ => Err(OpenError::Damaged { path: path.to_owned(), source: None }),
        }
    }

    /// The format, and the contents if it is ours; neither if our tables are not there.
    fn load_all(&self) -> Result<(Option<u64>, Option<Contents>), redb::Error> {
        let transaction = self.database.begin_read()?;
        let ours = transaction
            .list_tables()?
            .filter(|table| [ENTRIES.name(), NUMBERS.name()].contains(&table.name()));
        if ours.count() != 2 {
            return Ok((None, None));
        }
        let numbers = transaction.open_table(NUMBERS)?;
        let number = |key| numbers.get(key).map(|found| found.map(|guard| guard.value()));
        let (format, revision) = (number("format")?, number("revision")?);
        let (Some(FORMAT), Some(revision)) = (format, revision) else {
            return Ok((format, None));
        };
        let mut entries = BTreeMap::new();
        for row in transaction.open_table(ENTRIES)?.iter()? {
            let (key, row) = row?;
            let (key, (create_revision, mod_revision, value)) = (Arc::<str>::from(key.value()), row.value());
            let value = Bytes::copy_from_slice(value);
            entries.insert(key.clone(), Arc::new(Entry { key, value, create_revision, mod_revision }));
        }
        Ok((format, Some(Contents { revision, entries })))
    }

    /// Writes all of `changed` (`None` removes the key) and `revision` in one transaction. Returns once it is on disk.
    pub fn write(
        &self,
        revision: u64,
        changed: &BTreeMap<Arc<str>, Option<Arc<Entry>>>,
    ) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut entries = transaction.open_table(ENTRIES)?;
            for (key, entry) in changed {
                match entry {
                    Some(e) => drop(
                        entries
                            .insert(key.as_ref(), (e.create_revision, e.mod_revision, e.value.as_ref()))?,
                    ),
                    None => drop(entries.remove(key.as_ref())?),
                }
            }
            transaction.open_table(NUMBERS)?.insert("revision", revision)?;
        }
        Ok(transaction.commit()?)
    }
}

fn is_missing(path: &Path) -> bool {
    std::fs::metadata(path).map_or(true, |metadata| metadata.len() == 0)
}

/// Makes an empty store beside `path` and renames it there: a crash halfway leaves nothing that looks like a store.
fn make(path: &Path) -> Result<(), OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let file_error = |source| OpenError::File { path: path.to_owned(), source };
    if new.exists() {
        std::fs::remove_file(&new).map_err(file_error)?;
    }
    let disk = Disk { database: database(&new, path)? };
    disk.format().map_err(|error| damaged(path, error))?;
    drop(disk);
    std::fs::rename(&new, path).map_err(file_error)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(file_error)
}

/// The redb file at `at`; errors speak of `path`.
fn database(at: &Path, path: &Path) -> Result<Database, OpenError> {
    let file = open_private(at).map_err(|source| OpenError::File { path: path.to_owned(), source })?;
    let backend = FileBackend::new(file).map_err(|error| not_opened(path, error))?;
    let opened = Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend);
    opened.map_err(|error| not_opened(path, error))
}

fn open_private(path: &Path) -> std::io::Result<File> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// redb says "invalid data" of a file that is none of its own; other I/O errors are the disk's.
fn not_opened(path: &Path, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path: path.to_owned() },
        DatabaseError::Storage(StorageError::Io(source)) if is_disk_error(&source) => {
            OpenError::File { path: path.to_owned(), source }
        }
        other => damaged(path, other.into()),
    }
}

fn is_disk_error(error: &std::io::Error) -> bool {
    !matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
}

fn damaged(path: &Path, error: redb::Error) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), source: Some(Box::new(error)) }
}
