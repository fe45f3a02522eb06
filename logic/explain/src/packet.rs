//! The packet: what the tables of the client's node do with a connection to the Service, by the trace the tests use.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::{Node, Service, ServicePort};
use kelson_model::{Cidr, Flow, NodeView, Origin, Protocol, Verdict};
use kelson_tables::{Options, compile, trace};

use crate::asker::{Client, addresses};
use crate::context::{Context, key};
use crate::step::{Step, StepName};
use crate::words::{self, list, name};

/// The label of a node's zone (spec C2.7).
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// Most backends spelled out.
const TOLD_MAX: usize = 8;

/// A node as its data plane sees itself.
pub(crate) fn view(context: &Context<'_>, node: Option<&Node>) -> NodeView {
    let cidrs = |node: &Node| -> Vec<Cidr> {
        let spec = node.spec.clone().unwrap_or_default();
        let all = spec.pod_cidrs.unwrap_or_default().into_iter().chain(spec.pod_cidr);
        all.filter_map(|text| Cidr::parse(&text)).collect()
    };
    let mut pod_cidrs: Vec<Cidr> = context.world.nodes.iter().flat_map(cidrs).collect();
    pod_cidrs.sort();
    pod_cidrs.dedup();
    NodeView {
        name: node.map(|node| name(&node.metadata)).unwrap_or_default().into(),
        addresses: node.map(addresses).unwrap_or_default(),
        zone: node
            .and_then(|node| node.metadata.labels.as_ref()?.get(ZONE_LABEL))
            .map(|zone| zone.as_str().into()),
        service_cidrs: Vec::new(),
        pod_cidrs,
        host_ports: Default::default(),
    }
}

/// What connections of the client meet, port by port; nothing for a Service without an address of its own.
pub(crate) fn step(
    context: &Context<'_>,
    client: &Client<'_>,
    service: &Service,
    ports: &[&ServicePort],
) -> Option<Step> {
    let model = context.snapshot.services.get(&key(service))?;
    let address = *model.cluster_ips.first()?;
    let (origin, source) = client.origin().unwrap_or((Origin::Node, address_of_nobody(address)));
    let mut view = view(context, client.node);
    if origin == Origin::Pod && !view.pod_cidrs.iter().any(|range| range.contains(source)) {
        // A cluster that gives nodes no ranges: the pod's own address is a pod's address.
        let length = if source.is_ipv4() { 32 } else { 128 };
        view.pod_cidrs.extend(Cidr::new(source, length));
    }
    let (tables, _) = compile(&context.snapshot, &view, &Options::default());
    let verdicts = ports.iter().filter_map(|port| {
        let flow = Flow {
            origin,
            source,
            destination: address,
            protocol: Protocol::parse(words::protocol(port))?,
            port: u16::try_from(port.port).ok()?,
        };
        Some((*port, seen_from(origin, trace(&tables, &flow))))
    });
    let verdicts: Vec<(&ServicePort, Verdict)> = verdicts.collect();
    let failing = verdicts.iter().find(|(_, verdict)| !matches!(verdict, Verdict::Forward(_)));
    match failing {
        Some((port, verdict)) => Some(failed(context, client, service, (address, port), verdict, &view)),
        None => forwarded(context, client, address, &verdicts),
    }
}

/// That a node's own connections carry the node's address surprises nobody.
fn seen_from(origin: Origin, verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Forward(backends) if origin == Origin::Node => {
            Verdict::Forward(backends.into_iter().map(|(backend, _)| (backend, false)).collect())
        }
        verdict => verdict,
    }
}

/// An address to ask the tables with when the client has none yet; documentation's own (RFC 5737, RFC 3849).
fn address_of_nobody(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { [192, 0, 2, 1].into() } else { [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into() }
}

fn forwarded(
    context: &Context<'_>,
    client: &Client<'_>,
    address: IpAddr,
    verdicts: &[(&ServicePort, Verdict)],
) -> Option<Step> {
    let mut lines = Vec::new();
    for (port, verdict) in verdicts {
        let Verdict::Forward(backends) = verdict else { continue };
        if verdicts.len() > 1 {
            lines.push(format!("port {}:", words::port(port)));
        }
        lines.extend(backends.iter().take(TOLD_MAX).map(|backend| shown(context, backend, backends.len())));
        lines.extend(backends.len().checked_sub(TOLD_MAX + 1).map(|rest| format!("and {} more", rest + 1)));
    }
    let (first, _) = verdicts.first()?;
    let to = SocketAddr::new(address, u16::try_from(first.port).ok()?);
    let to = if verdicts.len() > 1 { address.to_string() } else { to.to_string() };
    Some(
        Step::ok(StepName::Packet, format!("a connection from {} to {to} gets through to", client.called))
            .details(lines),
    )
}

/// `10.244.0.7:8080 (web-1), 50 %`, and whether the pod sees another source.
fn shown(context: &Context<'_>, (address, masqueraded): &(SocketAddr, bool), count: usize) -> String {
    let pod =
        context.pod_at(address.ip()).map_or_else(String::new, |pod| format!(" ({})", name(&pod.metadata)));
    let share = match count {
        1 => ", every one".to_owned(),
        count => format!(", {:.0} %", 100.0 / f64::from(u32::try_from(count).unwrap_or(u32::MAX))),
    };
    let source = if *masqueraded { ", which sees the node's address as the client's" } else { "" };
    format!("{address}{pod}{share}{source}")
}

fn failed(
    context: &Context<'_>,
    client: &Client<'_>,
    service: &Service,
    (address, port): (IpAddr, &ServicePort),
    verdict: &Verdict,
    view: &NodeView,
) -> Step {
    let to = format!(
        "{}:{}",
        if address.is_ipv6() { format!("[{address}]") } else { address.to_string() },
        port.port
    );
    let what = match verdict {
        Verdict::Reject => "is refused at once",
        Verdict::Drop => "is dropped without an answer, so clients run into their timeout",
        _ => "meets no rule of the Service's",
    };
    let sentence = format!("a connection from {} to {to} {what}", client.called);
    let model = context.snapshot.services.get(&key(service));
    let is_local = model.is_some_and(|model| model.internal_policy == kelson_model::TrafficPolicy::Local);
    let elsewhere = nodes_with_endpoints(context, service, port);
    if *verdict == Verdict::Drop && is_local {
        let edit = format!(
            "kubectl patch service {}{} -p '{{\"spec\":{{\"internalTrafficPolicy\":\"Cluster\"}}}}'",
            name(&service.metadata),
            words::in_namespace(words::namespace(&service.metadata))
        );
        let why = format!(
            "internalTrafficPolicy is Local, and node {} has no ready endpoint; {} has",
            view.name,
            list(&elsewhere)
        );
        return Step::wrong(StepName::Packet, format!("{sentence}: {why}"), edit);
    }
    let next = format!(
        "look at the log of the Service proxy on {}",
        if view.name.is_empty() { "the node" } else { &view.name }
    );
    Step::wrong(StepName::Packet, sentence, next)
}

/// The nodes with a ready endpoint of a port.
pub(crate) fn nodes_with_endpoints(
    context: &Context<'_>,
    service: &Service,
    port: &ServicePort,
) -> Vec<String> {
    let endpoints = crate::endpoints::ready(context, service, port.name.as_deref().unwrap_or_default());
    let mut nodes: Vec<String> =
        endpoints.iter().filter_map(|e| e.node.as_ref().map(ToString::to_string)).collect();
    nodes.sort();
    nodes.dedup();
    nodes
}
