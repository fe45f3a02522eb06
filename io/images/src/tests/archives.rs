//! Imports of the three kinds of archives, and what a container's root then is.

use std::fs;
use std::io::Write;

use serde_json::json;

use super::{Tar, store, write};
use crate::{ImageError, Images, digest};

fn config(diff_ids: &[String]) -> Vec<u8> {
    let config = json!({ "architecture": "amd64", "os": "linux", "config": { "Cmd": ["/bin/x"], "User": "nobody" },
        "rootfs": { "type": "layers", "diff_ids": diff_ids } });
    config.to_string().into_bytes()
}

/// What `docker save` writes for an image of these layers.
fn docker_archive(layers: &[Vec<u8>]) -> Vec<u8> {
    let diff_ids: Vec<String> = layers.iter().map(|layer| digest::of(layer)).collect();
    let paths: Vec<String> = (0..layers.len()).map(|i| format!("{i}/layer.tar")).collect();
    let manifest = json!([{ "Config": "c.json", "RepoTags": ["web:1"], "Layers": paths }]).to_string();
    let tar = Tar::new().file_bytes("c.json", &config(&diff_ids)).file("manifest.json", &manifest);
    paths.iter().zip(layers).fold(tar, |tar, (path, layer)| tar.file_bytes(path, layer)).bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_docker_archive_brings_its_name_and_mounts() {
    let (directory, images) = store();
    let lower = Tar::new().file("etc/a", "lower").file("etc/b", "lower").bytes();
    let upper = Tar::new().file("etc/a", "upper").file("etc/.wh.b", "").bytes();
    let archive = write(directory.path(), "a.tar", &docker_archive(&[lower, upper]));
    let image = images.import(&archive, None).unwrap();
    assert_eq!(image.names, ["docker.io/library/web:1"]);
    let found = images.find("web:1").unwrap().expect("it is there");
    assert_eq!(found.config.config().as_ref().unwrap().user().as_deref(), Some("nobody"));

    let container = directory.path().join("container");
    let root = images.prepare(&found, &container).unwrap();
    assert_eq!(fs::read_to_string(root.join("etc/a")).unwrap(), "upper");
    assert!(!root.join("etc/b").exists(), "whited out");
    fs::write(root.join("etc/c"), "written").unwrap();
    assert_eq!(images.prepare(&found, &container).unwrap(), root, "preparing twice is harmless");
    assert_eq!(fs::read_to_string(root.join("etc/c")).unwrap(), "written");
    Images::release(&container).unwrap();
    assert!(!root.exists());
    Images::release(&container).unwrap();
}

#[test]
fn many_layers_are_no_problem() {
    let (directory, images) = store();
    let layers: Vec<Vec<u8>> = (0..120).map(|i| Tar::new().file(&format!("f{i}"), "x").bytes()).collect();
    let image =
        images.import(&write(directory.path(), "a.tar", &docker_archive(&layers)), Some("many")).unwrap();
    let container = directory.path().join("container");
    let root = images.prepare(&image, &container).unwrap();
    assert_eq!(fs::read_dir(&root).unwrap().count(), 120);
    Images::release(&container).unwrap();
}

#[test]
fn an_oci_archive_is_read_by_its_digests() {
    let (directory, images) = store();
    let layer = Tar::new().file("hello", "oci").bytes();
    let (packed, diff_id) = (gzip(&layer), digest::of(&layer));
    let config = config(&[diff_id]);
    let descriptor = |kind: &str, bytes: &[u8]| json!({ "mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest::of(bytes), "size": bytes.len() });
    let manifest = json!({ "schemaVersion": 2, "config": descriptor("config.v1+json", &config),
        "layers": [descriptor("layer.v1.tar+gzip", &packed)] });
    let manifest = manifest.to_string().into_bytes();
    let mut entry = descriptor("manifest.v1+json", &manifest);
    entry["annotations"] = json!({ "io.containerd.image.name": "docker.io/library/oci:2" });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] }).to_string();
    let blob = |bytes: &[u8]| format!("blobs/{}", digest::of(bytes).replace(':', "/"));
    let tar = Tar::new().file("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}").file("index.json", &index);
    let tar =
        [&manifest, &config, &packed].into_iter().fold(tar, |tar, bytes| tar.file_bytes(&blob(bytes), bytes));
    let image = images.import(&write(directory.path(), "o.tar.gz", &gzip(&tar.bytes())), None).unwrap();
    assert_eq!((image.names.as_slice(), image.size), (&["docker.io/library/oci:2".to_owned()][..], 3));
}

#[test]
fn a_root_file_system_needs_a_name() {
    let (directory, images) = store();
    let tar = write(directory.path(), "root.tar", &Tar::new().file("bin/sh", "#!").bytes());
    let refused = images.import(&tar, None).unwrap_err();
    assert!(refused.to_string().contains("pass --name"), "{refused}");
    let image = images.import(&tar, Some("plain")).unwrap();
    let config = image.config.config().clone().unwrap();
    assert_eq!(config.cmd().as_deref(), Some(&["/bin/sh".to_owned()][..]));
}

#[test]
fn a_binary_is_an_image() {
    let (directory, images) = store();
    let binary = write(directory.path(), "kelson", b"\x7fELF");
    let image = images.import_binary(&binary, "kelson.local/echo:latest", &["echo".into()]).unwrap();
    let entrypoint = image.config.config().clone().unwrap().entrypoint().clone();
    assert_eq!(entrypoint, Some(vec!["/kelson".to_owned(), "echo".to_owned()]));
}

#[test]
fn what_another_process_imported_is_found_and_a_name_moves() {
    let (directory, images) = store();
    let other = Images::open(&directory.path().join("images")).unwrap();
    let [one, two] = ["1", "2"].map(|n| write(directory.path(), n, &Tar::new().file("f", n).bytes()));
    let first = other.import(&one, Some("x")).unwrap();
    assert_eq!(images.find("x").unwrap().unwrap().id, first.id);
    let second = other.import(&two, Some("x")).unwrap();
    assert_eq!(images.find("x").unwrap().unwrap().id, second.id);
    assert!(images.find(&first.id).unwrap().unwrap().names.is_empty(), "the old image lost the name");
    assert!(images.remove("x").unwrap() && images.find("x").unwrap().is_none());
}

#[test]
fn damage_is_noticed() {
    let (directory, images) = store();
    let layer = Tar::new().file("f", "whole").bytes();
    let mut archive = docker_archive(&[layer]);
    let at = archive.windows(5).position(|w| w == b"whole").unwrap();
    archive[at..at + 5].copy_from_slice(b"harmd");
    let error = images.import(&write(directory.path(), "a.tar", &archive), None).unwrap_err();
    assert!(matches!(error, ImageError::Digest { .. }), "{error}");
    let junk = images.import(&write(directory.path(), "junk", b"not a tar"), Some("junk")).unwrap_err();
    assert!(junk.to_string().contains("is no readable tar archive"), "{junk}");
}
