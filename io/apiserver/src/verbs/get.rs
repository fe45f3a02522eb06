//! GET of one object.

use std::sync::Arc;

use axum::http::StatusCode;
use kelson_machinery::status::Status;
use kelson_registry::Kind;
use kelson_store::Entry;

use crate::objects;
use crate::render::View;
use crate::response::{self, Reply};
use crate::state::{Call, Core};
use crate::verbs::list::revision_parameter;

/// The stored entry of one object, or upstream's 404.
pub(crate) async fn entry(
    core: &Core,
    kind: &Kind,
    namespace: &str,
    name: &str,
) -> Result<Arc<Entry>, Status> {
    let found = core.store.get(&objects::key(kind, namespace, name)).await.map_err(objects::store_failure)?;
    found.ok_or_else(|| Status::not_found(&objects::resource(kind), name))
}

/// Answers the object.
pub(crate) async fn get(call: &Call) -> Reply {
    let view = View::of(call)?;
    let asked = revision_parameter(&call.query)?.unwrap_or(0);
    let current = call.core.store.revision();
    if asked > current {
        return Err(Status::too_large_resource_version(asked, current, 1));
    }
    let entry = entry(&call.core, call.kind, call.namespace(), call.name()).await?;
    Ok(response::encoded(StatusCode::OK, view.encoding, view.bytes(&entry.value, true)?))
}
