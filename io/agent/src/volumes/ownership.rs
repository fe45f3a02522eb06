//! fsGroup: everything in a volume belongs to the group, which may do what the owner may.
//!
//! Links are not followed, so nothing outside the volume changes hands. Depth is bounded by the file system's paths.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

const GROUP_ALL: u32 = 0o060;
const GROUP_ENTER: u32 = 0o010;
const SET_GROUP: u32 = 0o2000;

/// Gives the volume at `path` to `group`; unless `always`, only if its root does not belong to it yet.
pub fn give(path: &Path, group: i64, always: bool) -> io::Result<()> {
    let Ok(group) = u32::try_from(group) else { return Ok(()) };
    if !always && is_given(&fs::metadata(path)?, group) {
        return Ok(());
    }
    let mut open: Vec<PathBuf> = vec![path.canonicalize()?];
    while let Some(next) = open.pop() {
        let meta = fs::symlink_metadata(&next)?;
        lchown(&next, None, Some(group))?;
        if meta.is_symlink() {
            continue;
        }
        let more = if meta.is_dir() { GROUP_ALL | GROUP_ENTER | SET_GROUP } else { GROUP_ALL };
        fs::set_permissions(&next, Permissions::from_mode(meta.mode() & 0o7777 | more))?;
        if meta.is_dir() {
            for entry in fs::read_dir(&next)? {
                open.push(entry?.path());
            }
        }
    }
    Ok(())
}

fn is_given(meta: &Metadata, group: u32) -> bool {
    let wanted = GROUP_ALL | GROUP_ENTER | SET_GROUP;
    meta.gid() == group && meta.mode() & wanted == wanted
}

#[cfg(test)]
mod tests {
    //! Directories and files of a volume that changes hands. Runs as root.

    use super::*;

    #[test]
    fn everything_inside_belongs_to_the_group_and_nothing_outside() {
        let root = std::env::temp_dir().join(format!("kelson-ownership-{}", std::process::id()));
        let (volume, outside) = (root.join("volume"), root.join("outside"));
        fs::create_dir_all(volume.join("sub")).unwrap();
        fs::write(volume.join("sub/file"), "x").unwrap();
        fs::write(&outside, "y").unwrap();
        std::os::unix::fs::symlink(&outside, volume.join("link")).unwrap();
        let before = fs::metadata(&outside).unwrap();
        give(&volume, 4321, true).unwrap();
        let check = |path: &Path, mode: u32| {
            let meta = fs::metadata(path).unwrap();
            assert_eq!((meta.gid(), meta.mode() & mode), (4321, mode), "{}", path.display());
        };
        check(&volume, 0o2070);
        check(&volume.join("sub"), 0o2070);
        check(&volume.join("sub/file"), 0o060);
        let after = fs::metadata(&outside).unwrap();
        assert_eq!((after.gid(), after.mode()), (before.gid(), before.mode()));
        fs::remove_dir_all(&root).unwrap();
    }
}
