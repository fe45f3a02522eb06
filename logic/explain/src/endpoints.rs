//! The endpoints: whether the EndpointSlices list the ready pods, and whether somebody listens there.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::{Pod, Service, ServicePort};
use kelson_model::Endpoint;

use crate::context::{Context, key};
use crate::port::is_tcp;
use crate::reason;
use crate::step::{Step, StepName};
use crate::target::{declared, patch};
use crate::words::{self, count, in_namespace, list, name, namespace};
use crate::world::Connect;

/// Most endpoints spelled out.
const TOLD_MAX: usize = 8;

/// The endpoints of a port that get requests while nothing terminates.
pub(crate) fn ready<'a>(context: &'a Context<'_>, service: &Service, port: &str) -> Vec<&'a Endpoint> {
    context.endpoints(&key(service), port).iter().filter(|endpoint| endpoint.ready).collect()
}

/// The step that says how many endpoints each port has.
pub(crate) fn step(context: &Context<'_>, service: &Service, ports: &[&ServicePort], pods: &[&Pod]) -> Step {
    let called = name(&service.metadata);
    let slices = format!(
        "kubectl get endpointslices{} -l kubernetes.io/service-name={called}",
        in_namespace(namespace(&service.metadata))
    );
    let names: Vec<&str> = match ports {
        [] => vec![""],
        ports => ports.iter().map(|port| port.name.as_deref().unwrap_or_default()).collect(),
    };
    let first = ready(context, service, names[0]);
    if let Some(late) = late(&first, pods) {
        let sentence = format!(
            "no EndpointSlice lists {late} as ready, though {} ready",
            if pods.len() == 1 { "it is" } else { "they are" }
        );
        return Step::wrong(StepName::Endpoints, sentence, slices)
            .details(["the EndpointSlice controller lags or does not run".to_owned()]);
    }
    let counts = names.iter().map(|port| ready(context, service, port).len());
    if let Some((_, port)) = counts.zip(ports).find(|(count, _)| *count == 0) {
        let sentence = format!("port {} has no ready endpoint", words::port(port));
        return Step::wrong(StepName::Endpoints, sentence, slices);
    }
    if first.is_empty() {
        return Step::wrong(StepName::Endpoints, "it has no ready endpoint", slices);
    }
    let told = first.iter().take(TOLD_MAX).map(|endpoint| shown(context, endpoint));
    let rest = first.len().saturating_sub(TOLD_MAX);
    let rest = (rest > 0).then(|| format!("and {rest} more"));
    Step::ok(StepName::Endpoints, format!("{} listed and ready", count(first.len(), "endpoint")))
        .details(told.chain(rest))
}

/// `10.244.0.7:8080 (web-1 on node-1)`.
fn shown(context: &Context<'_>, endpoint: &Endpoint) -> String {
    let address = socket(endpoint);
    let node = endpoint.node.as_ref().map_or_else(String::new, |node| format!(" on {node}"));
    match context.endpoint_name(endpoint) {
        Some(pod) => format!("{address} ({pod}{node})"),
        None => {
            format!("{address}{}", if node.is_empty() { node } else { format!(" ({})", node.trim_start()) })
        }
    }
}

fn socket(endpoint: &Endpoint) -> SocketAddr {
    (endpoint.address, endpoint.port).into()
}

/// The ready pods when none of them is listed.
fn late(listed: &[&Endpoint], pods: &[&Pod]) -> Option<String> {
    let ready: Vec<&str> =
        pods.iter().filter(|pod| reason::is_ready(pod)).map(|pod| name(&pod.metadata)).collect();
    (listed.is_empty() && !ready.is_empty()).then(|| list(&ready))
}

/// Where connections are worth trying: the ready endpoints of the TCP ports, with their nodes.
pub(crate) fn worth_trying(
    context: &Context<'_>,
    service: &Service,
    ports: &[&ServicePort],
) -> Vec<(SocketAddr, String)> {
    let tcp = ports.iter().filter(|port| is_tcp(port));
    let endpoints = tcp.flat_map(|port| ready(context, service, port.name.as_deref().unwrap_or_default()));
    let mut found: Vec<(SocketAddr, String)> = endpoints
        .filter(|endpoint| endpoint.port > 0)
        .filter_map(|endpoint| Some((socket(endpoint), endpoint.node.as_ref()?.to_string())))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The step that says whether the programs listen; nothing when nobody could try.
pub(crate) fn listening(context: &Context<'_>, service: &Service, ports: &[&ServicePort]) -> Option<Step> {
    let met: Vec<(SocketAddr, Connect)> = worth_trying(context, service, ports)
        .into_iter()
        .filter_map(|(address, _)| Some((address, *context.world.facts.connects.get(&address)?)))
        .collect();
    let failing: Vec<&(SocketAddr, Connect)> =
        met.iter().filter(|(_, met)| *met != Connect::Accepted).collect();
    let Some((address, connect)) = failing.first() else {
        let sentence = if met.len() == 1 {
            "it accepts connections".to_owned()
        } else {
            format!("all {} accept connections", met.len())
        };
        return (!met.is_empty()).then(|| Step::ok(StepName::Listening, sentence));
    };
    let pod = context.pod_at(address.ip());
    let who = pod.map_or_else(|| address.ip().to_string(), |pod| name(&pod.metadata).to_owned());
    let share = if failing.len() == met.len() {
        String::new()
    } else {
        format!(", nor do {} of {}", failing.len(), met.len())
    };
    let share = if failing.len() == 1 { String::new() } else { share };
    let sentence = match connect {
        Connect::Silent => format!("{who} does not answer on port {}{share}", address.port()),
        _ => format!("nobody listens on port {} of {who}{share}: connections are refused", address.port()),
    };
    let step = Step::wrong(StepName::Listening, sentence, look(pod, address.ip()));
    let declared = declared_elsewhere(pod, address.port());
    let port = ports.iter().find(|port| crate::port::target(port) == address.port().to_string());
    let step = match (declared.as_slice(), port) {
        ([only], Some(port)) => step.next(patch(service, port, only)),
        _ => step,
    };
    Some(step.details(hints(&declared)))
}

/// Where one sees what a pod listens on.
fn look(pod: Option<&Pod>, address: IpAddr) -> String {
    match pod {
        Some(pod) => {
            let place = in_namespace(namespace(&pod.metadata));
            format!("kubectl exec {}{place} -- netstat -ltn", name(&pod.metadata))
        }
        None => format!("look at the program on {address}"),
    }
}

/// The ports a pod's containers declare, when `port` is none of them.
fn declared_elsewhere(pod: Option<&Pod>, port: u16) -> Vec<String> {
    let ports = pod.into_iter().flat_map(declared).map(|declared| declared.container_port.to_string());
    let ports: Vec<String> = ports.collect();
    if ports.contains(&port.to_string()) { Vec::new() } else { ports }
}

/// What a refused connection may come from.
fn hints(declared: &[String]) -> Vec<String> {
    let elsewhere = (!declared.is_empty()).then(|| format!("its containers declare {}", list(declared)));
    let loopback = "a program that listens on 127.0.0.1 alone is not reached either".to_owned();
    elsewhere.into_iter().chain([loopback]).collect()
}
