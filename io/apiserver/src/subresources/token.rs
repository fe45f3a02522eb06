//! POST `serviceaccounts/<name>/token`: a token of the account, for a while and perhaps bound to a pod, Secret or Node.
//!
//! What the token is bound to must exist with the uid that was named; a node gets tokens of its own pods alone.

use axum::http::{HeaderMap, StatusCode};
use jiff::SignedDuration;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::status::{GroupName, Status};
use kelson_machinery::text::quote;
use kelson_machinery::{Object, meta, time};
use serde_json::{Value, json};

use crate::accounts::{Bound, Request};
use crate::admission::INJECTED_SECONDS;
use crate::authz::node_name;
use crate::body;
use crate::incoming::Options;
use crate::objects;
use crate::response::{self, Reply};
use crate::state::Call;
use crate::verbs::create::uid;
use crate::verbs::get;

/// The shortest, the usual and the longest life that may be asked for, seconds.
const SECONDS_MIN: i64 = 600;
const SECONDS: i64 = 3600;
const SECONDS_MAX: i64 = 1 << 32;
/// How long tokens of injected volumes last, so that programs which read theirs once go on working for a while.
const EXTENDED_SECONDS: i64 = 365 * 24 * 3600;

/// Answers with a token.
pub(crate) async fn create(call: &Call, headers: &HeaderMap, bytes: &[u8]) -> Reply {
    Options::parse(&call.query, "CreateOptions")?;
    let mut asked = body::parse(bytes, body::form(headers)?).map_err(Status::bad_request)?;
    check_place(call, &asked)?;
    let entry = get::entry(&call.core, call.kind, call.namespace(), call.name()).await?;
    let account = objects::decode(&entry)?;
    let given = meta::uid(&asked);
    if !given.is_empty() && given != meta::uid(&account) {
        let current = meta::uid(&account);
        let why = format!(
            "the UID in the token request ({given}) does not match the UID of the service account ({current})"
        );
        return Err(Status::conflict(&resource(), call.name(), &why));
    }
    let seconds = meta::get_i64(&asked, &["spec", "expirationSeconds"]).unwrap_or(SECONDS);
    check_life(seconds)?;
    if node_name(&call.user).is_some() {
        check_reference(call, &asked["spec"]["boundObjectRef"])?;
    }
    let bound = bound(call, &asked).await?;
    check_node(call, bound.as_ref())?;
    let audiences = audiences(call, &asked);
    let token = issue(call, &account, bound.as_ref(), &audiences, seconds);
    meta::set(&mut asked, &["spec", "audiences"], audiences);
    meta::set(&mut asked, &["spec", "expirationSeconds"], seconds);
    complete(call, &mut asked, &account, seconds, &token);
    Ok(response::object(StatusCode::CREATED, call.accept.encoding, &asked))
}

fn resource() -> GroupName {
    GroupName::new("authentication.k8s.io", "TokenRequest")
}

fn issue(call: &Call, account: &Object, bound: Option<&Bound>, audiences: &[String], seconds: i64) -> String {
    let accounts = &call.core.bearers.accounts;
    let own = accounts.audiences();
    let injected = matches!(bound, Some(Bound::Pod(..)))
        && seconds == INJECTED_SECONDS
        && audiences.iter().all(|audience| own.contains(audience));
    let (seconds, warn_after) = if injected { (EXTENDED_SECONDS, Some(seconds)) } else { (seconds, None) };
    let id = uid();
    accounts.issue(account, &Request { audiences, seconds, warn_after, bound, now: call.now, id: &id })
}

fn complete(call: &Call, asked: &mut Object, account: &Object, seconds: i64, token: &str) {
    meta::set_type(asked, "authentication.k8s.io/v1", "TokenRequest");
    meta::set_name(asked, call.name());
    meta::set_namespace(asked, call.namespace());
    meta::set_uid(asked, meta::uid(account));
    meta::set_creation_timestamp(asked, &time::seconds(call.now));
    let end = call.now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(jiff::Timestamp::MAX);
    asked["status"] = json!({"token": token, "expirationTimestamp": time::seconds(end)});
}

fn invalid(name: &str, error: FieldError) -> Status {
    Status::invalid(&resource(), name, vec![error])
}

fn check_place(call: &Call, asked: &Object) -> Result<(), Status> {
    let own = [("name", call.name(), "name"), ("namespace", call.namespace(), "namespace")];
    for (field, expected, said) in own {
        let given = meta::get_str(asked, &["metadata", field]);
        if !given.is_empty() && given != expected {
            let at = Path::new("metadata").child(field);
            let why = format!("must match the service account {said} if specified");
            return Err(invalid(call.name(), FieldError::invalid(&at, given, why)));
        }
    }
    Ok(())
}

