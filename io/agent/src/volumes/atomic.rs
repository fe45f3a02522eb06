//! Files that change all at once: a directory `..<time>` with the content, the link `..data` to it, and a link a file.
//!
//! A reader that follows the links sees the old content or the new, never a mixture: the one step is the rename of
//! `..data`. Unchanged content touches nothing, so inotify stays silent.

use super::disk;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

/// The link that is switched.
const DATA: &str = "..data";
const DATA_NEXT: &str = "..data_tmp";
const GROUP_READ: u32 = 0o040;

/// Relative path of each file, its content and mode.
pub type Payload = BTreeMap<PathBuf, (Vec<u8>, u32)>;

/// Makes the directory `path` hold exactly `payload`.
pub fn write(path: &Path, payload: &Payload, group: Option<i64>) -> Result<(), String> {
    if let Some(bad) = payload.keys().find(|it| !is_inside(it)) {
        return Err(format!("invalid path {}: must be relative and without '..'", bad.display()));
    }
    write_files(path, payload, group).map_err(|error| format!("could not write {}: {error}", path.display()))
}

/// Relative, goes nowhere but down, and does not take the names used here.
fn is_inside(path: &Path) -> bool {
    let mut parts = path.components().peekable();
    let reserved = path.to_string_lossy().starts_with("..");
    parts.peek().is_some() && !reserved && parts.all(|part| matches!(part, Component::Normal(_)))
}

fn write_files(path: &Path, payload: &Payload, group: Option<i64>) -> io::Result<()> {
    fs::create_dir_all(path)?;
    disk::own(path, if group.is_some() { 0o2775 } else { 0o755 }, group)?;
    let before = fs::read_link(path.join(DATA)).ok();
    if before.as_ref().is_some_and(|before| same(&path.join(before), payload)) {
        return Ok(());
    }
    let name = format!("..{}", kelson_process::now().strftime("%Y_%m_%d_%H_%M_%S.%N"));
    let fresh = path.join(&name);
    for (file, (content, mode)) in payload {
        let target = fresh.join(file);
        fs::create_dir_all(target.parent().unwrap_or(&fresh))?;
        fs::write(&target, content)?;
        disk::own(&target, mode | if group.is_some() { GROUP_READ } else { 0 }, group)?;
    }
    fs::create_dir_all(&fresh)?;
    let next = path.join(DATA_NEXT);
    let _ = fs::remove_file(&next);
    symlink(&name, &next)?;
    fs::rename(&next, path.join(DATA))?;
    link_files(path, payload)?;
    match before {
        Some(before) if before.to_string_lossy().starts_with("..") => fs::remove_dir_all(path.join(before)),
        _ => Ok(()),
    }
}

/// The first part of each path links through `..data`; links of files that are gone go too.
fn link_files(path: &Path, payload: &Payload) -> io::Result<()> {
    let wanted: BTreeSet<PathBuf> = payload
        .keys()
        .filter_map(|file| file.components().next())
        .map(|part| PathBuf::from(part.as_os_str()))
        .collect();
    for name in &wanted {
        let link = path.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(name), &link)?;
        }
    }
    for entry in fs::read_dir(path)? {
        let name = PathBuf::from(entry?.file_name());
        if !wanted.contains(&name) && !name.to_string_lossy().starts_with("..") {
            fs::remove_file(path.join(&name))?;
        }
    }
    Ok(())
}

/// Whether the directory holds exactly these files with this content.
fn same(dir: &Path, payload: &Payload) -> bool {
    let mut found = 0;
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        let Ok(entries) = fs::read_dir(&next) else { return false };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => dirs.push(entry.path()),
                _ => found += 1,
            }
        }
    }
    let equal = |(file, (content, _)): (&PathBuf, &(Vec<u8>, u32))| {
        fs::read(dir.join(file)).is_ok_and(|it| it == *content)
    };
    found == payload.len() && payload.iter().all(equal)
}

#[cfg(test)]
mod tests;
