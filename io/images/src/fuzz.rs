//! Entries for fuzzing: any bytes in, no panic, and nothing outside the directory they are given.

use std::fs;

use oci_client::manifest::OciManifest;

use crate::config::ConfigFile;
use crate::{Bounds, Images, ImportOptions, normalize, unpack_layer};

/// Small enough that a run takes milliseconds.
const BOUNDS: Bounds = Bounds { entries_max: 1000, bytes_max: 1 << 20 };

/// Unpacks `bytes` as a layer into a directory of its own, beside a file that must not change.
pub fn layer(bytes: &[u8]) {
    let place = std::env::temp_dir().join(format!("kelson-fuzz-layer-{}", std::process::id()));
    let directory = place.join("layer");
    fs::create_dir_all(&directory).expect("the temporary directory can be written to");
    fs::write(place.join("beside"), "untouched").expect("the temporary directory can be written to");
    let _ = unpack_layer(bytes, &directory, "fuzz", BOUNDS);
    let beside: Vec<_> = fs::read_dir(&place).expect("it was made above").flatten().collect();
    assert_eq!(beside.len(), 2, "something appeared beside the layer");
    let read = fs::read(place.join("beside")).expect("a layer removes nothing beside it");
    assert_eq!(read, b"untouched");
    fs::remove_dir_all(&place).expect("it was made above");
}

/// Imports `bytes` as an archive.
pub fn archive(bytes: &[u8]) {
    let place = std::env::temp_dir().join(format!("kelson-fuzz-archive-{}", std::process::id()));
    let images = Images::open(&place).expect("the temporary directory can be written to");
    let _ = images.import_stream(bytes, &ImportOptions { name: Some("fuzz".to_owned()), config: None });
    fs::remove_dir_all(&place).expect("it was made above");
}

/// A manifest or an index as a registry answers it.
pub fn manifest(bytes: &[u8]) {
    let _ = serde_json::from_slice::<OciManifest>(bytes);
}

/// An image's configuration; what is taken of it reads the same again.
pub fn config(bytes: &[u8]) {
    let Ok(file) = ConfigFile::parse(bytes, "fuzz") else { return };
    let again = serde_json::to_vec(&file).expect("what was read from JSON can be written as JSON");
    let again = ConfigFile::parse(&again, "fuzz").expect("what was taken once is taken again");
    assert_eq!(again.config, file.config);
}

/// An image's name as people write it; its full form is a fixed point.
pub fn name(text: &str) {
    let Ok(full) = normalize(text) else { return };
    assert_eq!(normalize(&full).as_ref(), Ok(&full));
}
