//! What becomes of a layer's entries, and what is refused.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::PathBuf;

use tar::EntryType;

use super::Tar;
use crate::unpack_layer;

fn unpacked(tar: Tar) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    fs::create_dir(&root).unwrap();
    unpack_layer(tar.bytes().as_slice(), &root).expect("the layer unpacks");
    (directory, root)
}

/// A layer must be refused with these words, and nothing may appear beside its directory.
fn check_refused(tar: Tar, expected: &str) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    fs::create_dir(&root).unwrap();
    let error = unpack_layer(tar.bytes().as_slice(), &root).expect_err(expected);
    assert!(error.to_string().contains(expected), "{error}");
    let beside: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(beside, ["root"], "nothing is written outside the layer");
}

#[test]
fn files_keep_what_they_are() {
    let tar =
        Tar::new().directory("bin/").mode("bin/su", 0o4755).symlink("sh", "bin/su").link("twin", "bin/su");
    let (_directory, root) =
        unpacked(tar.device("null", EntryType::Char).device("pipe", EntryType::Fifo).file("a/b/c", "x"));
    let su = fs::metadata(root.join("bin/su")).unwrap();
    assert_eq!((su.permissions().mode() & 0o7777, su.nlink()), (0o4755, 2));
    assert_eq!(fs::read_link(root.join("sh")).unwrap().to_str(), Some("bin/su"));
    let null = fs::symlink_metadata(root.join("null")).unwrap();
    assert!(null.file_type().is_char_device() && null.rdev() == nix::sys::stat::makedev(1, 3));
    assert!(fs::symlink_metadata(root.join("pipe")).unwrap().file_type().is_fifo());
    assert_eq!(fs::read_to_string(root.join("a/b/c")).unwrap(), "x");
}

#[test]
fn whiteouts_become_what_overlayfs_reads() {
    let (_directory, root) =
        unpacked(Tar::new().file("etc/.wh.passwd", "").file("opt/.wh..wh..opq", "").file("opt/new", "n"));
    let hidden = fs::symlink_metadata(root.join("etc/passwd")).unwrap();
    assert!(hidden.file_type().is_char_device() && hidden.rdev() == 0);
    assert_eq!(xattr::get(root.join("opt"), "trusted.overlay.opaque").unwrap().as_deref(), Some(&b"y"[..]));
    assert!(!root.join("opt/.wh..wh..opq").exists() && root.join("opt/new").exists());
}

#[test]
fn a_later_entry_replaces_an_earlier_one() {
    let (_directory, root) = unpacked(Tar::new().symlink("a", "b").file("b", "old").file("a", "new"));
    assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "new");
    assert_eq!(
        fs::read_to_string(root.join("b")).unwrap(),
        "old",
        "the link was replaced, not written through"
    );
}

#[test]
fn absolute_paths_stay_inside() {
    let (_directory, root) = unpacked(Tar::new().file("/etc/motd", "hi").symlink("abs", "/etc/motd"));
    assert_eq!(fs::read_to_string(root.join("etc/motd")).unwrap(), "hi");
}

#[test]
fn escapes_are_refused() {
    check_refused(Tar::new().file("../evil", "x"), "leads out of the layer");
    check_refused(Tar::new().file("a/../../evil", "x"), "leads out of the layer");
    check_refused(Tar::new().symlink("out", "..").file("out/evil", "x"), "goes through a symbolic link");
    check_refused(Tar::new().symlink("out", "/tmp").file("out/evil", "x"), "goes through a symbolic link");
    check_refused(
        Tar::new().symlink("out", "..").device("out/evil", EntryType::Char),
        "goes through a symbolic link",
    );
    check_refused(Tar::new().symlink("out", "..").file("out/.wh.evil", ""), "goes through a symbolic link");
    check_refused(Tar::new().symlink("out", "/etc").link("pw", "out/passwd"), "goes through a symbolic link");
    check_refused(Tar::new().link("pw", "../../../etc/passwd"), "leads out of the layer");
    check_refused(Tar::new().file("a/.wh...", ""), "hides nothing that could be there");
    check_refused(Tar::new().file("f", "x").file("f/below", "x"), "no directory");
}

#[test]
fn damaged_bytes_end_in_an_error_and_never_in_a_panic() {
    let whole = Tar::new().directory("d/").file("d/f", &"x".repeat(2000)).symlink("l", "d/f").bytes();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..8 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let at = usize::try_from(random >> 8).unwrap_or_default() % bytes.len();
            bytes[at] = random.to_le_bytes()[0];
        }
        let directory = tempfile::tempdir().unwrap();
        let _ = unpack_layer(bytes.as_slice(), directory.path());
    }
}
