//! PUT, and the loop every change of a stored object goes through: read, make the new one, check, commit if unchanged.
//!
//! Invariant: what is committed was made from exactly what it replaces. A change that changes nothing writes nothing.

use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::status::Status;
use kelson_machinery::{Object, meta};
use kelson_registry::ephemeral;
use kelson_store::{Change, Entry, Expect, Op, StoreError};
use serde_json::Value;

use crate::admission;
use crate::allocation::Claims;
use crate::escalation;
use crate::incoming::{self, Options};
use crate::objects::{self, Encoded};
use crate::ownership;
use crate::quotas;
use crate::render::View;
use crate::response::{self, Reply};
use crate::state::Call;
use crate::verbs::create::{self, Origin};
use crate::verbs::{delete, get};

/// How often a change is made anew because another came first.
const TRIES: usize = 16;

/// Which part of an object a change is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// All but the status.
    Main,
    /// `/status`: all but the spec.
    Status,
    /// `/ephemeralcontainers`: that list of a pod and nothing else.
    Ephemeral,
    /// The server's own subresources, which change what they name and nothing else; not validated as a client's.
    Internal,
}

/// Answers a PUT.
pub(crate) async fn update(call: &Call, headers: &HeaderMap, body: &[u8], mode: Mode) -> Reply {
    let view = View::of(call)?;
    let options = Options::parse(&call.query, "UpdateOptions")?;
    let object = incoming::object(call, headers, body, options.validation)?;
    check_name(call, &object)?;
    let (code, stored) = match change(call, mode, options.dry_run, |_| Ok(object.clone())).await {
        Err(status) if status.code == 404 && creates(call, mode, &object) => {
            (StatusCode::CREATED, create::create_object(call, object, options.dry_run).await?)
        }
        other => (StatusCode::OK, other?),
    };
    Ok(response::encoded(code, view.encoding, view.bytes(&stored, true)?))
}

fn creates(call: &Call, mode: Mode, object: &Object) -> bool {
    call.kind.create_on_update && mode == Mode::Main && meta::resource_version(object).is_empty()
}

/// Whether the object is the one the path names.
pub(crate) fn check_name(call: &Call, object: &Object) -> Result<(), Status> {
    let (name, given) = (call.name(), meta::name(object));
    if given.is_empty() {
        let why =
            format!("the name of the object ({name} based on URL) was undeterminable: name must be provided");
        return Err(Status::bad_request(why));
    }
    if given != name {
        let why = format!("the name of the object ({given}) does not match the name on the URL ({name})");
        return Err(Status::bad_request(why));
    }
    let (namespace, given) = (call.namespace(), meta::namespace(object));
    if !given.is_empty() && given != namespace {
        let why = format!(
            "the namespace of the object ({given}) does not match the namespace on the request ({namespace})"
        );
        return Err(Status::bad_request(why));
    }
    Ok(())
}

/// Changes the call's object to what `make` makes of it; made again when another change came in between.
pub(crate) async fn change(
    call: &Call,
    mode: Mode,
    dry_run: bool,
    make: impl FnMut(&Object) -> Result<Object, Status>,
) -> Result<Bytes, Status> {
    change_from(call, mode, Origin::Written, dry_run, make).await
}

/// [`change`], where what `make` makes may know its owners already.
pub(crate) async fn change_from(
    call: &Call,
    mode: Mode,
    origin: Origin,
    dry_run: bool,
    mut make: impl FnMut(&Object) -> Result<Object, Status>,
) -> Result<Bytes, Status> {
    let mut claims = Claims::new(&call.core, call.kind);
    for _ in 0..TRIES {
        let turn = quotas::turn(call, Some(mode)).await?;
        let entry = get::entry(&call.core, call.kind, call.namespace(), call.name()).await?;
        let old = objects::decode(&entry)?;
        let mut new = settle(call, mode, origin, make(&old)?, &old)?;
        admission::check_change(call, &new, &old).await?;
        let mut changes = claims.update(&mut new, &old).await?;
        changes.extend(turn.charge(&mut new, Some(&old)).await?);
        if new == old {
            return Ok(entry.value.clone());
        }
        if dry_run {
            return Ok(response::to_bytes(&new));
        }
        let done = match is_over(call, &new) {
            true => delete::remove(call, &entry, new).await,
            false => replace(call, &entry, &new, &mut changes).await,
        };
        match done {
            Ok(stored) => return Ok(stored),
            Err(StoreError::Conflict { index: 0, .. }) => {}
            Err(StoreError::Conflict { current, .. }) => claims.heed(current.as_deref()),
            Err(error) => return Err(objects::store_failure(error)),
        }
    }
    Err(Status::modified(&objects::resource(call.kind), call.name()))
}

