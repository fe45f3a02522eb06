//! `pods/<name>/proxy` and `services/<name>/proxy`: an HTTP request to a program in a pod, on the user's behalf; and
//! `nodes/<name>/proxy`: one to the node's kubelet API.
//!
//! Decides only where it goes; `forward` takes it there. The name may say more than a name: `web`, `web:port` and
//! `https:web:port`. Invariant: it goes to the address of a pod of the same namespace and nowhere else, so that who may
//! write Endpoints cannot make the API server ask what only it can reach.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{Method, Response, StatusCode, Uri, header};
use kelson_machinery::status::Status;
use kelson_machinery::{Object, meta};
use kelson_registry::Kind;
use tower::ServiceExt;

use crate::forward::{Target, forward};
use crate::objects;
use crate::response::{self, Reply};
use crate::state::Call;
use crate::verbs::get;

/// Segments of `/api/v1/namespaces/<namespace>/<plural>/<name>/proxy`.
const SEGMENTS: usize = 7;
/// Segments of `/api/v1/nodes/<name>/proxy`.
const NODE_SEGMENTS: usize = 5;
/// Where a node's kubelet API is found.
const KUBELET_PORT: &str = "10250";

/// Sends the request to where the name leads.
pub(crate) async fn proxy(call: &Call, request: Request) -> Reply {
    let place = match call.kind.plural {
        "pods" => pod(call).await?,
        "services" => service(call).await?,
        "nodes" => return node(call, request).await,
        _ => return Err(Status::no_such_resource()),
    };
    let (prefix, path) = split(request.uri().path(), SEGMENTS);
    if path.is_empty() && matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(to_root(&request));
    }
    let target =
        Target { tls: place.tls, address: place.address, prefix: prefix.to_owned(), path: path.to_owned() };
    forward(&target, request, call.core.shutdown.clone()).await
}

/// Hands the request to the node's kubelet API, which never sees the user's credential.
async fn node(call: &Call, mut request: Request) -> Reply {
    let invalid = || Status::bad_request(format!("invalid node request \"{}\"", call.name()));
    let id = Id::parse(call.name()).ok_or_else(invalid)?;
    get::entry(&call.core, call.kind, "", id.name).await?;
    if !matches!(id.port, "" | KUBELET_PORT) {
        let why =
            format!("invalid port \"{}\": a node serves its kubelet API alone, at {KUBELET_PORT}", id.port);
        return Err(Status::bad_request(why));
    }
    let (_, path) = split(request.uri().path(), NODE_SEGMENTS);
    if path.is_empty() && matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(to_root(&request));
    }
    let missing = || {
        Status::service_unavailable(format!("error dialing backend: node \"{}\" is not connected", id.name))
    };
    let router = call.core.node(id.name).ok_or_else(missing)?;
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{}{query}", if path.is_empty() { "/" } else { path }).parse::<PathAndQuery>();
    let target = target.map_err(|error| Status::bad_request(format!("invalid path: {error}")))?;
    *request.uri_mut() = Uri::from(target);
    request.headers_mut().remove(header::AUTHORIZATION);
    Ok(router.oneshot(request).await.unwrap_or_else(|never| match never {}))
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    tls: bool,
    address: SocketAddr,
}

/// A name that may carry a scheme and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id<'a> {
    tls: bool,
    name: &'a str,
    port: &'a str,
}

impl<'a> Id<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (scheme, name, port) = match parts.as_slice() {
            [name] => ("", *name, ""),
            [name, port] => ("", *name, *port),
            [scheme, name, port] => (*scheme, *name, *port),
            _ => return None,
        };
        let known = matches!(scheme, "" | "http" | "https") && !name.is_empty();
        known.then_some(Self { tls: scheme == "https", name, port })
    }
}

async fn pod(call: &Call) -> Result<Place, Status> {
    let invalid = || Status::bad_request(format!("invalid pod request \"{}\"", call.name()));
    let id = Id::parse(call.name()).ok_or_else(invalid)?;
    let entry = get::entry(&call.core, call.kind, call.namespace(), id.name).await?;
    let pod = objects::decode(&entry)?;
    let port = port_of(&pod, id)?;
    let address: Option<IpAddr> = meta::get_str(&pod, &["status", "podIP"]).parse().ok();
    let address = address.filter(|address| is_unicast(*address));
    let address = address.ok_or_else(|| Status::bad_request("address not allowed"))?;
    Ok(Place { tls: id.tls, address: (address, port).into() })
}

/// The port asked for, the first the pod declares, or its scheme's.
fn port_of(pod: &Object, id: Id<'_>) -> Result<u16, Status> {
    if !id.port.is_empty() {
        let wrong = |_| Status::bad_request(format!("invalid port \"{}\"", id.port));
        return id.port.parse().map_err(wrong);
    }
    let mut ports = meta::get_list(pod, &["spec", "containers"])
        .iter()
        .filter_map(|container| meta::get_list(container, &["ports"]).first());
    let first = ports.next().and_then(|port| meta::get_i64(port, &["containerPort"]));
    Ok(first.and_then(|port| u16::try_from(port).ok()).unwrap_or(if id.tls { 443 } else { 80 }))
}

