//! POST `pods/<name>/eviction`: a deletion that disruption budgets may refuse. There are no budgets yet.

use axum::http::{HeaderMap, StatusCode};
use kelson_machinery::status::Status;
use kelson_machinery::{Object, meta};
use serde_json::{Value, json};

use crate::body;
use crate::response::{self, Reply};
use crate::state::Call;
use crate::verbs::delete::{DeleteOptions, delete_object};

/// Evicts the pod the path names.
pub(crate) async fn evict(call: &Call, headers: &HeaderMap, bytes: &[u8]) -> Reply {
    let eviction: Object = body::parse(bytes, body::form(headers)?).map_err(Status::bad_request)?;
    let given = meta::name(&eviction);
    if !given.is_empty() && given != call.name() {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    let options = match eviction.get("deleteOptions") {
        None | Some(Value::Null) => DeleteOptions::parse(headers, b"", &call.query)?,
        Some(options) => {
            DeleteOptions::parse(&HeaderMap::new(), options.to_string().as_bytes(), &call.query)?
        }
    };
    delete_object(call, call.name(), &options).await?;
    let done =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(response::object(StatusCode::CREATED, call.accept.encoding, &done))
}
