//! The way of a request: who, what, may they, then to the verb or subresource, and the answer back with its warnings.
//!
//! Invariant: nothing is read or written for a request that is not authorized, and a handler that panics answers 500.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode, header};
use futures_util::FutureExt;
use kelson_machinery::selector::FieldSelector;
use kelson_machinery::status::{Attempt, Status};
use kelson_registry::{Kind, OlderVersion, Subresource};

use crate::authn::User;
use crate::body;
use crate::bootstrap;
use crate::health;
use crate::impersonation;
use crate::metrics::Asked;
use crate::negotiate::{Accept, Shape};
use crate::objects;
use crate::openapi;
use crate::ownership;
use crate::request::{Query, ResourcePath, Verb, query};
use crate::response::{self, Reply};
use crate::reviews;
use crate::state::{Call, Core};
use crate::subresources::{binding, eviction, finalize, node, proxy, scale, token};
use crate::verbs::update::Mode;
use crate::verbs::{create, delete, delete_collection, get, list, patch, update, watch};

/// Marks requests of this process itself, which the limits on requests under way do not count.
#[derive(Clone, Copy)]
pub(crate) struct Local;

type Resolved = (&'static Kind, Option<&'static OlderVersion>);

/// Answers one request. Its user is a request extension.
pub(crate) async fn handle(core: Arc<Core>, request: Request) -> Response<Body> {
    let Some(user) = request.extensions().get::<User>().cloned() else {
        return response::failure(&Status::unauthorized());
    };
    if let Err(error) = core.rights.refresh().await {
        return response::failure(&objects::store_failure(error));
    }
    let user = match impersonation::acting(&core.rights, user, request.headers()) {
        Ok(user) => user,
        Err(status) => return response::failure(&status),
    };
    if let Err(error) = core.rights.refresh_for(&user).await {
        return response::failure(&objects::store_failure(error));
    }
    let path = request.uri().path().to_owned();
    let answer = AssertUnwindSafe(route(core, user, request)).catch_unwind().await;
    answer.unwrap_or_else(|_| {
        tracing::error!(path, "a request handler panicked");
        response::failure(&Status::internal(
            "This request caused apiserver to panic. Look in the logs for details.",
        ))
    })
}

async fn route(core: Arc<Core>, user: User, request: Request) -> Response<Body> {
    match ResourcePath::parse(request.uri().path()) {
        Some(path) => resource(core, user, path, request).await,
        None => plain(&core, &user, &request).unwrap_or_else(|status| response::failure(&status)),
    }
}

/// Paths that are no resource's: health, version, discovery, schemas.
fn plain(core: &Core, user: &User, request: &Request) -> Reply {
    let (path, query) = (request.uri().path(), query(request.uri()));
    let verb = request.method().as_str().to_ascii_lowercase();
    let attempt = Attempt { user: &user.name, verb: &verb, path, ..Attempt::default() };
    core.rights.check(user, &attempt)?;
    if !matches!(verb.as_str(), "get" | "head") {
        return Err(Status::method_not_allowed());
    }
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let (accept, known) = (header(header::ACCEPT), header(header::IF_NONE_MATCH));
    if let Some(answer) = health::answer(core, path, &query) {
        return Ok(answer);
    }
    if let Some(answer) = core.discovery.answer(path, accept, known) {
        return answer;
    }
    if let Some(answer) = openapi::answer(path, accept, known) {
        return answer;
    }
    Ok(match path.trim_end_matches('/') {
        "/version" => health::version(),
        "/metrics" => metrics(core),
        "/openid/v1/jwks" => keys(core),
        "/.well-known/openid-configuration" => issuer(core),
        "" => root(core),
        _ => response::no_such_path(),
    })
}

fn metrics(core: &Core) -> Response<Body> {
    let limits = &core.config.limits;
    let reads = limits.reads_in_flight.saturating_sub(core.reads.available_permits());
    let writes = limits.writes_in_flight.saturating_sub(core.writes.available_permits());
    response::with_type(
        StatusCode::OK,
        "text/plain; version=0.0.4; charset=utf-8",
        Body::from(core.metrics.text(reads, writes, core.store.revision())),
    )
}

/// The keys that tokens of ServiceAccounts are signed with.
fn keys(core: &Core) -> Response<Body> {
    let body = response::to_bytes(&core.bearers.accounts.keys());
    response::with_type(StatusCode::OK, "application/jwk-set+json", Body::from(body))
}

/// Where those keys are found.
fn issuer(core: &Core) -> Response<Body> {
    let address = std::net::SocketAddr::new(core.config.advertise, core.config.listen.port()).to_string();
    response::object(StatusCode::OK, Default::default(), &core.bearers.accounts.configuration(&address))
}

