//! PATCH: JSON patch, merge patch and strategic merge patch, applied to the object in the version the client speaks.
//!
//! What is no change to an object but a statement of it (server-side apply) goes to [`super::apply`].

use axum::http::{HeaderMap, StatusCode};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::patch::{PatchError, json_patch, merge_patch, strategic_merge};
use kelson_machinery::status::{GroupName, Status};
use kelson_machinery::{Object, meta};
use serde_json::Value;

use crate::body;
use crate::incoming::{self, Options, Validation};
use crate::render::View;
use crate::response::{self, Reply};
use crate::state::Call;
use crate::verbs::update::{self, Mode};

/// The media types of patches we take.
const ACCEPTED: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    APPLY,
];
/// The media type of an apply.
pub(crate) const APPLY: &str = "application/apply-patch+yaml";

/// How a patch is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Merge,
    Strategic,
}

impl Form {
    /// By `Content-Type`; upstream's 415 for any other.
    pub fn of(headers: &HeaderMap) -> Result<Self, Status> {
        match body::media_type(headers) {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic),
            _ => Err(Status::unsupported_media_type(&ACCEPTED)),
        }
    }

    /// Applies a patch to a value of this kind.
    pub fn apply(
        self,
        target: &mut Value,
        patch: &Value,
        keys: &dyn kelson_machinery::patch::MergeKeys,
    ) -> Result<(), PatchError> {
        match self {
            Self::Json => json_patch(target, patch),
            Self::Merge if !patch.is_object() => {
                Err(PatchError::Malformed("a merge patch must be a JSON object".into()))
            }
            Self::Merge => {
                merge_patch(target, patch);
                Ok(())
            }
            Self::Strategic => strategic_merge(target, patch.clone(), keys),
        }
    }
}

/// Answers a PATCH.
pub(crate) async fn patch(call: &Call, headers: &HeaderMap, bytes: &[u8], mode: Mode) -> Reply {
    if body::media_type(headers) == APPLY {
        return super::apply::apply(call, bytes, mode).await;
    }
    let view = View::of(call)?;
    let form = Form::of(headers)?;
    let options = Options::parse(&call.query, "PatchOptions")?;
    refuse_force(call)?;
    let (patch, repeated) =
        incoming::parse(bytes, body::Form::Json).map_err(|why| Status::bad_request(malformed(&why)))?;
    let stored = update::change(call, mode, options.dry_run, |old| {
        let mut target = view.converted(old.clone());
        form.apply(&mut target, &patch, &call.kind.merge).map_err(|error| error.status())?;
        patched(call, target, &repeated, options.validation, bytes)
    })
    .await?;
    Ok(response::encoded(StatusCode::OK, view.encoding, view.bytes(&stored, true)?))
}

/// Only an apply can take fields by force.
fn refuse_force(call: &Call) -> Result<(), Status> {
    if call.query.find("force").is_none_or(str::is_empty) {
        return Ok(());
    }
    let error = FieldError::forbidden(&Path::new("force"), "may not be specified for non-apply patch");
    Err(Status::invalid(&GroupName::new("meta.k8s.io", "PatchOptions"), "", vec![error]))
}

/// The parser's own words, in the sentence a patch's author reads.
pub(crate) fn malformed(why: &str) -> String {
    let why = why.strip_prefix("couldn't get version/kind; json parse error: ").unwrap_or(why);
    format!("error decoding patch: {why}")
}

/// What came out of a patch, decoded and judged.
fn patched(
    call: &Call,
    target: Object,
    repeated: &[String],
    validation: Validation,
    bytes: &[u8],
) -> Result<Object, Status> {
    let version = meta::resource_version(&target).to_owned();
    let (mut object, errors) = incoming::decode(call, target, repeated.to_vec())?;
    if !version.is_empty() {
        meta::set_resource_version(&mut object, &version);
    }
    incoming::judge(call, errors, validation, |why| {
        let error =
            FieldError::invalid(&Path::new("patch"), String::from_utf8_lossy(bytes).into_owned(), why);
        Status::invalid(&GroupName::default(), "", vec![error])
    })?;
    Ok(object)
}
