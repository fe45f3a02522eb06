//! The committed object is what the source says.

use std::process::Command;

/// Compiled again by the clang that made it, the object is the same to the byte; another clang must at least compile it.
#[test]
fn the_committed_object_is_the_source_compiled() {
    let version = Command::new("clang").arg("--version").output();
    let Ok(version) = version else { return println!("no clang here: the object cannot be compared") };
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("bpf");
    let directory = tempfile::tempdir().unwrap();
    let compiled = directory.path().join("connect.o");
    let built = Command::new(source.join("build")).arg(&compiled).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let same = std::fs::read(&compiled).unwrap() == std::fs::read(source.join("connect.o")).unwrap();
    let pinned = version.contains("clang version 14.0.6");
    assert!(
        same || !pinned,
        "connect.o is not what connect.c says: run io/sockets/bpf/build and commit the result"
    );
}