async fn replace(
    call: &Call,
    entry: &Entry,
    new: &Object,
    changes: &mut Vec<Change>,
) -> Result<Bytes, StoreError> {
    let encoded = Encoded::new(new);
    let expect = Expect::Revision(entry.mod_revision);
    changes.insert(0, Change { key: entry.key.to_string(), expect, op: Op::Put(encoded.encode()) });
    let revision = call.core.store.commit(std::mem::take(changes)).await?;
    Ok(encoded.at(revision))
}

/// Whether an object that was being deleted has nothing left to wait for.
fn is_over(call: &Call, object: &Object) -> bool {
    let waits =
        admission::is_namespace(call.kind) && !meta::get_list(object, &["spec", "finalizers"]).is_empty();
    meta::deletion_timestamp(object).is_some()
        && meta::finalizers(object).is_empty()
        && meta::deletion_grace_period_seconds(object).unwrap_or(0) == 0
        && !waits
}

/// Checks the versions and gives the new object what a client may not change; then the kind's own rules.
fn settle(call: &Call, mode: Mode, origin: Origin, mut new: Object, old: &Object) -> Result<Object, Status> {
    check_versions(call, &mut new, old)?;
    carry(&mut new, old);
    if mode == Mode::Internal {
        ownership::carry(&mut new, old);
        return Ok(new);
    }
    escalation::check(call, &new, Some(old))?;
    admission::node::may_change(call, mode, &new, old)?;
    (call.kind.default)(&mut new);
    match mode {
        Mode::Status => (call.kind.prepare_status_update)(&mut new, old),
        Mode::Ephemeral => ephemeral::prepare(&mut new, old),
        _ => (call.kind.prepare_update)(&mut new, old),
    }
    if origin == Origin::Written {
        ownership::keep(call, mode, Some(old), &mut new);
    }
    let errors = match mode {
        Mode::Status => (call.kind.validate_status_update)(&new, old),
        Mode::Ephemeral => ephemeral::validate(&new, old),
        _ => {
            let mut errors = (call.kind.validate)(&new);
            errors.extend((call.kind.validate_update)(&new, old));
            errors
        }
    };
    if !errors.is_empty() {
        return Err(Status::invalid(&objects::kind_name(call.kind), call.name(), errors));
    }
    (call.kind.warnings)(&new, Some(old)).into_iter().for_each(|warning| call.warn(warning));
    Ok(new)
}

fn check_versions(call: &Call, new: &mut Object, old: &Object) -> Result<(), Status> {
    let resource = objects::resource(call.kind);
    let (given, current) = (meta::uid(new), meta::uid(old));
    if !given.is_empty() && given != current {
        let why = format!("Precondition failed: UID in precondition: {given}, UID in object meta: {current}");
        return Err(Status::conflict(&resource, call.name(), &why));
    }
    let (given, current) = (meta::resource_version(new), meta::resource_version(old));
    match given {
        "" | "0" if !call.kind.unconditional_update => {
            let path = Path::new("metadata").child("resourceVersion");
            let error = FieldError::invalid(&path, 0, "must be specified for an update");
            Err(Status::invalid(&objects::kind_name(call.kind), call.name(), vec![error]))
        }
        "" | "0" => {
            let current = current.to_owned();
            meta::set_resource_version(new, &current);
            Ok(())
        }
        given if given == current => Ok(()),
        _ => Err(Status::modified(&resource, call.name())),
    }
}

/// Metadata that no update changes. A missing namespace is the old one.
fn carry(new: &mut Object, old: &Object) {
    const KEPT: [&str; 5] =
        ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"];
    for field in KEPT {
        match meta::get(old, &["metadata", field]) {
            Some(value) => meta::set(new, &["metadata", field], value.clone()),
            None => drop(meta::remove(new, &["metadata", field])),
        }
    }
    if meta::namespace(new).is_empty() && !meta::namespace(old).is_empty() {
        meta::set_namespace(new, meta::namespace(old));
    }
    meta::remove(new, &["metadata", "selfLink"]);
    if meta::get(new, &["metadata", "finalizers"]).and_then(Value::as_array).is_some_and(Vec::is_empty) {
        meta::remove(new, &["metadata", "finalizers"]);
    }
}
