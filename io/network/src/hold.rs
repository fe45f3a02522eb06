//! Further ranges whose unclaimed addresses end at the pod bridge: those balancer addresses come from.
//!
//! The node itself needs a route to an address before its tables can translate it, and nothing for a balancer address may
//! leave by the default route. The routes bear a protocol number of their own, so they are told from all others; they
//! stay when the process ends and go with the bridge. Never replaces a route somebody else made.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use futures_util::TryStreamExt;
use kelson_model::Cidr;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope};
use rtnetlink::{Handle, RouteMessageBuilder};

use crate::NetworkError;
use crate::address::Range;
use crate::error::{Tried, errno, unless};
use crate::links::{self, Netlink};

/// `rtm_protocol` of these routes: a number nobody has registered.
const PROTOCOL: RouteProtocol = RouteProtocol::Other(0x6b);

/// Routes exactly `ranges` to the pod bridge called `bridge`, which must be there; those of an earlier call that are not
/// among them go.
pub async fn hold(bridge: &str, ranges: &[Cidr]) -> Result<(), NetworkError> {
    let netlink = Netlink::here()?;
    let index = links::index(&netlink.handle, bridge).await?;
    let wanted = wanted(ranges)?;
    let mut there = BTreeSet::new();
    for route in held(&netlink.handle, index).await? {
        match destination(&route).filter(|range| wanted.contains(range)) {
            Some(range) => {
                there.insert(range);
            }
            None => {
                let gone = netlink.handle.route().del(route).execute().await;
                unless(libc::ESRCH, gone).tried("remove a route from the bridge", bridge)?;
            }
        }
    }
    for range in wanted.difference(&there) {
        add(&netlink.handle, index, *range).await?;
    }
    Ok(())
}

fn wanted(ranges: &[Cidr]) -> Result<BTreeSet<(Ipv4Addr, u8)>, NetworkError> {
    let parsed = ranges.iter().map(|cidr| match Range::of(*cidr) {
        Some(range) => Ok((range.network, range.prefix)),
        None => Err(NetworkError::Config {
            field: "balancer range",
            value: cidr.to_string(),
            reason: "an IPv4 range is needed",
        }),
    });
    parsed.collect()
}

async fn add(handle: &Handle, index: u32, (network, prefix): (Ipv4Addr, u8)) -> Result<(), NetworkError> {
    let route = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(network, prefix)
        .output_interface(index)
        .scope(RouteScope::Link)
        .protocol(PROTOCOL)
        .build();
    match handle.route().add(route).execute().await {
        Err(error) if errno(&error) == Some(libc::EEXIST) => Err(NetworkError::Config {
            field: "balancer range",
            value: format!("{network}/{prefix}"),
            reason: "another link has a route to this very range; choose one that nobody uses",
        }),
        answer => answer.tried("route to the bridge", format!("{network}/{prefix}")),
    }
}

/// The routes an earlier call made.
async fn held(handle: &Handle, index: u32) -> Result<Vec<RouteMessage>, NetworkError> {
    let all = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let all: Vec<RouteMessage> =
        handle.route().get(all).execute().try_collect().await.tried("list", "routes")?;
    let here = |route: &RouteMessage| route.attributes.contains(&RouteAttribute::Oif(index));
    Ok(all.into_iter().filter(|route| route.header.protocol == PROTOCOL && here(route)).collect())
}

fn destination(route: &RouteMessage) -> Option<(Ipv4Addr, u8)> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(network)) => {
            Some((*network, route.header.destination_prefix_length))
        }
        _ => None,
    })
}
