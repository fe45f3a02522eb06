//! Small questions and requests about links, each one netlink message.

use std::net::IpAddr;
use std::path::Path;

use futures_util::TryStreamExt;
use rtnetlink::Handle;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage};
use tokio::task::JoinHandle;

use crate::NetworkError;
use crate::error::{Tried, errno, unless};
use crate::netns;

/// A netlink conversation and the task that carries it; ends when dropped.
#[derive(Debug)]
pub(crate) struct Netlink {
    pub handle: Handle,
    driver: JoinHandle<()>,
}

impl Netlink {
    /// A conversation with the network namespace of the calling thread.
    pub fn here() -> Result<Self, NetworkError> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(NetworkError::Socket)?;
        Ok(Self { handle, driver: tokio::spawn(connection) })
    }

    /// A conversation with the namespace bound to `path`.
    pub fn inside(path: &Path) -> Result<Self, NetworkError> {
        let runtime = tokio::runtime::Handle::current();
        netns::enter(path, move || {
            let _guard = runtime.enter();
            Self::here()
        })?
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The link called `name`, if there is one.
pub(crate) async fn find(handle: &Handle, name: &str) -> Result<Option<LinkMessage>, NetworkError> {
    match handle.link().get().match_name(name).execute().try_next().await {
        Err(error) if errno(&error) == Some(libc::ENODEV) => Ok(None),
        answer => answer.tried("look up link", name),
    }
}

/// The number of the link called `name`, which must be there.
pub(crate) async fn index(handle: &Handle, name: &str) -> Result<u32, NetworkError> {
    let link = find(handle, name).await?.ok_or_else(|| NetworkError::LinkGone(name.to_owned()))?;
    Ok(link.header.index)
}

/// Deletes the link called `name`; nothing there is fine.
pub(crate) async fn delete(handle: &Handle, name: &str) -> Result<(), NetworkError> {
    let Some(link) = find(handle, name).await? else { return Ok(()) };
    unless(libc::ENODEV, handle.link().del(link.header.index).execute().await).tried("delete link", name)
}

/// Every link that is a port of the bridge numbered `bridge`.
pub(crate) async fn ports(handle: &Handle, bridge: u32) -> Result<Vec<LinkMessage>, NetworkError> {
    let links: Vec<LinkMessage> = handle.link().get().execute().try_collect().await.tried("list", "links")?;
    Ok(links.into_iter().filter(|link| controller(link) == Some(bridge)).collect())
}

/// Whether the link numbered `index` holds `address`.
pub(crate) async fn holds(handle: &Handle, index: u32, address: IpAddr) -> Result<bool, NetworkError> {
    let mut addresses = handle.address().get().set_link_index_filter(index).execute();
    while let Some(message) = addresses.try_next().await.tried("list addresses of link", index)? {
        if message.attributes.iter().any(|a| matches!(a, AddressAttribute::Local(held) if *held == address)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The bridge a link is a port of.
pub(crate) fn controller(link: &LinkMessage) -> Option<u32> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Controller(index) => Some(*index),
        _ => None,
    })
}

/// A link's name.
pub(crate) fn name(link: &LinkMessage) -> Option<&str> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.as_str()),
        _ => None,
    })
}

/// A link's largest packet, in bytes.
pub(crate) fn mtu(link: &LinkMessage) -> Option<u32> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Mtu(mtu) => Some(*mtu),
        _ => None,
    })
}

/// Whether a link is a bridge.
pub(crate) fn is_bridge(link: &LinkMessage) -> bool {
    link.attributes.iter().any(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.contains(&LinkInfo::Kind(InfoKind::Bridge)),
        _ => false,
    })
}
