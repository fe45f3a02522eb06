//! Small layers and archives, made in memory, and directories that go away with their test.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use crate::Images;
use crate::blob::digest;
use crate::config::architecture;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A directory with images in it; every container's mount is released with it.
pub struct Place {
    pub path: PathBuf,
    containers: std::cell::RefCell<Vec<PathBuf>>,
}

impl Place {
    pub fn new() -> Self {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("kelson-images-{}-{n}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self { path, containers: Default::default() }
    }

    pub fn images(&self) -> Images {
        Images::open(self.path.join("images")).unwrap()
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path.join(name);
        File::create(&path).unwrap().write_all(bytes).unwrap();
        path
    }

    pub fn container(&self, name: &str) -> PathBuf {
        let path = self.path.join(name);
        self.containers.borrow_mut().push(path.clone());
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for container in self.containers.borrow().iter() {
            let _ = crate::overlay::unmount(container);
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A tar under construction. Paths are written as they are, however bad.
pub struct Tar(Builder<Vec<u8>>);

impl Tar {
    pub fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn header(kind: EntryType, path: &str, mode: u32, size: usize) -> Header {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size as u64);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header
    }

    pub fn entry(mut self, mut header: Header, content: &[u8]) -> Self {
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub fn file(self, path: &str, content: &str) -> Self {
        self.file_with(path, 0o644, content)
    }

    pub fn file_with(self, path: &str, mode: u32, content: &str) -> Self {
        self.entry(Self::header(EntryType::Regular, path, mode, content.len()), content.as_bytes())
    }

    pub fn owned(self, path: &str, uid: u64, gid: u64) -> Self {
        let mut header = Self::header(EntryType::Regular, path, 0o4755, 0);
        header.set_uid(uid);
        header.set_gid(gid);
        self.entry(header, b"")
    }

    pub fn directory(self, path: &str) -> Self {
        self.entry(Self::header(EntryType::Directory, path, 0o755, 0), b"")
    }

    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.link(EntryType::Symlink, path, target)
    }

    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.link(EntryType::Link, path, target)
    }

    fn link(self, kind: EntryType, path: &str, target: &str) -> Self {
        let mut header = Self::header(kind, path, 0o777, 0);
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        self.entry(header, b"")
    }

    pub fn device(self, kind: EntryType, path: &str, major: u32, minor: u32) -> Self {
        let mut header = Self::header(kind, path, 0o666, 0);
        header.set_device_major(major).unwrap();
        header.set_device_minor(minor).unwrap();
        self.entry(header, b"")
    }

    /// PAX records for the next entry.
    pub fn pax(mut self, records: &[(&str, &[u8])]) -> Self {
        self.0.append_pax_extensions(records.iter().copied()).unwrap();
        self
    }

    pub fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// A configuration listing these uncompressed layers.
pub fn config(layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    let config = json!({"Entrypoint": ["/run"], "Cmd": ["arg"], "Env": ["A=b"], "User": "1:2", "WorkingDir": "/w",
        "ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGINT", "Volumes": null, "Labels": null});
    let file = json!({"architecture": architecture(), "os": "linux", "config": config,
        "rootfs": {"type": "layers", "diff_ids": ids}, "history": [{"created": "2020-01-01T00:00:00Z"}]});
    serde_json::to_vec(&file).unwrap()
}

/// What `docker save` makes of one image.
pub fn docker_archive(tags: &[&str], layers: &[&[u8]]) -> Vec<u8> {
    let names: Vec<String> = (0..layers.len()).map(|n| format!("layer{n}/layer.tar")).collect();
    let manifest = json!([{"Config": "config.json", "RepoTags": tags, "Layers": names}]);
    let mut archive = Tar::new();
    for (name, layer) in names.iter().zip(layers) {
        archive = archive.entry(Tar::header(EntryType::Regular, name, 0o644, layer.len()), layer);
    }
    let config = String::from_utf8(config(layers)).unwrap();
    archive.file("config.json", &config).file("manifest.json", &manifest.to_string()).bytes()
}

/// What `ctr image export` makes: `index` in `index.json`, everything else by digest.
pub fn oci_archive(index: &Value, blobs: &[&[u8]]) -> Vec<u8> {
    let mut archive = Tar::new()
        .file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)
        .file("index.json", &index.to_string());
    for blob in blobs {
        archive = archive.pax(&[("path", format!("blobs/{}", digest(blob).replace(':', "/")).as_bytes())]);
        archive = archive.entry(Tar::header(EntryType::Regular, "x", 0o644, blob.len()), blob);
    }
    archive.bytes()
}

pub fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(blob), "size": blob.len()})
}

pub fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}
