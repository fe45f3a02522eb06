//! Images from anywhere: archives, layers, configurations, names, and the users they list.

use std::path::PathBuf;
use std::sync::LazyLock;

use kelson_runtime::{User, parse_signal, resolve_user};

/// An archive to be imported.
pub fn archive(bytes: &[u8]) {
    kelson_images::fuzz::archive(bytes);
}

/// A layer: nothing lands outside of its directory.
pub fn layer(bytes: &[u8]) {
    kelson_images::fuzz::layer(bytes);
}

/// A configuration, a manifest, an index: whichever these bytes are.
pub fn config(bytes: &[u8]) {
    kelson_images::fuzz::config(bytes);
    kelson_images::fuzz::manifest(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = parse_signal(text);
    }
}

/// A name as people write it.
pub fn name(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        kelson_images::fuzz::name(text);
        let _ = kelson_pods::image::check(text);
    }
}

static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = std::env::temp_dir().join(format!("kelson-fuzz-root-{}", std::process::id()));
    std::fs::create_dir_all(root.join("etc")).expect("the temporary directory can be written to");
    root
});

/// A `USER` on the first line, then an image's `/etc/passwd` which is its `/etc/group` too.
pub fn users(bytes: &[u8]) {
    let cut = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (user, files) = bytes.split_at(cut);
    for file in ["etc/passwd", "etc/group"] {
        std::fs::write(ROOT.join(file), files).expect("the temporary directory can be written to");
    }
    let user = User { image: String::from_utf8_lossy(user).into_owned(), ..User::default() };
    for uid in [None, Some(1000)] {
        if let Ok(found) = resolve_user(&ROOT, &User { uid, ..user.clone() }) {
            assert!(found.groups.contains(&found.gid) && uid.is_none_or(|uid| uid == found.uid));
        }
    }
}