fn root(core: &Core) -> Response<Body> {
    let mut paths: Vec<&str> = core.discovery.paths().collect();
    paths.extend(["/.well-known/openid-configuration", "/healthz", "/livez", "/metrics", "/openapi/v2"]);
    paths.extend(["/openapi/v3", "/openid/v1/jwks", "/readyz", "/version"]);
    paths.sort_unstable();
    response::object(StatusCode::OK, Default::default(), &serde_json::json!({ "paths": paths }))
}

async fn resource(core: Arc<Core>, user: User, path: ResourcePath, request: Request) -> Response<Body> {
    let query = query(request.uri());
    let Some(verb) = Verb::of(request.method(), &path, &query) else {
        return response::failure(&Status::method_not_allowed());
    };
    let resolved = kelson_registry::resolve(&path.group, &path.version, &path.plural);
    let asked = asked(verb, resolved, &path);
    let selected = selected(verb, &query);
    let attempt = Attempt {
        user: &user.name,
        verb: verb.as_str(),
        group: &path.group,
        resource: &path.plural,
        subresource: path.subresource.as_deref().unwrap_or_default(),
        namespace: path.scope(),
        name: path.name.as_deref().or(selected.as_deref()).unwrap_or_default(),
        field_selector: if verb.lists() { query.get("fieldSelector") } else { "" },
        path: request.uri().path(),
    };
    let answer = match core.rights.check(&user, &attempt) {
        Err(status) => {
            if request.extensions().get::<Local>().is_some() {
                tracing::warn!(%status, "a component lacks a right it needs");
            }
            response::failure(&status)
        }
        Ok(()) => match resolved {
            None => response::no_such_path(),
            Some(resolved) => admitted(&core, user, verb, resolved, path, query, request).await,
        },
    };
    core.metrics.answered(asked, answer.status().as_u16());
    answer
}

/// The one name that a list or watch is narrowed to, which rules may allow by name.
fn selected(verb: Verb, query: &Query) -> Option<String> {
    if !verb.lists() || query.get("fieldSelector").is_empty() {
        return None;
    }
    let selector = FieldSelector::parse(query.get("fieldSelector")).ok()?;
    let name = selector.exact("metadata.name")?;
    // A name that no path could carry would pass for another one.
    let usable = !name.contains(['/', '%']) && !matches!(name, "." | "..");
    usable.then(|| name.to_owned())
}

fn asked(verb: Verb, resolved: Option<Resolved>, path: &ResourcePath) -> Asked {
    let Some((kind, older)) = resolved else { return Asked { verb: verb.as_str(), ..Asked::default() } };
    let (group, version) = older.map_or((kind.group, kind.version), |older| (older.group, older.version));
    let below = subresource(kind, path).ok().flatten().map_or("", Subresource::path);
    Asked { verb: verb.as_str(), group, version, resource: kind.plural, subresource: below }
}

/// Within the limits, in time, and with the warnings of the call.
async fn admitted(
    core: &Arc<Core>,
    user: User,
    verb: Verb,
    resolved: Resolved,
    path: ResourcePath,
    query: Query,
    request: Request,
) -> Response<Body> {
    let header = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let accept = match Accept::negotiate(header) {
        Ok(accept) => accept,
        Err(status)
            if matches!(
                path.subresource.as_deref(),
                None | Some("status" | "scale" | "ephemeralcontainers")
            ) =>
        {
            return response::failure(&status);
        }
        Err(_) => Accept::default(),
    };
    let mut call = Call::new(core.clone(), user, resolved, path, query, accept);
    call.writer = ownership::writer(&call.query, request.headers(), &call.user);
    let long = is_long(&call, verb);
    let _permit = match request.extensions().get::<Local>() {
        None if !long => match Core::permit(if verb.reads() { &core.reads } else { &core.writes }) {
            Ok(permit) => Some(permit),
            Err(status) => return response::failure(&status),
        },
        _ => None,
    };
    let work = Box::pin(perform(&call, verb, request));
    let reply = match long {
        true => work.await,
        false => tokio::time::timeout(core.config.limits.request_timeout, work).await.unwrap_or_else(|_| {
            Err(Status::timeout("request did not complete within the allotted timeout", 1))
        }),
    };
    let mut answer = reply.unwrap_or_else(|status| response::failure(&status));
    response::warn(answer.headers_mut(), &call.take_warnings());
    let (user, code) = (call.user.name.as_str(), answer.status().as_u16());
    tracing::debug!(user, verb = verb.as_str(), kind = call.kind.kind, name = call.name(), code, "answered");
    answer
}

/// Whether a request is answered for as long as the client listens.
fn is_long(call: &Call, verb: Verb) -> bool {
    verb == Verb::Watch
        || matches!(
            call.path.subresource.as_deref(),
            Some("log" | "exec" | "attach" | "portforward" | "proxy")
        )
}

/// The subresource a path names; 404 when the kind has none of that name.
fn subresource(kind: &Kind, path: &ResourcePath) -> Result<Option<Subresource>, Status> {
    let Some(name) = path.subresource.as_deref() else { return Ok(None) };
    let known = kind.subresources.iter().copied().find(|known| known.path() == name);
    let known = known.filter(|known| path.rest.is_empty() || *known == Subresource::Proxy);
    known.map(Some).ok_or_else(Status::no_such_resource)
}

