//! DELETE of a collection: every selected object, each as a DELETE of its own.

use axum::http::HeaderMap;
use kelson_machinery::meta;

use crate::objects;
use crate::render::View;
use crate::response::Reply;
use crate::selection::Selection;
use crate::state::Call;
use crate::verbs::delete::{DeleteOptions, delete_object};
use crate::verbs::list;

/// Answers with the list of what was deleted, or began to be.
pub(crate) async fn delete_collection(call: &Call, headers: &HeaderMap, bytes: &[u8]) -> Reply {
    let view = View::of(call)?;
    let options = DeleteOptions::parse(headers, bytes, &call.query)?;
    let selection = Selection::parse(call.kind, &call.query)?;
    let page = list::page(call, &selection).await?;
    for entry in &page.entries {
        let object = objects::decode(entry)?;
        match delete_object(call, meta::name(&object), &options).await {
            Err(status) if status.code == 404 => {}
            other => drop(other?),
        }
    }
    list::answer(view, page)
}
