//! The node's own links and addresses, as they are now: dumped once, then followed by what the kernel announces.
//!
//! NodePorts are served on these addresses, and balancer addresses answered for on these links. Invariant: what is
//! published is what the kernel would list; announcements that were missed lead to a new dump. It changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, TryStreamExt};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkLayerType, LinkMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::NetworkError;
use crate::error::Tried;
use crate::links;

/// How long to wait before a lost conversation is begun again.
const PAUSE: Duration = Duration::from_secs(1);

/// A link others may be reached by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLink {
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub hardware: [u8; 6],
    /// Whether it is up and its other end is there.
    pub carrier: bool,
}

/// What the node has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeLinks {
    /// Ethernet links that speak ARP, by number. Ports of bridges and bonds are left out: their frames arrive by the
    /// link they are a port of.
    pub ethernet: BTreeMap<u32, NodeLink>,
    /// Every address of every link by which another machine, or a pod, could reach this one: no loopback, no
    /// link-local addresses.
    pub addresses: BTreeSet<IpAddr>,
}

/// Follows the links of the network namespace it was started in.
pub struct Follower {
    conversation: Conversation,
    seen: Seen,
    published: watch::Sender<Arc<NodeLinks>>,
}

impl Follower {
    /// Lists everything once; the receiver has it already.
    pub async fn start() -> Result<(Self, watch::Receiver<Arc<NodeLinks>>), NetworkError> {
        let conversation = Conversation::begin()?;
        let seen = Seen::list(&conversation.handle).await?;
        let (published, receiver) = watch::channel(Arc::new(seen.links()));
        Ok((Self { conversation, seen, published }, receiver))
    }

    /// Publishes every change until nobody listens any more.
    pub async fn run(mut self) {
        loop {
            tokio::select! {
                () = self.published.closed() => return,
                message = self.conversation.messages.next() => match message {
                    Some(message) => self.hear(message).await,
                    None => self.begin_again().await,
                },
            }
            let links = self.seen.links();
            self.published.send_if_modified(|last| {
                let changed = **last != links;
                if changed {
                    *last = Arc::new(links);
                }
                changed
            });
        }
    }

    async fn hear(&mut self, message: NetlinkMessage<RouteNetlinkMessage>) {
        match message.payload {
            NetlinkPayload::InnerMessage(message) => self.seen.fold(message),
            NetlinkPayload::Overrun(_) => match Seen::list(&self.conversation.handle).await {
                Ok(seen) => self.seen = seen,
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "cannot list this node's links");
                    self.begin_again().await;
                }
            },
            _ => {}
        }
    }

    /// A new conversation; what was seen stands until it has been listed again.
    async fn begin_again(&mut self) {
        loop {
            tokio::time::sleep(PAUSE).await;
            let Ok(conversation) = Conversation::begin() else { continue };
            if let Ok(seen) = Seen::list(&conversation.handle).await {
                (self.conversation, self.seen) = (conversation, seen);
                return;
            }
        }
    }
}

/// Requests go out and announcements come in on one socket, so that nothing falls between list and news.
struct Conversation {
    handle: Handle,
    messages: std::pin::Pin<Box<dyn Stream<Item = NetlinkMessage<RouteNetlinkMessage>> + Send>>,
    driver: JoinHandle<()>,
}

impl Conversation {
    fn begin() -> Result<Self, NetworkError> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let opened = rtnetlink::new_multicast_connection(&groups).map_err(NetworkError::Socket)?;
        let (connection, handle, messages) = opened;
        let messages = Box::pin(messages.map(|(message, _)| message));
        Ok(Self { handle, messages, driver: tokio::spawn(connection) })
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Links and addresses as announced.
#[derive(Debug, Default)]
struct Seen {
    links: BTreeMap<u32, NodeLink>,
    addresses: BTreeSet<(u32, IpAddr)>,
}

impl Seen {
    async fn list(handle: &Handle) -> Result<Self, NetworkError> {
        let mut seen = Self::default();
        let links: Vec<LinkMessage> =
            handle.link().get().execute().try_collect().await.tried("list", "links")?;
        links.into_iter().for_each(|link| seen.fold(RouteNetlinkMessage::NewLink(link)));
        let addresses = handle.address().get().execute().try_collect().await;
        let addresses: Vec<AddressMessage> = addresses.tried("list", "addresses")?;
        addresses.into_iter().for_each(|address| seen.fold(RouteNetlinkMessage::NewAddress(address)));
        Ok(seen)
    }

    /// One announcement. Those of the bridge family speak of a port's membership, not of the link.
    fn fold(&mut self, message: RouteNetlinkMessage) {
        match message {
            RouteNetlinkMessage::NewLink(link) if link.header.interface_family == AddressFamily::Unspec => {
                match ethernet(&link) {
                    Some(ethernet) => self.links.insert(link.header.index, ethernet),
                    None => self.links.remove(&link.header.index),
                };
            }
            RouteNetlinkMessage::DelLink(link) if link.header.interface_family == AddressFamily::Unspec => {
                self.links.remove(&link.header.index);
                self.addresses.retain(|(index, _)| *index != link.header.index);
            }
            RouteNetlinkMessage::NewAddress(message) => {
                self.addresses.extend(local(&message).map(|address| (message.header.index, address)));
            }
            RouteNetlinkMessage::DelAddress(message) => {
                if let Some(address) = local(&message) {
                    self.addresses.remove(&(message.header.index, address));
                }
            }
            _ => {}
        }
    }

    fn links(&self) -> NodeLinks {
        let addresses = self.addresses.iter().map(|(_, address)| *address).filter(is_reachable).collect();
        NodeLinks { ethernet: self.links.clone(), addresses }
    }
}

/// The link, if it is one of [`NodeLinks::ethernet`].
fn ethernet(link: &LinkMessage) -> Option<NodeLink> {
    let flags = link.header.flags;
    let speaks = link.header.link_layer_type == LinkLayerType::Ether
        && !flags.intersects(LinkFlags::Loopback | LinkFlags::Noarp)
        && links::controller(link).is_none();
    let name = links::name(link).filter(|_| speaks)?.to_owned();
    let hardware = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Address(bytes) => <[u8; 6]>::try_from(bytes.as_slice()).ok(),
        _ => None,
    })?;
    Some(NodeLink { name, hardware, carrier: flags.contains(LinkFlags::Up | LinkFlags::LowerUp) })
}

/// The node's end of an address; of IPv6 links without a peer only the one attribute is there.
fn local(message: &AddressMessage) -> Option<IpAddr> {
    let of = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| message.attributes.iter().find_map(wanted);
    of(|attribute| if let AddressAttribute::Local(ip) = attribute { Some(*ip) } else { None }).or_else(|| {
        of(|attribute| if let AddressAttribute::Address(ip) = attribute { Some(*ip) } else { None })
    })
}

fn is_reachable(address: &IpAddr) -> bool {
    // fe80::/10
    let is_link_local = |v6: &Ipv6Addr| v6.segments()[0] & 0xffc0 == 0xfe80;
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !is_link_local(v6) && !v6.is_unspecified(),
    }
}
