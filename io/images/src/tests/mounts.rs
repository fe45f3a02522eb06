//! Layers mounted over one another, as a container sees them.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use tar::EntryType;

use super::build::{Place, Tar, docker_archive, read};
use crate::{Image, ImageError};

fn import(place: &Place, layers: &[&[u8]]) -> Image {
    place.images().import(place.write("a.tar", &docker_archive(&["a"], layers)), None).unwrap()
}

#[test]
fn layers_hide_remove_and_add_to_the_ones_below() {
    let base = Tar::new()
        .directory("etc")
        .file("etc/a", "old")
        .file("etc/b", "old")
        .directory("opt")
        .directory("opt/d")
        .file("opt/d/x", "x");
    let base = base.directory("gone").file("gone/f", "f").bytes();
    let next = Tar::new()
        .file("etc/a", "new")
        .file("etc/.wh.b", "")
        .file(".wh.gone", "")
        .directory("opt/d")
        .file("opt/d/.wh..wh..opq", "")
        .file("opt/d/z", "z")
        .bytes();
    let place = Place::new();
    let image = import(&place, &[&base, &next]);
    let container = place.container("c");
    let root = place.images().prepare(&image, &container).unwrap();
    assert_eq!(read(root.join("etc/a")), "new");
    assert!(!root.join("etc/b").exists() && !root.join("gone").exists() && !root.join("opt/d/x").exists());
    assert_eq!(read(root.join("opt/d/z")), "z");
    assert_eq!(fs::read_dir(root.join("opt/d")).unwrap().count(), 1, "the opaque mark is no file");
}

#[test]
fn everything_a_file_can_be_arrives() {
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let layer = Tar::new()
        .directory("d")
        .file_with("d/su", 0o4755, "su")
        .owned("d/owned", 1000, 2000)
        .symlink("d/link", "/etc/passwd");
    let layer = layer.hard_link("hard", "d/su").device(EntryType::Char, "null", 1, 3).device(
        EntryType::Fifo,
        "fifo",
        0,
        0,
    );
    let layer = layer.pax(&[
        ("SCHILY.xattr.security.capability", &capability),
        ("SCHILY.xattr.user.note", b"hello"),
        ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
    ]);
    let layer =
        layer.file_with("cap", 0o755, "").pax(&[("mtime", b"1234567890.5")]).file("timed", "").bytes();
    let place = Place::new();
    let root = place.images().prepare(&import(&place, &[&layer]), place.container("c")).unwrap();
    let stat = |path: &str| fs::symlink_metadata(root.join(path)).unwrap();
    assert_eq!(
        (stat("d/su").mode() & 0o7777, stat("d/su").nlink(), stat("hard").ino()),
        (0o4755, 2, stat("d/su").ino())
    );
    assert_eq!(
        (stat("d/owned").uid(), stat("d/owned").gid(), stat("d/owned").mode() & 0o7777),
        (1000, 2000, 0o4755)
    );
    assert_eq!(fs::read_link(root.join("d/link")).unwrap().to_str(), Some("/etc/passwd"));
    assert!(
        stat("null").file_type().is_char_device()
            && stat("null").rdev() == 0x103
            && stat("fifo").file_type().is_fifo()
    );
    assert_eq!(
        (stat("timed").mtime(), stat("timed").mtime_nsec(), stat("d").mtime()),
        (1_234_567_890, 500_000_000, 1_000_000_000)
    );
    assert_eq!(attribute(&root.join("cap"), c"security.capability"), Some(capability.to_vec()));
    assert_eq!(attribute(&root.join("cap"), c"user.note"), Some(b"hello".to_vec()));
    let on_disk = place.images().shelf().layer_path(&crate::blob::digest(&layer)).join("cap");
    assert_eq!(attribute(&on_disk, c"trusted.overlay.redirect"), None, "a layer does not steer the overlay");
}

