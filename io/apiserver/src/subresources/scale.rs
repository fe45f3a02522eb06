//! `<kind>/<name>/scale`: the `autoscaling/v1` Scale of what has replicas (spec I13).
//!
//! The registry says where a kind keeps its replicas. Changes nothing else.

use axum::http::{HeaderMap, StatusCode};
use kelson_machinery::status::{GroupName, Status};
use kelson_machinery::{Object, meta};
use kelson_registry::scale;

use crate::body;
use crate::incoming::Options;
use crate::objects;
use crate::response::{self, Reply};
use crate::state::Call;
use crate::verbs::patch::{Form, malformed};
use crate::verbs::update::{Mode, change, check_name};

/// Answers the Scale.
pub(crate) async fn get(call: &Call) -> Reply {
    let entry = crate::verbs::get::entry(&call.core, call.kind, call.namespace(), call.name()).await?;
    let object = objects::decode(&entry)?;
    Ok(response::object(StatusCode::OK, call.accept.encoding, &scale::to_scale(&object)))
}

/// Answers a PUT of the Scale.
pub(crate) async fn update(call: &Call, headers: &HeaderMap, bytes: &[u8]) -> Reply {
    let options = Options::parse(&call.query, "UpdateOptions")?;
    let given = body::parse(bytes, body::form(headers)?).map_err(Status::bad_request)?;
    check_name(call, &given)?;
    set(call, options.dry_run, |_| Ok(given.clone())).await
}

/// Answers a PATCH of the Scale.
pub(crate) async fn patch(call: &Call, headers: &HeaderMap, bytes: &[u8]) -> Reply {
    let form = Form::of(headers)?;
    let options = Options::parse(&call.query, "PatchOptions")?;
    let patch = crate::incoming::parse(bytes, body::Form::Json);
    let (patch, _) = patch.map_err(|why| Status::bad_request(malformed(&why)))?;
    set(call, options.dry_run, |mut current| {
        let merged = form.apply(&mut current, &patch, &|_: &[&str]| Default::default());
        merged.map(|()| current).map_err(|error| error.status())
    })
    .await
}

/// Puts the replicas of the Scale that `make` makes of the current one into the object.
async fn set(call: &Call, dry_run: bool, mut make: impl FnMut(Object) -> Result<Object, Status>) -> Reply {
    let stored = change(call, Mode::Main, dry_run, |old| {
        let wanted = make(scale::to_scale(old))?;
        if !scale::same_uid(&wanted, old) {
            let (given, current) = (meta::uid(&wanted), meta::uid(old));
            let why =
                format!("Precondition failed: UID in precondition: {given}, UID in object meta: {current}");
            return Err(Status::conflict(&objects::resource(call.kind), call.name(), &why));
        }
        let kind = GroupName::new("autoscaling", "Scale");
        scale::from_scale(&wanted, old).map_err(|errors| Status::invalid(&kind, call.name(), errors))
    })
    .await?;
    let object = objects::parse(&stored)?;
    Ok(response::object(StatusCode::OK, call.accept.encoding, &scale::to_scale(&object)))
}
