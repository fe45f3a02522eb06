//! The stage on which a container is made: a mount namespace of its birth alone, of which its first process gets a copy.
//!
//! Nothing of it is ever in the node's table of mounts, which everybody who mounts or looks for a mount waits for; it ends
//! with the container's last process. It stands over `/sys/fs`, whose parent is made private first: so nothing of it
//! reaches the node however the node shares its mounts, while the container's volumes go on sharing as they were asked to.
//!
//! On the stage are the root file system, what the container sees of its control groups on v1, and at `/sys/fs/cgroup`
//! the v2 hierarchy on every machine: the engine's library then takes the way that reads no mounts.

use super::mounts;
use crate::cgroups;
use crate::config::{ContainerConfig, Mount};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

const STAGE: &str = "/sys/fs";
const PARENT: &str = "/sys";
/// Directories of the stage hold links and mount points, no bytes.
const STAGE_OPTIONS: &str = "mode=755,size=1m";

/// What stands where.
pub struct Stage {
    /// The root file system, if it was handed over unattached.
    root: Option<PathBuf>,
    /// The container's `/sys/fs/cgroup` on v1.
    groups: Option<PathBuf>,
    /// What the container mounts of places the stage hides: the number of the mount, and where its source is now.
    hidden: Vec<(usize, PathBuf)>,
    privileged: bool,
}

/// What is taken along before the stage hides it.
struct Taken {
    unified: OwnedFd,
    groups: Vec<(String, OwnedFd)>,
    hidden: Vec<(usize, bool, OwnedFd)>,
}

impl Stage {
    /// Leaves the node's mount namespace and sets the stage for a container in control group `path`.
    pub fn set(path: &str, config: &ContainerConfig, root: Option<OwnedFd>) -> io::Result<Self> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let taken = Taken::take(path, config.privileged, &config.mounts)?;
        let none = None::<&str>;
        mount(none, PARENT, none, MsFlags::MS_PRIVATE, none)?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("kelson"), STAGE, Some("tmpfs"), flags, Some(STAGE_OPTIONS))?;
        let mut stage = taken.place(config.privileged)?;
        stage.root = root.map(|root| place_directory(&root, "root")).transpose()?;
        Ok(stage)
    }

    /// Changes an OCI configuration so that the engine finds what is here and, on v1, does nothing about groups again.
    pub fn direct(&self, spec: &mut Value) {
        let Some(groups) = &self.groups else { return };
        if let Some(linux) = spec["linux"].as_object_mut() {
            linux.remove("resources");
        }
        let access = if self.privileged { "rw" } else { "ro" };
        let options = ["rbind", "rprivate", "nosuid", "nodev", "noexec", access];
        for entry in spec["mounts"].as_array_mut().into_iter().flatten() {
            if entry["type"] == "cgroup" {
                let destination = &entry["destination"];
                *entry = json!({ "destination": destination, "type": "bind", "source": groups, "options": options });
            }
        }
    }

    /// The container's configuration with the places as they are found on the stage.
    pub fn found(&self, config: &ContainerConfig) -> ContainerConfig {
        let mut config = config.clone();
        for (index, place) in &self.hidden {
            config.mounts[*index].source.clone_from(place);
        }
        if let Some(root) = &self.root {
            config.rootfs.clone_from(root);
        }
        config
    }
}

impl Taken {
    fn take(path: &str, privileged: bool, wanted: &[Mount]) -> io::Result<Self> {
        let hierarchies = cgroups::hierarchies();
        let unified = match hierarchies.iter().find(|hierarchy| hierarchy.unified) {
            Some(hierarchy) => mounts::copy(&hierarchy.mount, false)?,
            None => mounts::instance(c"cgroup2")?,
        };
        let access = if privileged { 0 } else { libc::MOUNT_ATTR_RDONLY };
        let bounds = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC | access;
        let mut groups = Vec::new();
        for (name, place) in cgroups::places_v1(path, &cgroups::shim_path()) {
            let tree = mounts::copy(&place, false)?;
            mounts::set(&tree, bounds)?;
            groups.push((name, tree));
        }
        let mut hidden = Vec::new();
        for (index, wanted) in wanted.iter().enumerate().filter(|(_, wanted)| is_hidden(&wanted.source)) {
            hidden.push((index, wanted.source.is_dir(), mounts::copy(&wanted.source, true)?));
        }
        Ok(Self { unified, groups, hidden })
    }

    fn place(self, privileged: bool) -> io::Result<Stage> {
        place_directory(&self.unified, "cgroup")?;
        let mut groups = None;
        for (name, tree) in &self.groups {
            let view = Path::new(STAGE).join("view");
            place_directory(tree, &format!("view/{name}"))?;
            for controller in name.split(',').filter(|controller| controller != name) {
                std::os::unix::fs::symlink(name, view.join(controller))?;
            }
            groups = Some(view);
        }
        let mut hidden = Vec::new();
        for (index, is_directory, tree) in &self.hidden {
            let place = format!("mount{index}");
            let placed =
                if *is_directory { place_directory(tree, &place)? } else { place_file(tree, &place)? };
            hidden.push((*index, placed));
        }
        Ok(Stage { root: None, groups, hidden, privileged })
    }
}

/// Whether the stage would stand over it or between it and what is mounted below it.
fn is_hidden(source: &Path) -> bool {
    let source = source.canonicalize().unwrap_or_else(|_| source.to_owned());
    source.starts_with(STAGE) || Path::new(STAGE).starts_with(source)
}

fn place_directory(tree: &OwnedFd, name: &str) -> io::Result<PathBuf> {
    let place = Path::new(STAGE).join(name);
    fs::create_dir_all(&place)?;
    mounts::attach(tree, &place).map(|()| place)
}

fn place_file(tree: &OwnedFd, name: &str) -> io::Result<PathBuf> {
    let place = Path::new(STAGE).join(name);
    fs::write(&place, "")?;
    mounts::attach(tree, &place).map(|()| place)
}