async fn perform(call: &Call, verb: Verb, request: Request) -> Reply {
    let (kind, path) = (call.kind, &call.path);
    let below = subresource(kind, path)?;
    let across = path.namespace.is_none() && kind.namespaced;
    if path.namespace.is_some() && !kind.namespaced || across && path.name.is_some() {
        return Ok(response::no_such_path());
    }
    if across && !matches!(verb, Verb::List | Verb::Watch) {
        return Err(Status::method_not_allowed());
    }
    warn_of_age(call);
    let Some(below) = below else {
        let answer = whole(call, verb, request).await?;
        bootstrap::roles::after(call, verb.reads()).await;
        return Ok(answer);
    };
    if !below.verbs().contains(&verb.as_str()) {
        return Err(Status::method_not_allowed());
    }
    part(call, below, verb, request).await
}

/// Deprecated versions and kinds say so in every answer.
fn warn_of_age(call: &Call) {
    if let Some(older) = call.older.filter(|older| !older.warning.is_empty()) {
        call.warn(older.warning);
    }
    if let Some(deprecated) = call.kind.deprecated {
        call.warn(deprecated);
    }
}

/// A verb on objects themselves.
async fn whole(call: &Call, verb: Verb, request: Request) -> Reply {
    if !call.kind.verbs.contains(&verb.as_str()) {
        return Err(Status::method_not_allowed());
    }
    match verb {
        Verb::Get => return get::get(call).await,
        Verb::List => return list::list(call).await,
        Verb::Watch => return watch::watch(call).await,
        _ => {}
    }
    let (parts, body) = request.into_parts();
    let bytes = body::read(body, &call.core.config.limits).await?;
    match verb {
        Verb::Create if call.path.name.is_some() => Err(Status::method_not_allowed()),
        Verb::Create if reviews::is_review(call.kind) => reviews::create(call, &parts.headers, &bytes).await,
        Verb::Create => create::create(call, &parts.headers, &bytes).await,
        Verb::Update if call.path.name.is_none() => Err(Status::method_not_allowed()),
        Verb::Update => update::update(call, &parts.headers, &bytes, Mode::Main).await,
        Verb::Patch if call.path.name.is_none() => Err(Status::method_not_allowed()),
        Verb::Patch => patch::patch(call, &parts.headers, &bytes, Mode::Main).await,
        Verb::Delete => delete::delete(call, &parts.headers, &bytes).await,
        _ => delete_collection::delete_collection(call, &parts.headers, &bytes).await,
    }
}

/// A verb on a subresource.
async fn part(call: &Call, below: Subresource, verb: Verb, request: Request) -> Reply {
    if matches!(below, Subresource::Log | Subresource::Exec | Subresource::Attach | Subresource::PortForward)
    {
        return node::stream(call, below, request).await;
    }
    if below == Subresource::Proxy {
        return proxy::proxy(call, request).await;
    }
    let shows_itself = matches!(below, Subresource::Status | Subresource::EphemeralContainers);
    if call.accept.shape != Shape::Whole && !shows_itself {
        call.accept.plain()?;
    }
    let (parts, body) = request.into_parts();
    let bytes = body::read(body, &call.core.config.limits).await?;
    match (below, verb) {
        (Subresource::Status, Verb::Get) => get::get(call).await,
        (Subresource::Status, Verb::Update) => {
            update::update(call, &parts.headers, &bytes, Mode::Status).await
        }
        (Subresource::Status, Verb::Patch) => patch::patch(call, &parts.headers, &bytes, Mode::Status).await,
        (Subresource::EphemeralContainers, Verb::Get) => get::get(call).await,
        (Subresource::EphemeralContainers, Verb::Update) => {
            update::update(call, &parts.headers, &bytes, Mode::Ephemeral).await
        }
        (Subresource::EphemeralContainers, Verb::Patch) => {
            patch::patch(call, &parts.headers, &bytes, Mode::Ephemeral).await
        }
        (Subresource::Scale, Verb::Get) => scale::get(call).await,
        (Subresource::Scale, Verb::Update) => scale::update(call, &parts.headers, &bytes).await,
        (Subresource::Scale, Verb::Patch) => scale::patch(call, &parts.headers, &bytes).await,
        (Subresource::Binding, Verb::Create) => binding::bind(call, &parts.headers, &bytes).await,
        (Subresource::Eviction, Verb::Create) => eviction::evict(call, &parts.headers, &bytes).await,
        (Subresource::Token, Verb::Create) => token::create(call, &parts.headers, &bytes).await,
        (Subresource::Finalize, Verb::Update) => finalize::finalize(call, &parts.headers, &bytes).await,
        _ => Err(Status::no_such_resource()),
    }
}
