//! What no layer may do, whatever it says.

use std::fs;
use std::path::PathBuf;

use tar::EntryType;

use super::{Bounds, unpack};
use crate::tests::build::{Place, Tar};

/// Unpacks beside a file that must stay as it is.
fn attempt(layer: &[u8], bounds: Bounds) -> (Place, PathBuf, Result<(), String>) {
    let place = Place::new();
    place.write("secret", b"untouched");
    let directory = place.path.join("layer");
    fs::create_dir(&directory).unwrap();
    let outcome = unpack(layer, &directory, "test", bounds).map(drop).map_err(|error| error.to_string());
    assert_eq!(fs::read(place.path.join("secret")).unwrap(), b"untouched");
    assert_eq!(fs::read_dir(&place.path).unwrap().count(), 2, "nothing appeared beside the layer");
    (place, directory, outcome)
}

fn check_refused(layer: Tar, expected: &str) {
    let (_place, _, outcome) = attempt(&layer.bytes(), Bounds::default());
    let error = outcome.unwrap_err();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_symlinked_parent_is_no_way_out() {
    check_refused(
        Tar::new().symlink("out", "..").file("out/secret", "owned"),
        "goes through a symbolic link",
    );
    check_refused(Tar::new().symlink("out", "/tmp").file("out/x", "owned"), "goes through a symbolic link");
    check_refused(
        Tar::new().directory("d").symlink("d/e", "../..").directory("d/e/new"),
        "goes through a symbolic link",
    );
    check_refused(Tar::new().symlink("out", "..").file("out/.wh.secret", ""), "goes through a symbolic link");
    check_refused(
        Tar::new().symlink("out", "..").file("out/.wh..wh..opq", ""),
        "goes through a symbolic link",
    );
    check_refused(
        Tar::new().symlink("out", "..").hard_link("mine", "out/secret"),
        "goes through a symbolic link",
    );
    check_refused(
        Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", ""),
        "goes through a symbolic link",
    );
}

#[test]
fn dots_and_odd_names_are_refused() {
    check_refused(Tar::new().file("../secret", "owned"), "leaves the layer");
    check_refused(Tar::new().file("a/../../secret", "owned"), "leaves the layer");
    check_refused(Tar::new().hard_link("mine", "../secret"), "leaves the layer");
    check_refused(Tar::new().hard_link("mine", "/etc/hostname"), "No such file");
    check_refused(Tar::new().hard_link("mine", "nothing"), "not in the layer");
    check_refused(Tar::new().file("a/.wh...", ""), "names nothing");
    check_refused(Tar::new().file("a", "").file("a/b", ""), "no directory");
    check_refused(
        Tar::new().pax(&[("path", &[b"a/".repeat(300), b"x".to_vec()].concat())]).file("x", ""),
        "too deep",
    );
    check_refused(Tar::new().pax(&[("path", &vec![b'x'; 5000])]).file("x", ""), "too long");
    check_refused(Tar::new().symlink(".", "/etc"), "root of a layer");
    check_refused(Tar::new().pax(&[("GNU.sparse.major", b"1")]).file("x", ""), "sparse");
}

#[test]
fn writing_to_a_link_replaces_the_link() {
    let (place, directory, outcome) =
        attempt(&Tar::new().symlink("f", "../secret").file("f", "mine").bytes(), Bounds::default());
    outcome.unwrap();
    assert_eq!(fs::read(directory.join("f")).unwrap(), b"mine");
    drop(place);
    let linked = Tar::new().file("a", "first").hard_link("b", "a").file("b", "second").bytes();
    let (_place, directory, outcome) = attempt(&linked, Bounds::default());
    outcome.unwrap();
    assert_eq!(
        fs::read(directory.join("a")).unwrap(),
        b"first",
        "a later file does not write through a hard link"
    );
}

#[test]
fn absolute_paths_and_leading_dots_stay_inside() {
    let layer = Tar::new().directory("./").file("/etc/passwd", "x").file("./a", "y").directory("b/").bytes();
    let (_place, directory, outcome) = attempt(&layer, Bounds::default());
    outcome.unwrap();
    assert_eq!(fs::read(directory.join("etc/passwd")).unwrap(), b"x");
    assert!(directory.join("a").is_file() && directory.join("b").is_dir());
}

#[test]
fn a_later_entry_replaces_an_earlier_one_of_another_kind() {
    let layer = Tar::new()
        .directory("d")
        .directory("d/e")
        .file("d/e/f", "x")
        .file("d", "now a file")
        .file("g", "")
        .directory("g")
        .file("g/h", "y");
    let (_place, directory, outcome) = attempt(&layer.bytes(), Bounds::default());
    outcome.unwrap();
    assert_eq!(fs::read(directory.join("d")).unwrap(), b"now a file");
    assert_eq!(fs::read(directory.join("g/h")).unwrap(), b"y");
}

#[test]
fn whiteouts_beside_what_they_name() {
    let layer = Tar::new()
        .file("new", "x")
        .file(".wh.new", "")
        .file(".wh.dir", "")
        .directory("dir")
        .file(".wh..wh.plnk", "");
    let (_place, directory, outcome) = attempt(&layer.bytes(), Bounds::default());
    outcome.unwrap();
    assert_eq!(fs::read(directory.join("new")).unwrap(), b"x", "a file of the layer itself stays");
    assert!(directory.join("dir").is_dir(), "made anew after it was removed");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
}

#[test]
fn bounds_hold() {
    let three = Tar::new().file("a", "12345").file("b", "12345").file("c", "").bytes();
    let check = |bounds, fits: bool| assert_eq!(attempt(&three, bounds).2.is_ok(), fits, "{bounds:?}");
    check(Bounds { entries_max: 3, bytes_max: 10 }, true);
    check(Bounds { entries_max: 2, bytes_max: 10 }, false);
    check(Bounds { entries_max: 3, bytes_max: 9 }, false);
    check_refused(Tar::new().pax(&[("comment", &vec![b'x'; 2 << 20])]).file("x", ""), "names take more than");
    check_refused(Tar::new().pax(&[("size", b"18446744073709551615")]).file("x", ""), "larger than");
    let mut huge = tar::Header::new_gnu();
    huge.set_size(u64::MAX >> 1);
    huge.set_entry_type(EntryType::Regular);
    huge.set_mode(0);
    huge.set_uid(0);
    huge.set_gid(0);
    huge.set_mtime(0);
    check_refused(Tar::new().entry(huge, b""), "larger than");
}

#[test]
fn damaged_layers_are_errors() {
    let good =
        Tar::new().file("a", "hello").directory("b").pax(&[("mtime", b"1.5")]).file("c", "world").bytes();
    for cut in [1, 511, 513, 600, 1100, 2000] {
        assert!(attempt(&good[..cut], Bounds::default()).2.is_err(), "cut at {cut}");
    }
    check_refused(Tar::new().pax(&[("uid", b"many")]).file("x", ""), "number is none");
    // Every byte wrong once: an error or not, but never a panic and never anything outside.
    for at in (0..good.len().min(1600)).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        let _ = attempt(&bad, Bounds::default());
    }
}
