//! PATCH with `application/apply-patch+yaml`: a writer states all the fields it wants, and owns those.
//!
//! Invariant: the configuration's own words are what is owned; types are checked on a decoded copy.

use axum::http::StatusCode;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::status::{GroupName, Reason, Status};
use kelson_machinery::{Object, meta};

use crate::body;
use crate::incoming::{self, Options};
use crate::objects;
use crate::ownership;
use crate::render::View;
use crate::response::{self, Reply};
use crate::state::Call;
use crate::verbs::create::{self, Origin};
use crate::verbs::update::{self, Mode};

/// Answers an apply: 201 where it made the object.
pub(crate) async fn apply(call: &Call, bytes: &[u8], mode: Mode) -> Reply {
    let view = View::of(call)?;
    let options = Options::parse(&call.query, "PatchOptions")?;
    require_writer(call)?;
    let force = call.query.flag("force");
    let config = read(call, bytes)?;
    let stated = |live: Option<&Object>| decoded(call, ownership::state(call, mode, live, &config, force)?);
    let changed =
        update::change_from(call, mode, Origin::Applied, options.dry_run, |old| stated(Some(old))).await;
    let (code, stored) = match changed {
        Err(status) if status.code == 404 && mode == Mode::Main => {
            if !meta::uid(&config).is_empty() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {}, and no existing object was found",
                    meta::uid(&config)
                );
                return Err(Status::conflict(&objects::resource(call.kind), call.name(), &why));
            }
            let object = stated(None)?;
            let stored = create::create_from(call, Origin::Applied, object, options.dry_run).await?;
            (StatusCode::CREATED, stored)
        }
        other => (StatusCode::OK, other?),
    };
    Ok(response::encoded(code, view.encoding, view.bytes(&stored, true)?))
}

/// Whoever applies says who is applying.
pub(crate) fn require_writer(call: &Call) -> Result<(), Status> {
    if !call.query.get("fieldManager").is_empty() {
        return Ok(());
    }
    let error = FieldError::required(&Path::new("fieldManager"), "is required for apply patch");
    Err(Status::invalid(&GroupName::new("meta.k8s.io", "PatchOptions"), "", vec![error]))
}

/// The configuration, as its writer wrote it but for its version and place.
fn read(call: &Call, bytes: &[u8]) -> Result<Object, Status> {
    let mut config = body::parse(bytes, body::Form::Yaml)
        .map_err(|why| Status::bad_request(format!("error decoding YAML: {why}")))?;
    if !config.is_object() {
        return Err(Status::bad_request("error decoding YAML: an object is expected"));
    }
    if meta::get(&config, &["metadata", "managedFields"]).is_some_and(|owners| !owners.is_null()) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let (given, expected) = (meta::api_version(&config), incoming::api_version(call));
    if given != expected {
        let why = format!(
            "Incorrect version specified in apply patch. Specified patch version: {given}, expected: {expected}"
        );
        return Err(Status::bad_request(why));
    }
    if meta::name(&config).is_empty() {
        meta::set_name(&mut config, call.name());
    }
    update::check_name(call, &config)?;
    if call.kind.namespaced && meta::namespace(&config).is_empty() {
        meta::set_namespace(&mut config, call.namespace());
    }
    if let Some(older) = call.older {
        (older.to_current)(&mut config);
        meta::set_type(&mut config, &call.kind.api_version(), call.kind.kind);
    }
    check_types(call, &config)?;
    Ok(config)
}

/// Refuses fields the type does not have and values of other types.
fn check_types(call: &Call, config: &Object) -> Result<(), Status> {
    let name = match meta::namespace(config) {
        "" => format!("/{}", meta::name(config)),
        namespace => format!("{namespace}/{}", meta::name(config)),
    };
    let failed = |why: String| {
        let (version, kind) = (call.kind.api_version(), call.kind.kind);
        let why = format!("failed to create typed patch object ({name}; {version}, Kind={kind}): {why}");
        Status::new(500, Reason::Unknown, why)
    };
    let decoded = (call.kind.decode)(config.clone()).map_err(|error| failed(error.cause))?;
    match decoded.unknown.as_slice() {
        [] => Ok(()),
        unknown => {
            let (schema, shape) = kelson_registry::schema::shape(call.kind);
            let undeclared = |path: &String| {
                let shown = kelson_machinery::apply::shown(schema, &shape, config, path);
                format!("{shown}: field not declared in schema")
            };
            let lines: Vec<String> = unknown.iter().map(undeclared).collect();
            Err(failed(match lines.as_slice() {
                [only] => only.clone(),
                lines => format!("errors:\n  {}", lines.join("\n  ")),
            }))
        }
    }
}

/// The object as its type has it.
pub(crate) fn decoded(call: &Call, object: Object) -> Result<Object, Status> {
    let decoded = (call.kind.decode)(object).map_err(|error| Status::bad_request(error.to_string()))?;
    Ok(decoded.object)
}
