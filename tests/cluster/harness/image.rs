//! Images made on the spot, under the names the documents use: a static busybox and the few files it needs.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::Cluster;

/// Where Debian's busybox-static puts it.
const BUSYBOX: &str = "/bin/busybox";

/// Prints the page of the tutorials' image, then serves it on port 80; ends at SIGTERM.
pub const HTTP_SERVER: &str = "echo \"<h1>This request was processed by host: $(hostname)</h1>\" > /www/index.html; \
    trap 'kill $!; exit 0' TERM; httpd -f -p 80 -h /www & wait";

/// Imports busybox under `name`, running `command` by default.
pub fn import(cluster: &Cluster, name: &str, command: &[&str]) {
    let place = cluster.scratch().join("image");
    let _ = std::fs::remove_dir_all(&place);
    let root = place.join("root");
    lay_out(&root);
    tar(&root, &place.join("layer.tar"), &["."]);
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "config": { "Cmd": command, "Env": ["PATH=/bin"] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", sha256(&place.join("layer.tar")))] },
    });
    std::fs::write(place.join("config.json"), config.to_string()).expect("the config is written");
    let manifest = json!([{ "Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"] }]);
    std::fs::write(place.join("manifest.json"), manifest.to_string()).expect("the manifest is written");
    let archive = cluster.scratch().join("image.tar");
    tar(&place, &archive, &["manifest.json", "config.json", "layer.tar"]);
    cluster.kelson(&format!("image import {}", archive.display()));
}

fn lay_out(root: &Path) {
    for directory in ["bin", "www", "tmp", "etc", "root"] {
        std::fs::create_dir_all(root.join(directory)).expect("the root is laid out");
    }
    std::fs::copy(BUSYBOX, root.join("bin/busybox")).expect("busybox-static is installed");
    let applets = Command::new(BUSYBOX).arg("--list").output().expect("busybox runs").stdout;
    for applet in String::from_utf8_lossy(&applets).lines().filter(|a| *a != "busybox") {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).expect("a link is made");
    }
    std::fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    )
    .expect("passwd is written");
    std::fs::write(root.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n").expect("group is written");
}

fn tar(directory: &Path, archive: &Path, members: &[&str]) {
    let mut command = Command::new("tar");
    command
        .args(["--numeric-owner", "--owner=0", "--group=0", "-C"])
        .arg(directory)
        .arg("-cf")
        .arg(archive)
        .args(members);
    assert!(command.status().expect("tar runs").success());
}

fn sha256(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().expect("sha256sum runs").stdout;
    String::from_utf8_lossy(&output).split_whitespace().next().expect("a digest").to_owned()
}
