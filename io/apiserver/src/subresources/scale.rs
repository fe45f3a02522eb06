//! `<kind>/<name>/scale`: the `autoscaling/v1` Scale of what has replicas (spec I13).
//!
//! The registry says where a kind keeps its replicas. Changes nothing else.

use axum::http::{HeaderMap, StatusCode};
use kelson_machinery::status::{GroupName, Status};
use kelson_machinery::{Object, meta};
use kelson_registry::scale;
use serde_json::json;

use crate::body;
use crate::incoming::Options;
use crate::objects;
use crate::ownership;
use crate::response::{self, Reply};
use crate::state::Call;
use crate::verbs::apply::{decoded, require_writer};
use crate::verbs::create::Origin;
use crate::verbs::patch::{APPLY, Form, malformed};
use crate::verbs::update::{Mode, change, change_from, check_name};

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
    if body::media_type(headers) == APPLY {
        return state(call, bytes).await;
    }
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

/// Answers an apply of the Scale: its writer owns the replicas from then on, through `scale`.
async fn state(call: &Call, bytes: &[u8]) -> Reply {
    let options = Options::parse(&call.query, "PatchOptions")?;
    require_writer(call)?;
    let force = call.query.flag("force");
    let unreadable = |why| Status::bad_request(format!("error decoding YAML: {why}"));
    let given = body::parse(bytes, body::Form::Yaml).map_err(unreadable)?;
    if meta::api_version(&given) != "autoscaling/v1" {
        let (found, wanted) = (meta::api_version(&given), "autoscaling/v1");
        let why = format!(
            "Incorrect version specified in apply patch. Specified patch version: {found}, expected: {wanted}"
        );
        return Err(Status::bad_request(why));
    }
    let stored = change_from(call, Mode::Main, Origin::Applied, options.dry_run, |old| {
        let scaled = replicas(call, &given, old)?;
        let mut config = json!({"metadata": {"name": call.name(), "namespace": call.namespace()}});
        meta::set_type(&mut config, &call.kind.api_version(), call.kind.kind);
        meta::set(&mut config, &["spec", "replicas"], scaled["spec"]["replicas"].clone());
        decoded(call, ownership::state(call, Mode::Main, Some(old), &config, force)?)
    })
    .await?;
    let object = objects::parse(&stored)?;
    Ok(response::object(StatusCode::OK, call.accept.encoding, &scale::to_scale(&object)))
}

/// The object with the replicas that a Scale asks for.
fn replicas(call: &Call, wanted: &Object, old: &Object) -> Result<Object, Status> {
    if !scale::same_uid(wanted, old) {
        let (given, current) = (meta::uid(wanted), meta::uid(old));
        let why = format!("Precondition failed: UID in precondition: {given}, UID in object meta: {current}");
        return Err(Status::conflict(&objects::resource(call.kind), call.name(), &why));
    }
    let kind = GroupName::new("autoscaling", "Scale");
    scale::from_scale(wanted, old).map_err(|errors| Status::invalid(&kind, call.name(), errors))
}

/// Puts the replicas of the Scale that `make` makes of the current one into the object.
async fn set(call: &Call, dry_run: bool, mut make: impl FnMut(Object) -> Result<Object, Status>) -> Reply {
    let stored =
        change(call, Mode::Main, dry_run, |old| replicas(call, &make(scale::to_scale(old))?, old)).await?;
    let object = objects::parse(&stored)?;
    Ok(response::object(StatusCode::OK, call.accept.encoding, &scale::to_scale(&object)))
}
