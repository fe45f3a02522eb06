//! hostPath: a path of the node, of the type the pod says, made where the type says so.

use k8s_openapi::api::core::v1::HostPathVolumeSource;
use std::fs::{self, Metadata, OpenOptions, Permissions};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

/// Checks the path and makes it if need be. The error is upstream's words.
pub fn check(source: &HostPathVolumeSource) -> Result<(), String> {
    let path = Path::new(&source.path);
    if path.components().any(|part| part == std::path::Component::ParentDir) {
        return Err(format!("hostPath {} must not contain '..'", source.path));
    }
    let found = fs::metadata(path).ok();
    match (source.type_.as_deref().unwrap_or_default(), &found) {
        ("DirectoryOrCreate", None) => make_dir(path),
        ("FileOrCreate", None) => make_file(path),
        ("", None) => make_dir(path),
        ("", Some(_)) => Ok(()),
        (kind, found) => is(kind, path, found.as_ref()),
    }
}

fn is(kind: &str, path: &Path, found: Option<&Metadata>) -> Result<(), String> {
    let (fits, what) = match kind {
        "Directory" | "DirectoryOrCreate" => (found.is_some_and(Metadata::is_dir), "directory"),
        "File" | "FileOrCreate" => (found.is_some_and(Metadata::is_file), "file"),
        "Socket" => (found.is_some_and(|it| it.file_type().is_socket()), "socket file"),
        "CharDevice" => (found.is_some_and(|it| it.file_type().is_char_device()), "character device"),
        "BlockDevice" => (found.is_some_and(|it| it.file_type().is_block_device()), "block device"),
        other => return Err(format!("{other} is an invalid volume type")),
    };
    match fits {
        true => Ok(()),
        false => Err(format!("hostPath type check failed: {} is not a {what}", path.display())),
    }
}

fn make_dir(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
        .map_err(|error| format!("could not make {}: {error}", path.display()))
}

fn make_file(path: &Path) -> Result<(), String> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|file| file.set_permissions(Permissions::from_mode(0o644)))
        .map_err(|error| format!("could not make {}: {error}", path.display()))
}
