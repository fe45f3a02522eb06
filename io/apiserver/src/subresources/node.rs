//! `pods/<name>/log|exec|attach|portforward`: handed to the router of the node the pod runs on.
//!
//! The user is authorized already, and the node is not shown the credential. The request goes on as it came, upgrade and query included; only its path becomes
//! the kubelet's. Never reads what flows.

use axum::body::Body;
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{Response, StatusCode, Uri, header};
use kelson_machinery::status::Status;
use kelson_machinery::{Object, meta};
use kelson_registry::Subresource;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tower::ServiceExt;

use crate::objects;
use crate::response::{self, Reply};
use crate::state::Call;
use crate::verbs::get;

/// What need not be escaped in a path segment, beyond letters and digits.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Hands the request to the pod's node.
pub(crate) async fn stream(call: &Call, subresource: Subresource, mut request: Request) -> Reply {
    let entry = get::entry(&call.core, call.kind, call.namespace(), call.name()).await?;
    let pod = objects::decode(&entry)?;
    let node = meta::get_str(&pod, &["spec", "nodeName"]);
    if node.is_empty() && subresource == Subresource::Log {
        container(call, &pod)?;
        return Ok(response::text(StatusCode::OK, ""));
    }
    if node.is_empty() {
        return Err(Status::bad_request(format!("pod {} does not have a host assigned", call.name())));
    }
    let path = path(call, subresource, &pod)?;
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{path}{query}").parse::<PathAndQuery>();
    let target = target.map_err(|e| Status::bad_request(format!("invalid query: {e}")))?;
    let Some(router) = call.core.node(node) else {
        return Err(Status::service_unavailable(format!(
            "error dialing backend: node \"{node}\" is not connected"
        )));
    };
    *request.uri_mut() = Uri::from(target);
    request.headers_mut().remove(header::AUTHORIZATION);
    let answer: Response<Body> = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    Ok(answer)
}

fn path(call: &Call, subresource: Subresource, pod: &Object) -> Result<String, Status> {
    let segment = |text: &str| utf8_percent_encode(text, SEGMENT).to_string();
    let (namespace, name) = (segment(call.namespace()), segment(call.name()));
    let with_container = |root: &str| {
        let container = segment(&container(call, pod)?);
        Ok(format!("/{root}/{namespace}/{name}/{container}"))
    };
    match subresource {
        Subresource::Log => with_container("containerLogs"),
        Subresource::Exec => with_container("exec"),
        Subresource::Attach => with_container("attach"),
        Subresource::PortForward => Ok(format!("/portForward/{namespace}/{name}")),
        _ => Err(Status::no_such_resource()),
    }
}

/// The container meant, in upstream's words when it is not clear or not there.
fn container(call: &Call, pod: &Object) -> Result<String, Status> {
    let names = |list: &str| -> Vec<&str> {
        meta::get_list(pod, &["spec", list])
            .iter()
            .map(|container| meta::get_str(container, &["name"]))
            .collect()
    };
    let (main, init, ephemeral) =
        (names("containers"), names("initContainers"), names("ephemeralContainers"));
    let (asked, name) = (call.query.get("container"), call.name());
    if !asked.is_empty() {
        let there = [&main, &init, &ephemeral].iter().any(|list| list.contains(&asked));
        let missing = || Status::bad_request(format!("container {asked} is not valid for pod {name}"));
        return there.then(|| asked.to_owned()).ok_or_else(missing);
    }
    if let [only] = main.as_slice() {
        return Ok((*only).to_owned());
    }
    let mut why =
        format!("a container name must be specified for pod {name}, choose one of: [{}]", main.join(" "));
    if !init.is_empty() {
        why.push_str(&format!(" or one of the init containers: [{}]", init.join(" ")));
    }
    Err(Status::bad_request(why))
}
