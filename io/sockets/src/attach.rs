//! Loading the programs and putting them before the pods' connect(), in place of an earlier process's if there are any.
//!
//! Loaded beside what serves, filled, and only then exchanged: a link that is there keeps running and gets the new program
//! in one step. getpeername() comes first, so that no connection is made that it cannot answer for.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use aya::programs::links::FdLink;
use aya::programs::{CgroupAttachMode, CgroupSockAddr};
use aya::{Ebpf, EbpfLoader};

use crate::maps::Maps;
use crate::{Error, Place, pins, syscall};

static OBJECT: &[u8] = aya::include_bytes_aligned!("../bpf/connect.o");

/// What the programs are attached to, and their names in the object, in the order they are attached.
const HOOKS: [(&str, &str); 2] = [("getpeername", "kelson_getpeername4"), ("connect", "kelson_connect4")];

/// Programs in the kernel that nobody runs yet, and their maps, empty.
#[derive(Debug)]
pub struct Loaded {
    place: Place,
    programs: Ebpf,
    maps: Maps,
}

impl Loaded {
    /// Loads the programs; what an earlier process attached goes on serving.
    pub fn load(place: &Place) -> Result<Self, Error> {
        pins::prepare(&place.pins)?;
        let mut loader = EbpfLoader::new();
        // The programs touch no structures of the kernel's own, so its types need not be read, which takes 40 ms.
        loader.btf(None).map_pin_path("peers", place.pins.join(pins::PEERS));
        let mut programs = loader.load(OBJECT).map_err(Error::load)?;
        for (_, name) in HOOKS {
            program(&mut programs, name)?.load().map_err(Error::load)?;
        }
        let mut map = |name| programs.take_map(name).expect("the object has its maps");
        let maps = Maps::new(map("services"), map("backends")).map_err(Error::load)?;
        Ok(Self { place: place.clone(), programs, maps })
    }

    /// The maps, to be filled before [`Loaded::attach`].
    pub fn maps(&mut self) -> &mut Maps {
        &mut self.maps
    }

    /// Attaches the programs, or puts them in the place of those an earlier process attached. From now on new
    /// connections of the control group meet the maps, which are handed back to be kept up to date.
    pub fn attach(self) -> Result<Maps, Error> {
        let Self { place: Place { pins, cgroup }, mut programs, maps } = self;
        fs::create_dir_all(&cgroup).map_err(Error::file("make", &cgroup))?;
        let group = File::open(&cgroup).map_err(Error::file("open", &cgroup))?;
        let mut kept = vec![pins.join(pins::PEERS)];
        for (hook, name) in HOOKS {
            let pin = pins::link(&pins, hook, &cgroup)?;
            attach(program(&mut programs, name)?, hook, &group, &pin)?;
            kept.push(pin);
        }
        pins::keep_only(&pins, &kept)?;
        Ok(maps)
    }
}

/// Ends translation at connect() at `place` and removes every trace of it, whoever attached it.
pub fn remove(pins: &Path) -> Result<(), Error> {
    pins::destroy(pins)
}

fn program<'a>(programs: &'a mut Ebpf, name: &str) -> Result<&'a mut CgroupSockAddr, Error> {
    let program = programs.program_mut(name).expect("the object has its programs");
    program.try_into().map_err(Error::load)
}

fn attach(
    program: &mut CgroupSockAddr,
    hook: &'static str,
    group: &File,
    pin: &PathBuf,
) -> Result<(), Error> {
    let descriptor = program.fd().map_err(Error::load)?.as_fd();
    let exchanged = syscall::open(pin).and_then(|link| syscall::exchange(link.as_fd(), descriptor));
    if exchanged.is_ok() {
        return Ok(());
    }
    // There is none, or its group is gone.
    pins::end(pin)?;
    let failed = |source| Error::Attach { hook, source };
    let id = program.attach(group, CgroupAttachMode::Single).map_err(|error| failed(error.into()))?;
    let link = program.take_link(id).map_err(|error| failed(error.into()))?;
    let link = FdLink::try_from(link).map_err(|error| failed(error.into()))?;
    link.pin(pin).map(drop).map_err(|error| failed(error.into()))
}