fn check_life(seconds: i64) -> Result<(), Status> {
    let at = Path::new("spec").child("expirationSeconds");
    let why = match seconds {
        ..SECONDS_MIN => "may not specify a duration less than 10 minutes",
        SECONDS_MIN..=SECONDS_MAX => return Ok(()),
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    Err(invalid("", FieldError::invalid(&at, seconds, why)))
}

fn audiences(call: &Call, asked: &Object) -> Vec<String> {
    let given = meta::get_list(asked, &["spec", "audiences"]).iter().filter_map(Value::as_str);
    let given: Vec<String> = given.map(str::to_owned).collect();
    if given.is_empty() { call.core.bearers.accounts.audiences() } else { given }
}

/// What the token shall be bound to.
async fn bound(call: &Call, asked: &Object) -> Result<Option<Bound>, Status> {
    let reference = &asked["spec"]["boundObjectRef"];
    if !reference.is_object() {
        return Ok(None);
    }
    let text = |field: &str| meta::get_str(reference, &[field]);
    let (kind, name) = (text("kind"), text("name"));
    let (group, version) = meta::split_api_version(text("apiVersion"));
    let object = match (group, kind) {
        ("", "Pod") => find(call, "pods", call.namespace(), name).await?,
        ("", "Secret") => find(call, "secrets", call.namespace(), name).await?,
        ("", "Node") => find(call, "nodes", "", name).await?,
        _ => {
            let shown = format!("{group}/{version}, Kind={kind}");
            return Err(Status::bad_request(format!("cannot bind token to object of type {shown}")));
        }
    };
    let given = text("uid");
    if kind == "Pod" && meta::get_str(&object, &["spec", "serviceAccountName"]) != call.name() {
        let own = quote(call.name());
        let why = format!(
            "cannot bind token for serviceaccount {own} to pod running with different serviceaccount name."
        );
        return Err(Status::bad_request(why));
    }
    if !given.is_empty() && given != meta::uid(&object) {
        let why = format!(
            "the UID in the bound object reference ({given}) does not match the UID in record. The object might have \
             been deleted and then recreated"
        );
        return Err(Status::conflict(&GroupName::new(group, kind), name, &why));
    }
    Ok(Some(match kind {
        "Pod" => {
            let node = node_of(call, &object).await?;
            Bound::Pod(object, node)
        }
        "Secret" => Bound::Secret(object),
        _ => Bound::Node(object),
    }))
}

/// The node a pod runs on; its name alone if there is no such Node.
async fn node_of(call: &Call, pod: &Object) -> Result<Option<Object>, Status> {
    match meta::get_str(pod, &["spec", "nodeName"]) {
        "" => Ok(None),
        name => match find(call, "nodes", "", name).await {
            Ok(node) => Ok(Some(node)),
            Err(status) if status.code == 404 => Ok(Some(json!({"metadata": {"name": name}}))),
            Err(status) => Err(status),
        },
    }
}

async fn find(call: &Call, plural: &str, namespace: &str, name: &str) -> Result<Object, Status> {
    let (kind, _) = kelson_registry::resolve("", "v1", plural).ok_or_else(Status::no_such_resource)?;
    objects::decode(&*get::entry(&call.core, kind, namespace, name).await?)
}

/// Nodes say for which pod they ask.
fn check_reference(call: &Call, reference: &Value) -> Result<(), Status> {
    let text = |field: &str| meta::get_str(reference, &[field]);
    if text("apiVersion") != "v1" || text("kind") != "Pod" || text("name").is_empty() {
        return Err(forbidden(call, "node requested token not bound to a pod"));
    }
    if text("uid").is_empty() {
        return Err(forbidden(call, "node requested token with a pod binding without a uid"));
    }
    Ok(())
}

/// Nodes ask for tokens of the pods they run.
fn check_node(call: &Call, bound: Option<&Bound>) -> Result<(), Status> {
    let Some(node) = node_name(&call.user) else { return Ok(()) };
    match bound {
        Some(Bound::Pod(pod, _)) if meta::get_str(pod, &["spec", "nodeName"]) == node => Ok(()),
        _ => Err(forbidden(call, "node requested token bound to a pod scheduled on a different node")),
    }
}

fn forbidden(call: &Call, why: &str) -> Status {
    Status::forbidden(&objects::resource(call.kind), call.name(), why)
}
