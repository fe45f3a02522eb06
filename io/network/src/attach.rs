//! One pod's link: a veth pair born with one end on the bridge and the other already inside the pod.
//!
//! The peer is created in the pod's namespace rather than moved there: moving waits for the kernel's grace period, which
//! costs twenty times as much. Ports are in hairpin mode: where the kernel filters bridged frames, a pod that reaches
//! itself through a ClusterIP comes back by the port it left.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::path::Path;

use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkAttribute};
use rtnetlink::packet_route::route::RouteScope;
use rtnetlink::{Handle, LinkBridgePort, LinkUnspec, LinkVeth, RouteMessageBuilder};

use crate::NetworkError;
use crate::address::hardware_address;
use crate::bridge::Bridge;
use crate::error::{Tried, unless};
use crate::leases::Lease;
use crate::links::{self, Netlink};

/// The pod's end of its link.
const POD_LINK: &str = "eth0";

/// The number `lo` has in every namespace.
const LOOPBACK_INDEX: u32 = 1;

/// Whether both ends are there and the pod's end holds its address.
pub(crate) async fn is_attached(
    handle: &Handle,
    bridge: &Bridge,
    lease: &Lease,
) -> Result<bool, NetworkError> {
    let Some(link) = links::find(handle, &lease.link).await? else { return Ok(false) };
    if links::controller(&link) != Some(bridge.index) {
        return Ok(false);
    }
    let pod = Netlink::inside(&lease.netns)?;
    match links::find(&pod.handle, POD_LINK).await? {
        Some(end) => links::holds(&pod.handle, end.header.index, lease.address.into()).await,
        None => Ok(false),
    }
}

/// Makes the pair and configures both ends. A left-over link of that name is replaced.
pub(crate) async fn attach(
    handle: &Handle,
    bridge: &Bridge,
    gateway: Ipv4Addr,
    lease: &Lease,
) -> Result<(), NetworkError> {
    links::delete(handle, &lease.link).await?;
    add_pair(handle, bridge, lease).await?;
    let node_end = async {
        let index = links::index(handle, &lease.link).await?;
        as_port(handle, index, &lease.link).await
    };
    tokio::try_join!(node_end, configure_pod(&lease.netns, gateway, lease.address)).map(|_| ())
}

/// Makes an existing link a port of the bridge again, after the bridge was lost.
pub(crate) async fn adopt(handle: &Handle, bridge: &Bridge, lease: &Lease) -> Result<(), NetworkError> {
    let Some(link) = links::find(handle, &lease.link).await? else { return Ok(()) };
    if links::controller(&link) == Some(bridge.index) {
        return Ok(());
    }
    let port = LinkUnspec::new_with_index(link.header.index).controller(bridge.index).up().build();
    handle.link().set(port).execute().await.tried("put on the bridge link", &lease.link)?;
    as_port(handle, link.header.index, &lease.link).await
}

/// The peer cannot be born up: it has no other end yet when its flags are set.
async fn add_pair(handle: &Handle, bridge: &Bridge, lease: &Lease) -> Result<(), NetworkError> {
    let netns = File::open(&lease.netns).map_err(|source| NetworkError::Namespace {
        operation: "open",
        path: lease.netns.clone(),
        source,
    })?;
    let peer = LinkUnspec::new_with_name(POD_LINK)
        .append_extra_attribute(LinkAttribute::NetNsFd(netns.as_raw_fd()))
        .address(hardware_address(lease.address).to_vec())
        .mtu(bridge.mtu)
        .build();
    let pair = LinkVeth::new(&lease.link, POD_LINK)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .controller(bridge.index)
        .mtu(bridge.mtu)
        .up()
        .build();
    handle.link().add(pair).execute().await.tried("create link", &lease.link)
}

async fn as_port(handle: &Handle, index: u32, name: &str) -> Result<(), NetworkError> {
    let port = LinkBridgePort::new(index).hairpin(true).build();
    handle.link().set_port(port).execute().await.tried("configure bridge port", name)
}

/// Inside the pod: `lo` and `eth0` up, the address, and the gateway for everything else.
async fn configure_pod(netns: &Path, gateway: Ipv4Addr, address: Ipv4Addr) -> Result<(), NetworkError> {
    let pod = Netlink::inside(netns)?;
    let handle = &pod.handle;
    let loopback = LinkUnspec::new_with_index(LOOPBACK_INDEX).up().build();
    handle.link().set(loopback).execute().await.tried("set up", "lo in the pod")?;
    let index = links::index(handle, POD_LINK).await?;
    let up = LinkUnspec::new_with_index(index).up().build();
    handle.link().set(up).execute().await.tried("set up", "eth0 in the pod")?;
    let added = handle.address().add(index, address.into(), 32).execute().await;
    unless(libc::EEXIST, added).tried("give the pod address", address)?;
    let on_link = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(gateway, 32)
        .output_interface(index)
        .scope(RouteScope::Link)
        .build();
    handle.route().add(on_link).replace().execute().await.tried("route the pod to", gateway)?;
    let default = RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway).output_interface(index).build();
    handle.route().add(default).replace().execute().await.tried("route the pod by default to", gateway)
}