fn attribute(path: &std::path::Path, key: &std::ffi::CStr) -> Option<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
    let mut value = vec![0; 256];
    // SAFETY: two valid C strings and a buffer of the stated length.
    let read =
        unsafe { libc::lgetxattr(path.as_ptr(), key.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    value.truncate(usize::try_from(read).ok()?);
    Some(value)
}

#[test]
fn containers_write_for_themselves_and_release_leaves_nothing() {
    let layer = Tar::new().file("a", "image").bytes();
    let place = Place::new();
    let images = place.images();
    let image = import(&place, &[&layer]);
    let (one, two) = (place.container("1"), place.container("2"));
    let (first, second) = (images.prepare(&image, &one).unwrap(), images.prepare(&image, &two).unwrap());
    fs::write(first.join("a"), "mine").unwrap();
    assert_eq!((read(first.join("a")), read(second.join("a"))), ("mine".to_owned(), "image".to_owned()));
    assert!(matches!(images.prepare(&image, &one), Err(ImageError::Mounted { .. })));
    images.release(&one).unwrap();
    assert!(!one.exists());
    images.release(&one).unwrap();
    assert_eq!(read(second.join("a")), "image");
    let again = images.prepare(&image, &one).unwrap();
    assert_eq!(read(again.join("a")), "image", "nothing of the last container is left");
}

#[test]
fn layers_of_running_containers_outlive_their_image() {
    let layer = Tar::new().file("a", "image").bytes();
    let place = Place::new();
    let images = place.images();
    let image = import(&place, &[&layer]);
    let container = place.container("c");
    let root = images.prepare(&image, &container).unwrap();
    images.remove("a").unwrap();
    drop(place.images());
    assert_eq!(read(root.join("a")), "image");
    images.release(&container).unwrap();
    drop(place.images());
    assert!(!images.shelf().has_layer(&image.layers[0]), "the next start clears it away");
    let error = images.prepare(&image, &container).unwrap_err().chain();
    assert!(error.contains("import or pull the image again"), "{error}");
}

#[test]
fn a_hundred_layers_under_a_long_path() {
    let place = Place::new();
    let layers: Vec<Vec<u8>> = (0..100)
        .map(|n| Tar::new().file(&format!("f{n}"), "x").file("last", &n.to_string()).bytes())
        .collect();
    let borrowed: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let image = import(&place, &borrowed);
    let deep = place.container("c").join("d".repeat(200)).join("e".repeat(200));
    let root = place.images().prepare(&image, &deep).unwrap();
    assert_eq!((read(root.join("last")), fs::read_dir(&root).unwrap().count()), ("99".to_owned(), 101));
    place.images().release(&deep).unwrap();
}

#[test]
fn an_image_without_layers_is_an_empty_root() {
    let place = Place::new();
    let image = import(&place, &[]);
    let root = place.images().prepare(&image, place.container("c")).unwrap();
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    fs::write(root.join("a"), "x").unwrap();
}

#[test]
fn an_image_of_one_binary_has_it_and_the_usual_directories() {
    let place = Place::new();
    let images = place.images();
    let image =
        images.import_binary(std::env::current_exe().unwrap(), "me:v1", &["echo".to_owned()]).unwrap();
    let name = std::env::current_exe().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(image.config.entrypoint, [format!("/{name}"), "echo".to_owned()]);
    let again =
        images.import_binary(std::env::current_exe().unwrap(), "me:v1", &["echo".to_owned()]).unwrap();
    assert_eq!(again, image, "the same program makes the same image");
    let root = images.prepare(&image, place.container("c")).unwrap();
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().mode() & 0o7777;
    assert_eq!((mode(&name), mode("tmp"), mode("proc"), mode("etc/passwd")), (0o755, 0o1777, 0o755, 0o644));
    let listed = std::process::Command::new(root.join(&name)).arg("--list").output().unwrap();
    assert!(listed.status.success(), "it runs from the image");
}
