//! Importing every kind of archive, and refusing what is none.

use std::path::PathBuf;

use serde_json::json;

use super::build::{Place, Tar, config, descriptor, docker_archive, gzip, oci_archive, zstd};
use crate::blob::digest;
use crate::{Image, ImageConfig, ImageError, Images, ImportOptions};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

fn layer(content: &str) -> Vec<u8> {
    Tar::new().directory("etc").file("etc/a", content).bytes()
}

fn check_config(image: &Image) {
    let config = &image.config;
    assert_eq!(
        (&config.entrypoint[..], &config.cmd[..], &config.env[..]),
        (&["/run".to_owned()][..], &["arg".to_owned()][..], &["A=b".to_owned()][..])
    );
    assert_eq!(
        (config.user.as_str(), config.working_dir.as_str(), config.stop_signal.as_str()),
        ("1:2", "/w", "SIGINT")
    );
    assert!(config.exposed_ports.contains_key("80/tcp"));
}

#[test]
fn docker_archives_plain_and_compressed() {
    let (one, two) = (layer("1"), layer("2"));
    let archive = docker_archive(&["web:v1", "web:latest"], &[&one, &two]);
    for (name, bytes) in
        [("a.tar", archive.clone()), ("a.tar.gz", gzip(&archive)), ("a.tar.zst", zstd(&archive))]
    {
        let place = Place::new();
        let images = place.images();
        let image = images.import(place.write(name, &bytes), None).unwrap();
        assert_eq!(image.names, ["docker.io/library/web:v1", "docker.io/library/web:latest"]);
        assert_eq!(image.layers, [digest(&one), digest(&two)]);
        assert_eq!((image.id.as_str(), image.size), (digest(&config(&[&one, &two])).as_str(), 2));
        check_config(&image);
        assert_eq!(images.find("web").unwrap(), image);
        assert_eq!(images.find(&image.id).unwrap(), image);
        assert_eq!(images.find("web:v2"), None);
    }
}

#[test]
fn layers_inside_may_be_compressed() {
    let plain = layer("1");
    let packed = gzip(&plain);
    let manifest = json!([{"Config": "c", "RepoTags": ["a:b"], "Layers": ["l"]}]).to_string();
    let config = String::from_utf8(config(&[&plain])).unwrap();
    let archive = Tar::new().file("c", &config).file("manifest.json", &manifest);
    let archive = archive.pax(&[("path", b"l")]).file_bytes(&packed);
    let place = Place::new();
    let image = place.images().import(place.write("x", &archive), None).unwrap();
    assert_eq!(image.layers, [digest(&plain)]);
}

impl Tar {
    /// A file named by the PAX record before it.
    fn file_bytes(self, content: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        self.entry(header, content).bytes()
    }
}

#[test]
fn oci_archives_and_platforms() {
    let layer = layer("1");
    let config = config(&[&layer]);
    let manifest = json!({"schemaVersion": 2, "config": descriptor(CONFIG, &config), "layers": [descriptor(LAYER, &layer)]}).to_string();
    let mut ours = descriptor(MANIFEST, manifest.as_bytes());
    ours["platform"] = json!({"os": "linux", "architecture": crate::config::architecture()});
    let mut theirs = descriptor(MANIFEST, b"not here at all");
    theirs["platform"] = json!({"os": "plan9", "architecture": "vax"});
    let inner = json!({"schemaVersion": 2, "manifests": [theirs, ours]}).to_string();
    let mut outer = descriptor(INDEX, inner.as_bytes());
    outer["annotations"] = json!({"io.containerd.image.name": "example.com/app:1"});
    let index = json!({"schemaVersion": 2, "manifests": [outer]});
    let archive = oci_archive(&index, &[&layer, &config, manifest.as_bytes(), inner.as_bytes()]);
    let place = Place::new();
    let images = place.images();
    let image = images.import(place.write("oci.tar", &archive), Some("also")).unwrap();
    assert_eq!(image.names, ["example.com/app:1", "docker.io/library/also:latest"]);
    check_config(&image);

    let mut nobodys = descriptor(MANIFEST, manifest.as_bytes());
    nobodys["platform"] = json!({"os": "plan9", "architecture": "vax"});
    let archive = oci_archive(&json!({"manifests": [nobodys]}), &[manifest.as_bytes()]);
    check_refused(&images, place.write("none.tar", &archive), "it has no image for linux/");
}

