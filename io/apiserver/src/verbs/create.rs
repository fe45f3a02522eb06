//! POST to a collection: name, metadata, defaults, validation, allocation, one commit.
//!
//! Invariant: an address or port an object holds is claimed in the commit that stores the object.

use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use kelson_machinery::status::Status;
use kelson_machinery::{Object, meta, names, time};
use kelson_store::{Change, Expect, Op, StoreError};

use crate::admission;
use crate::allocation::Claims;
use crate::incoming::{self, Options};
use crate::objects::{self, Encoded};
use crate::ownership;
use crate::quotas;
use crate::render::View;
use crate::response::{self, Reply};
use crate::state::Call;
use crate::verbs::update::Mode;

/// Names tried for one `generateName`, as upstream.
const NAMES_TRIED: usize = 8;
/// Allocations tried for one object before giving up.
pub(crate) const ALLOCATIONS_TRIED: usize = 64;

/// Answers a create.
pub(crate) async fn create(call: &Call, headers: &HeaderMap, body: &[u8]) -> Reply {
    let view = View::of(call)?;
    let options = Options::parse(&call.query, "CreateOptions")?;
    let object = incoming::object(call, headers, body, options.validation)?;
    let stored = create_object(call, object, options.dry_run).await?;
    Ok(response::encoded(StatusCode::CREATED, view.encoding, view.bytes(&stored, true)?))
}

/// How an object came to say what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// By an ordinary write: whoever wrote owns what is new.
    Written,
    /// By an apply: its owners are settled.
    Applied,
}

/// Creates a decoded object in the call's namespace; the answer is its bytes.
pub(crate) async fn create_object(call: &Call, object: Object, dry_run: bool) -> Result<Bytes, Status> {
    create_from(call, Origin::Written, object, dry_run).await
}

/// [`create_object`], where the object may know its owners already.
pub(crate) async fn create_from(
    call: &Call,
    origin: Origin,
    mut object: Object,
    dry_run: bool,
) -> Result<Bytes, Status> {
    place(call, &mut object)?;
    admission::namespace_accepts(call, meta::name(&object)).await?;
    if !matches!(meta::resource_version(&object), "" | "0") {
        let why = "resourceVersion should not be set on objects to be created";
        return Err(Status::new(500, kelson_machinery::Reason::Unknown, why));
    }
    let generated = meta::name(&object).is_empty() && !meta::generate_name(&object).is_empty();
    if !generated {
        return store(call, origin, object, dry_run).await;
    }
    let base = meta::generate_name(&object).to_string();
    let mut last = Status::generate_name_conflict(&objects::resource(call.kind), &base, 1);
    for _ in 0..NAMES_TRIED {
        let name = names::generate_name(&base, kelson_process::random_u64());
        let mut named = object.clone();
        meta::set_name(&mut named, &name);
        match store(call, origin, named, dry_run).await {
            Err(status) if status.reason == kelson_machinery::Reason::AlreadyExists => {
                last = Status::generate_name_conflict(&objects::resource(call.kind), &name, 1);
            }
            other => return other,
        }
    }
    Err(last)
}

/// Puts the object where the path says, or refuses one that says otherwise.
pub(crate) fn place(call: &Call, object: &mut Object) -> Result<(), Status> {
    let given = meta::namespace(object);
    if given.is_empty() && call.kind.namespaced {
        meta::set_namespace(object, call.namespace());
    } else if given != call.namespace() {
        let why = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Status::bad_request(why));
    }
    Ok(())
}

/// Gives the object what only the server sets, checks it and commits it with its claims.
async fn store(call: &Call, origin: Origin, mut object: Object, dry_run: bool) -> Result<Bytes, Status> {
    for field in ["resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        meta::remove(&mut object, &["metadata", field]);
    }
    admission::complete(call, &mut object).await?;
    (call.kind.default)(&mut object);
    meta::set_uid(&mut object, &uid());
    (call.kind.prepare_create)(&mut object);
    meta::set_creation_timestamp(&mut object, &time::seconds(call.now));
    if origin == Origin::Written {
        ownership::keep(call, Mode::Main, None, &mut object);
    }
    let errors = (call.kind.validate)(&object);
    if !errors.is_empty() {
        return Err(Status::invalid(&objects::kind_name(call.kind), meta::name(&object), errors));
    }
    (call.kind.warnings)(&object, None).into_iter().for_each(|warning| call.warn(warning));
    admission::limits::check(call, &object, None).await?;
    commit(call, object, dry_run).await
}

async fn commit(call: &Call, object: Object, dry_run: bool) -> Result<Bytes, Status> {
    let exists = || Status::already_exists(&objects::resource(call.kind), meta::name(&object));
    let key = objects::key(call.kind, meta::namespace(&object), meta::name(&object));
    let mut claims = Claims::new(&call.core, call.kind);
    // What it asks for may be held by the very object that is there: that one is what the client is told of.
    if call.core.store.get(&key).await.map_err(objects::store_failure)?.is_some() {
        return Err(exists());
    }
    for _ in 0..ALLOCATIONS_TRIED {
        let turn = quotas::turn(call, None).await?;
        let mut allocated = object.clone();
        let mut changes = claims.create(&mut allocated).await?;
        changes.extend(turn.charge(&mut allocated, None).await?);
        let encoded = Encoded::new(&allocated);
        if dry_run {
            return Ok(response::to_bytes(&allocated));
        }
        changes.insert(0, Change { key: key.clone(), expect: Expect::Absent, op: Op::Put(encoded.encode()) });
        match call.core.store.commit(changes).await {
            Ok(revision) => return Ok(encoded.at(revision)),
            Err(StoreError::Conflict { index: 0, .. }) => return Err(exists()),
            Err(StoreError::Conflict { current, .. }) => claims.heed(current.as_deref()),
            Err(error) => return Err(objects::store_failure(error)),
        }
    }
    Err(Status::server_timeout(&objects::resource(call.kind), "create", 1))
}

/// A random (version 4) UUID.
pub(crate) fn uid() -> String {
    let (high, low) = (kelson_process::random_u64(), kelson_process::random_u64());
    let high = (high & !0xf000) | 0x4000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    let (time, rest) = (high >> 32, high & 0xffff_ffff);
    format!(
        "{time:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        rest >> 16,
        rest & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}
