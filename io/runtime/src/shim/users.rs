//! Who a container's process is: names of the image turned into numbers, as container engines do it.
//!
//! Reads `/etc/passwd` and `/etc/group` of the root file system without ever leaving it (a link to the node's own files
//! leads nowhere), and no more than [`FILE_MAX`] of them.

use crate::config::User;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// The most that is read of passwd or group.
const FILE_MAX: u64 = 1 << 20;

/// A process's numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups, sorted, the primary one among them.
    pub groups: Vec<u32>,
    /// The home directory passwd names, `/` otherwise.
    pub home: String,
}

/// Resolves `user` in the root file system at `rootfs`. The error is a clause for the pod's status.
pub fn resolve_user(rootfs: &Path, user: &User) -> Result<Identity, String> {
    let root =
        File::open(rootfs).map_err(|error| format!("open root file system {}: {error}", rootfs.display()))?;
    let read = |path: &str| match read_in_root(&root, path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        result => result.map_err(|error| format!("read /{path} of the image: {error}")),
    };
    identify(user, &read("etc/passwd")?, &read("etc/group")?)
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Account { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
    })
}

/// Name, number and members of each group.
fn groups(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

fn identify(user: &User, passwd: &str, group: &str) -> Result<Identity, String> {
    let (image_user, image_group) = match user.image.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (user.image.as_str(), None),
    };
    let account = match user.uid {
        Some(uid) => accounts(passwd).find(|account| account.uid == uid),
        None => find_account(passwd, image_user),
    };
    let uid = match (user.uid, &account) {
        (Some(uid), _) => uid,
        (None, Some(account)) => account.uid,
        (None, None) if image_user.is_empty() => 0,
        (None, None) => image_user
            .parse()
            .map_err(|_| format!("unable to find user {image_user}: no matching entries in passwd file"))?,
    };
    // A runAsUser alone takes the image's USER out of play, its group included.
    let image_group = image_group.filter(|group| user.uid.is_none() && !group.is_empty());
    let gid = match (user.gid, image_group) {
        (Some(gid), _) => gid,
        (None, Some(name)) => find_group(group, name)?,
        (None, None) => account.as_ref().map_or(0, |account| account.gid),
    };
    let home = account
        .as_ref()
        .map(|account| account.home)
        .filter(|home| !home.is_empty())
        .unwrap_or("/")
        .to_owned();
    let mut all = user.groups.clone();
    all.push(gid);
    if let Some(account) = account.filter(|_| !user.strict) {
        let listed = |members: &str| members.split(',').any(|member| member == account.name);
        all.extend(groups(group).filter(|(_, _, members)| listed(members)).map(|(_, gid, _)| gid));
    }
    all.sort_unstable();
    all.dedup();
    Ok(Identity { uid, gid, groups: all, home })
}

/// By name first, then by number, as a name may look like one.
fn find_account<'a>(passwd: &'a str, user: &str) -> Option<Account<'a>> {
    let user = if user.is_empty() { "0" } else { user };
    let number = user.parse::<u32>().ok();
    accounts(passwd)
        .find(|account| account.name == user)
        .or_else(|| accounts(passwd).find(|account| Some(account.uid) == number))
}

fn find_group(group: &str, name: &str) -> Result<u32, String> {
    let named = groups(group).find(|(group, _, _)| *group == name).map(|(_, gid, _)| gid);
    named
        .or_else(|| name.parse().ok())
        .ok_or_else(|| format!("unable to find group {name}: no matching entries in group file"))
}

/// Opens `path` as if `root` were `/`, links included.
pub fn open_in_root(root: &File, path: &str, flags: i32) -> io::Result<OwnedFd> {
    let path = std::ffi::CString::new(path)?;
    // SAFETY: all-zero is a valid open_how.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (flags | libc::O_CLOEXEC) as u64;
    how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
    // SAFETY: path and how outlive the call, and the size is how's own.
    let fd = unsafe {
        libc::syscall(libc::SYS_openat2, root.as_raw_fd(), path.as_ptr(), &how, size_of::<libc::open_how>())
    };
    match i32::try_from(fd) {
        // SAFETY: the kernel just made this descriptor for us.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// O_NONBLOCK: an image with a fifo in that place must not hang us.
fn read_in_root(root: &File, path: &str) -> io::Result<String> {
    let file = File::from(open_in_root(root, path, libc::O_RDONLY | libc::O_NONBLOCK)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
