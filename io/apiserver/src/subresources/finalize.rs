//! PUT `namespaces/<name>/finalize`: who emptied a namespace takes its finalizer away; the last one removes it.

use axum::http::{HeaderMap, StatusCode};
use kelson_machinery::meta;
use serde_json::Value;

use crate::incoming::{self, Options};
use crate::render::View;
use crate::response::{self, Reply};
use crate::state::Call;
use crate::verbs::update::{Mode, change, check_name};

/// Takes `spec.finalizers` from the body, nothing else.
pub(crate) async fn finalize(call: &Call, headers: &HeaderMap, bytes: &[u8]) -> Reply {
    let view = View::of(call)?;
    let options = Options::parse(&call.query, "UpdateOptions")?;
    let object = incoming::object(call, headers, bytes, options.validation)?;
    check_name(call, &object)?;
    let finalizers: Vec<Value> = meta::get_list(&object, &["spec", "finalizers"]).to_vec();
    let version = meta::resource_version(&object).to_owned();
    let stored = change(call, Mode::Internal, options.dry_run, |old| {
        let mut namespace = old.clone();
        meta::set(&mut namespace, &["spec", "finalizers"], finalizers.clone());
        meta::set_resource_version(&mut namespace, &version);
        Ok(namespace)
    })
    .await?;
    Ok(response::encoded(StatusCode::OK, view.encoding, view.bytes(&stored, true)?))
}
