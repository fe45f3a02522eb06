//! One page of a list: its items one by one out of its text.
//!
//! Part of `reflect`. An item that is not what its kind says is logged and left out; the others count. Each is read from
//! where it stands, so there is one reader of a kind, whether it comes in a list or in a watch.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::warn;

use super::object::{Any, Read};

/// What a page holds.
pub(super) struct Page {
    /// The version of the list.
    pub version: String,
    /// Where the next page starts; `None` on the last.
    pub continue_token: Option<String>,
    pub items: Vec<Arc<Any>>,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(default)]
    metadata: Metadata,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: Option<String>,
    r#continue: Option<String>,
}

impl Page {
    /// The page that `text` is. Errors: it is no list.
    pub fn read(text: &str, read: Read, url: &str) -> serde_json::Result<Self> {
        let list: List = serde_json::from_str(text)?;
        let items =
            list.items.unwrap_or_default().into_iter().filter_map(|item| object(item.get(), read, url));
        Ok(Self {
            items: items.collect(),
            version: list.metadata.resource_version.unwrap_or_default(),
            continue_token: list.metadata.r#continue.filter(|token| !token.is_empty()),
        })
    }
}

fn object(text: &str, read: Read, url: &str) -> Option<Arc<Any>> {
    match read(text) {
        Ok(object) => Some(object.object),
        Err(error) => {
            let name = name(text).unwrap_or_default();
            warn!(url, name, %error, "an object that cannot be decoded is left out");
            None
        }
    }
}

fn name(text: &str) -> Option<String> {
    let parts = kelson_machinery::partial::Parts::of(["metadata.name"]);
    let object = kelson_machinery::partial::read(text.as_bytes(), &parts).ok()?;
    Some(kelson_machinery::meta::name(&object).to_owned())
}