/// Addresses that a pod can have: none that means this machine, a link or a group.
fn is_unicast(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(link_local || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

async fn service(call: &Call) -> Result<Place, Status> {
    let invalid = || Status::bad_request(format!("invalid service request \"{}\"", call.name()));
    let id = Id::parse(call.name()).ok_or_else(invalid)?;
    let none =
        || Status::service_unavailable(format!("no endpoints available for service \"{}\"", call.name()));
    let port = match id.port.parse::<i64>() {
        Ok(number) => {
            let entry = get::entry(&call.core, call.kind, call.namespace(), id.name).await?;
            name_of(&objects::decode(&entry)?, number, id.name)?
        }
        Err(_) => id.port.to_owned(),
    };
    let entry = get::entry(&call.core, core_kind("endpoints"), call.namespace(), id.name).await?;
    let endpoints = objects::decode(&entry)?;
    let mut candidates = candidates(&endpoints, &port, call.namespace());
    let start = usize::try_from(kelson_process::random_u64() % candidates.len().max(1) as u64).unwrap_or(0);
    candidates.rotate_left(start);
    for (pod, address) in candidates {
        if has_address(call, &pod, address.ip()).await? {
            return Ok(Place { tls: id.tls, address });
        }
    }
    Err(none())
}

/// The name of the Service's port of that number.
fn name_of(service: &Object, number: i64, name: &str) -> Result<String, Status> {
    let ports = meta::get_list(service, &["spec", "ports"]);
    let port = ports.iter().find(|port| meta::get_i64(port, &["port"]) == Some(number));
    let missing =
        || Status::service_unavailable(format!("no service port {number} found for service \"{name}\""));
    port.map(|port| meta::get_str(port, &["name"]).to_owned()).ok_or_else(missing)
}

/// The ready endpoints of the port of that name that say they are pods of the namespace, with those pods' names.
fn candidates(endpoints: &Object, port: &str, namespace: &str) -> Vec<(String, SocketAddr)> {
    let mut found = Vec::new();
    for subset in meta::get_list(endpoints, &["subsets"]) {
        let ports = meta::get_list(subset, &["ports"]).iter();
        let number = ports
            .filter(|it| meta::get_str(it, &["name"]) == port)
            .find_map(|it| meta::get_i64(it, &["port"]).and_then(|number| u16::try_from(number).ok()));
        let Some(number) = number else { continue };
        for address in meta::get_list(subset, &["addresses"]) {
            let of_pod = meta::get_str(address, &["targetRef", "namespace"]) == namespace;
            let pod = meta::get_str(address, &["targetRef", "name"]);
            let ip: Option<IpAddr> = meta::get_str(address, &["ip"]).parse().ok();
            let ip = ip.filter(|ip| of_pod && !pod.is_empty() && is_unicast(*ip));
            found.extend(ip.map(|ip| (pod.to_owned(), SocketAddr::new(ip, number))));
        }
    }
    found
}

/// Whether the pod is there and has that address.
async fn has_address(call: &Call, pod: &str, address: IpAddr) -> Result<bool, Status> {
    let pod = match get::entry(&call.core, core_kind("pods"), call.namespace(), pod).await {
        Ok(entry) => objects::decode(&entry)?,
        Err(status) if status.code == 404 => return Ok(false),
        Err(status) => return Err(status),
    };
    let is_it = |text: &str| text.parse() == Ok(address);
    let others = meta::get_list(&pod, &["status", "podIPs"]);
    Ok(is_it(meta::get_str(&pod, &["status", "podIP"]))
        || others.iter().any(|one| is_it(meta::get_str(one, &["ip"]))))
}

fn core_kind(plural: &str) -> &'static Kind {
    kelson_registry::resolve("", "v1", plural).expect("a kind of every cluster").0
}

/// A path as it came, cut after `proxy`: what stands before, and what the program is asked for.
fn split(path: &str, segments: usize) -> (&str, &str) {
    let mut end = 0;
    for _ in 0..segments {
        let rest = &path[end..];
        let slashes = rest.len() - rest.trim_start_matches('/').len();
        end += slashes + rest[slashes..].find('/').unwrap_or(rest.len() - slashes);
    }
    path.split_at(end)
}

/// Links of a page count from the last slash of its address, so its root must have one.
fn to_root(request: &Request) -> Response<Body> {
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut answer = response::text(StatusCode::MOVED_PERMANENTLY, "");
    if let Ok(place) = format!("{}/{query}", request.uri().path()).parse() {
        answer.headers_mut().insert(header::LOCATION, place);
    }
    answer
}

#[cfg(test)]
mod tests;