#[test]
fn a_root_file_system_runs_a_shell_unless_told_otherwise() {
    let place = Place::new();
    let images = place.images();
    let image = images.import(place.write("My_Root.tar.gz", &gzip(&layer("1"))), None).unwrap();
    assert_eq!(
        (image.names[0].as_str(), &image.config),
        ("docker.io/library/my-root:latest", &ImageConfig::shell())
    );
    let config = ImageConfig { entrypoint: vec!["/init".to_owned()], ..ImageConfig::default() };
    let options = ImportOptions { name: Some("x:y".to_owned()), config: Some(config.clone()) };
    let image = images.import_stream(&layer("2")[..], &options).unwrap().remove(0);
    assert_eq!((image.names[0].as_str(), &image.config), ("docker.io/library/x:y", &config));
    // A root file system may hold a file of that name.
    let odd = Tar::new().file("manifest.json", r#"{"name": "an app"}"#).bytes();
    assert_eq!(images.import(place.write("app.tar", &odd), None).unwrap().layers, [digest(&odd)]);
}

fn check_refused(images: &Images, path: PathBuf, expected: &str) {
    let error = images.import(&path, None).unwrap_err().chain();
    assert!(error.contains(expected), "{error}");
    assert_eq!(
        images
            .list()
            .unwrap()
            .iter()
            .filter(|image| image.names.iter().any(|name| name.contains("bad")))
            .count(),
        0
    );
}

#[test]
fn bad_archives_say_what_is_wrong() {
    let place = Place::new();
    let images = place.images();
    let check =
        |bytes: &[u8], expected: &str| check_refused(&images, place.write("bad.tar", bytes), expected);
    check(b"once upon a time", "the archive ends in the middle of a header");
    check(&[b'x'; 2000], "it is no tar archive");
    check(b"", "it is empty");
    check(&gzip(b"short"), "the archive ends in the middle of a header");
    check(&[0x1f, 0x8b, 1, 2, 3], "cannot uncompress");
    let manifest = |text: &str| Tar::new().file("manifest.json", text).bytes();
    check(&manifest(r#"[{"Config": "c", "Layers": []}]"#), "it has no \"c\"");
    let (good, other) = (layer("1"), layer("2"));
    let text = String::from_utf8(config(&[&other])).unwrap();
    let wrong = json!([{"Config": "c", "RepoTags": ["bad"], "Layers": ["l"]}]).to_string();
    let archive =
        Tar::new().file("c", &text).file("manifest.json", &wrong).pax(&[("path", b"l")]).file_bytes(&good);
    check(&archive, &format!("content of l has digest {}, expected {}", digest(&good), digest(&other)));
    let climbing = r#"{"rootfs": {"diff_ids": ["sha256:../../../etc"]}}"#;
    let archive = Tar::new().file("c", climbing).file("manifest.json", &wrong).file("l", "").bytes();
    check(&archive, "is no digest");
    let missing = images.import(place.path.join("nothing.tar"), None).unwrap_err();
    assert!(matches!(missing, ImageError::Io { operation: "open", .. }), "{missing}");
}

#[test]
fn several_images_in_one_archive() {
    let (one, two) = (layer("1"), layer("2"));
    let text = |layer: &[u8]| String::from_utf8(config(&[layer])).unwrap();
    let manifest = json!([{"Config": "c1", "RepoTags": ["one"], "Layers": ["l1"]}, {"Config": "c2", "RepoTags": ["two"], "Layers": ["l2"]}]);
    let archive = Tar::new()
        .file("c1", &text(&one))
        .file("c2", &text(&two))
        .file("manifest.json", &manifest.to_string());
    let archive = archive
        .file("l1", std::str::from_utf8(&one).unwrap())
        .file("l2", std::str::from_utf8(&two).unwrap())
        .bytes();
    let place = Place::new();
    let images = place.images();
    let imported = images.import_all(&place.write("both.tar", &archive), &ImportOptions::default()).unwrap();
    let names: Vec<&str> = imported.iter().map(|image| image.names[0].as_str()).collect();
    assert_eq!(names, ["docker.io/library/one:latest", "docker.io/library/two:latest"]);
}

#[test]
fn a_name_moves_to_the_newest_image_and_goes_with_it() {
    let place = Place::new();
    let images = place.images();
    let (one, two) = (layer("1"), layer("2"));
    let old = images.import(place.write("1.tar", &docker_archive(&["web"], &[&one])), None).unwrap();
    let new = images.import(place.write("2.tar", &docker_archive(&["web"], &[&one, &two])), None).unwrap();
    assert_eq!(images.find("web").unwrap().id, new.id);
    assert!(images.find(&old.id).unwrap().names.is_empty());
    images.remove(&old.id).unwrap();
    assert!(images.shelf().has_layer(&digest(&one)), "the other image still needs it");
    images.remove("web").unwrap();
    assert!(!images.shelf().has_layer(&digest(&one)) && !images.shelf().has_layer(&digest(&two)));
    assert!(matches!(images.remove("web"), Err(ImageError::Unknown { .. })));
}

#[test]
fn another_process_sees_what_was_imported_and_a_restart_keeps_it() {
    let place = Place::new();
    let (here, there) = (place.images(), place.images());
    let image = here.import(place.write("a.tar", &docker_archive(&["web"], &[&layer("1")])), None).unwrap();
    assert_eq!(there.find("web"), Some(image.clone()));
    there.remove("web").unwrap();
    assert_eq!(here.find("web"), None);
    let again = here.import(place.path.join("a.tar"), None).unwrap();
    drop((here, there));
    assert_eq!(place.images().find("web"), Some(again));
}

#[test]
fn what_a_crash_left_goes_and_a_damaged_list_is_named() {
    let place = Place::new();
    drop(place.images());
    let left = place.path.join("images/tmp/half/fs");
    std::fs::create_dir_all(&left).unwrap();
    drop(place.images());
    assert!(!left.exists());
    std::fs::write(place.path.join("images/images.json"), "{").unwrap();
    let error = Images::open(place.path.join("images")).map(drop).unwrap_err();
    assert!(
        matches!(error, ImageError::Catalogue { .. }) && error.to_string().contains("images.json"),
        "{error}"
    );
}
