//! Ways out of a volume that must be closed. Opening is tested; mounting needs a container.

use super::*;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

struct Volume(PathBuf);

impl Volume {
    fn new() -> Volume {
        let dir = std::env::temp_dir().join(format!("kelson-subpath-{:x}", kelson_process::random_u64()));
        fs::create_dir_all(dir.join("v/d")).expect("made");
        fs::write(dir.join("v/d/f"), "x").expect("written");
        fs::write(dir.join("secret"), "y").expect("written");
        Volume(dir)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_inside_is_found_and_made() {
    let volume = Volume::new();
    let root = volume.0.join("v");
    symlink("d/f", root.join("inside")).expect("linked");
    for fine in ["d/f", "d", ".", "inside", "new/deep"] {
        open(&root, fine).unwrap_or_else(|error| panic!("{fine}: {error}"));
    }
    assert!(root.join("new/deep").is_dir());
}

#[test]
fn links_do_not_lead_out() {
    let volume = Volume::new();
    let root = volume.0.join("v");
    symlink("../secret", root.join("up")).expect("linked");
    symlink("/etc", root.join("etc")).expect("linked");
    for bad in ["up", "etc", "etc/passwd", "etc/kelson-new"] {
        open(&root, bad).expect_err(bad);
    }
    assert!(!Path::new("/etc/kelson-new").exists());
    for bad in ["../secret", "/etc/passwd", "d/../../secret"] {
        bind(&root, bad, &volume.0.join("target")).expect_err(bad);
    }
}
