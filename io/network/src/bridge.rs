//! The bridge: the pods' gateway and the place both ranges end when nothing claims an address.
//!
//! Its hardware address is fixed, because a bridge left alone takes that of one of its ports and so changes under the
//! pods' neighbour caches. The Service range is a plain route, not an `unreachable` one: `connect()` looks the route up
//! before the node's own DNAT happens.

use std::net::{IpAddr, Ipv4Addr};

use futures_util::TryStreamExt;
use rtnetlink::packet_route::route::{RouteAttribute, RouteScope};
use rtnetlink::{Handle, LinkBridge, LinkUnspec, RouteMessageBuilder};

use crate::address::{Range, hardware_address};
use crate::config::Ranges;
use crate::error::{Tried, unless};
use crate::{NetworkConfig, NetworkError, links};

/// Packet size where no link has a default route.
const DEFAULT_MTU: u32 = 1500;

/// The bridge, made or found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bridge {
    pub index: u32,
    pub mtu: u32,
}

/// Makes the bridge what it must be, whatever of it was there: up, addressed, both ranges routed to it.
pub(crate) async fn ensure(
    handle: &Handle,
    config: &NetworkConfig,
    ranges: &Ranges,
) -> Result<Bridge, NetworkError> {
    let mtu = match config.mtu {
        Some(mtu) => mtu,
        None => uplink_mtu(handle).await?.unwrap_or(DEFAULT_MTU),
    };
    let index = match links::find(handle, &config.bridge).await? {
        Some(link) if links::is_bridge(&link) => link.header.index,
        Some(_) => return Err(NetworkError::NotABridge(config.bridge.clone())),
        None => add(handle, &config.bridge).await?,
    };
    let gateway = ranges.gateway();
    let up = LinkUnspec::new_with_index(index).address(hardware_address(gateway).to_vec()).mtu(mtu).up();
    handle.link().set(up.build()).execute().await.tried("set up bridge", &config.bridge)?;
    add_address(handle, index, gateway.into(), ranges.pods.prefix).await?;
    hold(handle, index, ranges.services).await?;
    Ok(Bridge { index, mtu })
}

/// Gives the bridge one more address; already there is fine.
pub(crate) async fn add_address(
    handle: &Handle,
    index: u32,
    address: IpAddr,
    prefix: u8,
) -> Result<(), NetworkError> {
    let answer = handle.address().add(index, address, prefix).execute().await;
    unless(libc::EEXIST, answer).tried("give the bridge address", address)
}

/// Takes an address off the bridge; not there is fine.
pub(crate) async fn remove_address(handle: &Handle, index: u32, address: IpAddr) -> Result<(), NetworkError> {
    let filter = handle.address().get().set_link_index_filter(index).set_address_filter(address);
    let found: Vec<_> = filter.execute().try_collect().await.tried("look up address", address)?;
    for message in found {
        let answer = handle.address().del(message).execute().await;
        unless(libc::EADDRNOTAVAIL, answer).tried("take off the bridge address", address)?;
    }
    Ok(())
}

async fn add(handle: &Handle, name: &str) -> Result<u32, NetworkError> {
    let bridge = LinkBridge::new(name).mcast_snooping(false).build();
    handle.link().add(bridge).execute().await.tried("create bridge", name)?;
    links::index(handle, name).await
}

/// Routes `range` to the bridge.
async fn hold(handle: &Handle, index: u32, range: Range) -> Result<(), NetworkError> {
    let route = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(range.network, range.prefix)
        .output_interface(index)
        .scope(RouteScope::Link)
        .build();
    let object = format!("{}/{}", range.network, range.prefix);
    handle.route().add(route).replace().execute().await.tried("route to the bridge", object)
}

/// The packet size of the link the default route uses, if there is a default route.
async fn uplink_mtu(handle: &Handle) -> Result<Option<u32>, NetworkError> {
    let all = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let mut routes = handle.route().get(all).execute();
    let mut uplink = None;
    while let Some(route) = routes.try_next().await.tried("list", "routes")? {
        if uplink.is_none() && route.header.destination_prefix_length == 0 {
            uplink = route.attributes.iter().find_map(|attribute| match attribute {
                RouteAttribute::Oif(index) => Some(*index),
                _ => None,
            });
        }
    }
    let Some(index) = uplink else { return Ok(None) };
    let link = handle.link().get().match_index(index).execute().try_next().await;
    Ok(link.tried("look up link", index)?.as_ref().and_then(links::mtu))
}
