//! From a request's bytes to a decoded object of today's version: type checks, older versions, strict decoding (spec I9).
//!
//! Never looks at what is stored.

use axum::http::HeaderMap;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::status::{GroupName, Status};
use kelson_machinery::{Object, meta, strict};
use kelson_registry::OlderVersion;

use crate::body::{self, Form};
use crate::request::Query;
use crate::state::Call;

/// What becomes of fields the type does not have (`fieldValidation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validation {
    Ignore,
    Warn,
    Strict,
}

/// The options every write takes from its query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Do everything but store it.
    pub dry_run: bool,
    pub validation: Validation,
}

impl Options {
    /// Parses the query; `kind` (`CreateOptions`, …) names them in upstream's 422.
    pub fn parse(query: &Query, kind: &str) -> Result<Self, Status> {
        let invalid = |error| Status::invalid(&GroupName::new("meta.k8s.io", kind), "", vec![error]);
        let dry_run = match query.get("dryRun") {
            "" => false,
            "All" => true,
            other => return Err(invalid(FieldError::not_supported(&Path::new("dryRun"), other, ["All"]))),
        };
        let name = query.get("fieldManager");
        if name.len() > crate::ownership::NAME_BYTES_MAX {
            let error = FieldError::too_long(&Path::new("fieldManager"), crate::ownership::NAME_BYTES_MAX);
            return Err(invalid(error));
        }
        if name.chars().any(char::is_control) {
            let detail = "should only contain printable characters";
            return Err(invalid(FieldError::invalid(&Path::new("fieldManager"), name, detail)));
        }
        let validation = match query.get("fieldValidation") {
            "Ignore" => Validation::Ignore,
            "" | "Warn" => Validation::Warn,
            "Strict" => Validation::Strict,
            other => {
                let path = Path::new("fieldValidation");
                return Err(invalid(FieldError::not_supported(
                    &path,
                    other,
                    ["", "Ignore", "Strict", "Warn"],
                )));
            }
        };
        Ok(Self { dry_run, validation })
    }
}

/// The client's version of the call's kind.
pub(crate) fn api_version(call: &Call) -> String {
    call.older.map_or_else(|| call.kind.api_version(), OlderVersion::api_version)
}

/// Reads an object of the call's kind from a body.
pub(crate) fn object(
    call: &Call,
    headers: &HeaderMap,
    bytes: &[u8],
    validation: Validation,
) -> Result<Object, Status> {
    let (value, repeated) =
        parse(bytes, body::form(headers)?).map_err(|why| unrecognized(call, &why, bytes))?;
    check_type(call, &value)?;
    let (object, errors) = decode(call, value, repeated)?;
    judge(call, errors, validation, |why| cannot_handle(call, &why))?;
    Ok(object)
}

/// A body to a value and the keys that came twice.
pub(crate) fn parse(bytes: &[u8], form: Form) -> Result<(Object, Vec<String>), String> {
    match form {
        Form::Json => {
            strict::parse(bytes).map_err(|e| format!("couldn't get version/kind; json parse error: {e}"))
        }
        _ => body::parse(bytes, form).map(|value| (value, Vec::new())),
    }
}

/// Brings a value of the client's version to a decoded object of today's; also says what strict decoding minds.
pub(crate) fn decode(
    call: &Call,
    mut value: Object,
    mut errors: Vec<String>,
) -> Result<(Object, Vec<String>), Status> {
    if let Some(older) = call.older {
        (older.to_current)(&mut value);
    }
    let decoded = (call.kind.decode)(value).map_err(|mut error| {
        error.api_version = api_version(call);
        Status::bad_request(error.to_string())
    })?;
    errors.extend(decoded.unknown.iter().map(|path| format!("unknown field \"{path}\"")));
    Ok((decoded.object, errors))
}

/// Refuses, warns or ignores, as the client chose. `refuse` puts upstream's sentence around the strict error.
pub(crate) fn judge(
    call: &Call,
    errors: Vec<String>,
    validation: Validation,
    refuse: impl FnOnce(String) -> Status,
) -> Result<(), Status> {
    match validation {
        _ if errors.is_empty() => Ok(()),
        Validation::Ignore => Ok(()),
        Validation::Strict => Err(refuse(strict::message(&errors))),
        Validation::Warn => {
            errors.into_iter().for_each(|error| call.warn(error));
            Ok(())
        }
    }
}

/// Whether a document's `apiVersion` and `kind` are the path's. Absent ones are taken to be.
fn check_type(call: &Call, value: &Object) -> Result<(), Status> {
    let (expected, given) = (api_version(call), meta::api_version(value));
    let kind = meta::kind(value);
    if !given.is_empty() && !kind.is_empty() {
        let (group, version) = meta::split_api_version(given);
        if kelson_registry::by_kind(group, version, kind).is_none() {
            let known = if group.is_empty() { version } else { given };
            let why = format!(
                "no kind \"{kind}\" is registered for version \"{known}\" in scheme \"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30\""
            );
            return Err(mismatch(kind, version, call.kind.kind, &why));
        }
    }
    if !given.is_empty() && given != expected {
        let why = format!(
            "the API version in the data ({given}) does not match the expected API version ({expected})"
        );
        return Err(Status::bad_request(why));
    }
    if !kind.is_empty() && kind != call.kind.kind {
        let (group, version) = meta::split_api_version(&expected);
        let internal = if group.is_empty() { "core" } else { group.split('.').next().unwrap_or(group) };
        let why =
            format!("converting ({version}.{kind}) to ({internal}.{}): unknown conversion", call.kind.kind);
        return Err(mismatch(kind, version, call.kind.kind, &why));
    }
    Ok(())
}

fn mismatch(kind: &str, version: &str, expected: &str, why: &str) -> Status {
    Status::bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {expected}: {why}"))
}

fn cannot_handle(call: &Call, why: &str) -> Status {
    let api_version = api_version(call);
    let (_, version) = meta::split_api_version(&api_version);
    mismatch(call.kind.kind, version, call.kind.kind, why)
}

fn unrecognized(call: &Call, why: &str, bytes: &[u8]) -> Status {
    let kind = call.kind.kind;
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): {why} ({})",
        summary(bytes)
    ))
}

/// The beginning of a body that could not be read, as upstream shows it: text if it might be JSON, else hex.
fn summary(bytes: &[u8]) -> String {
    const SHOWN: usize = 30;
    let (head, dots) = match bytes.get(..SHOWN) {
        Some(head) if bytes.len() > SHOWN => (head, " ..."),
        _ => (bytes, ""),
    };
    match bytes.first() {
        None => "<empty>".into(),
        Some(b'{') => format!("{}{dots}", String::from_utf8_lossy(head)),
        Some(_) => format!("{}{dots}", head.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

#[cfg(test)]
mod tests;
