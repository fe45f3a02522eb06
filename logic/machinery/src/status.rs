//! The API's answer when it is not an object: `Status`, with upstream's exact messages.
//!
//! Every failed request ends here, and here only. Never carries more than the request's own words back.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::field::FieldError;
use crate::text::{aggregate, quote};

/// What an update that lost the race is told (upstream's `OptimisticLockErrorMsg`).
pub const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// The machine-readable reason of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the API's own")]
pub enum Reason {
    Unknown,
    Unauthorized,
    Forbidden,
    NotFound,
    AlreadyExists,
    Conflict,
    Gone,
    Invalid,
    ServerTimeout,
    Timeout,
    TooManyRequests,
    BadRequest,
    MethodNotAllowed,
    NotAcceptable,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    InternalError,
    Expired,
    ServiceUnavailable,
}

impl Reason {
    /// The API's spelling; empty for `Unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::Gone => "Gone",
            Self::Invalid => "Invalid",
            Self::ServerTimeout => "ServerTimeout",
            Self::Timeout => "Timeout",
            Self::TooManyRequests => "TooManyRequests",
            Self::BadRequest => "BadRequest",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotAcceptable => "NotAcceptable",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::InternalError => "InternalError",
            Self::Expired => "Expired",
            Self::ServiceUnavailable => "ServiceUnavailable",
        }
    }
}

/// A resource as messages name it: `pods`, or `deployments.apps` outside the core group. Also used for kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupName {
    /// The API group; empty for core.
    pub group: String,
    /// The plural resource (or the kind, where upstream names the kind).
    pub name: String,
}

impl GroupName {
    /// `name` in `group`.
    pub fn new(group: &str, name: &str) -> Self {
        Self { group: group.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group.as_str() {
            "" => f.write_str(&self.name),
            group => write!(f, "{}.{group}", self.name),
        }
    }
}

/// One entry of `details.causes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Machine-readable; may be empty.
    pub reason: String,
    /// For people.
    pub message: String,
    /// The field, if one is to blame; may be empty.
    pub field: String,
}

/// `status.details`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The object's name.
    pub name: String,
    /// The object's group.
    pub group: String,
    /// The resource's plural, or the kind for `Invalid`.
    pub kind: String,
    /// The object's uid.
    pub uid: String,
    /// What is to blame.
    pub causes: Vec<Cause>,
    /// When to try again, seconds; 0 says nothing.
    pub retry_after_seconds: u32,
}

/// A `v1` Status of a failure (or, with code 200, a success).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The HTTP status code.
    pub code: u16,
    /// Why, for machines.
    pub reason: Reason,
    /// Why, for people.
    pub message: String,
    /// What about; `None` leaves it out.
    pub details: Option<Box<Details>>,
}

impl Status {
    /// A failure without details.
    pub fn new(code: u16, reason: Reason, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    fn about(mut self, resource: &GroupName, name: &str) -> Self {
        let details = Details {
            group: resource.group.clone(),
            kind: resource.name.clone(),
            name: name.to_owned(),
            ..Details::default()
        };
        self.details = Some(Box::new(details));
        self
    }

    /// With a hint when to try again.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.details.get_or_insert_default().retry_after_seconds = seconds;
        self
    }

    /// With a cause added.
    pub fn cause(mut self, reason: &str, message: &str, field: &str) -> Self {
        let cause = Cause { reason: reason.to_owned(), message: message.to_owned(), field: field.to_owned() };
        self.details.get_or_insert_default().causes.push(cause);
        self
    }

    /// `pods "x" not found`.
    pub fn not_found(resource: &GroupName, name: &str) -> Self {
        Self::new(404, Reason::NotFound, format!("{resource} {} not found", quote(name)))
            .about(resource, name)
    }

    /// `the server could not find the requested resource`: no such path or kind.
    pub fn no_such_resource() -> Self {
        let status = Self::new(404, Reason::NotFound, "the server could not find the requested resource");
        // Clients look into the details of every such answer.
        Self { details: Some(Box::default()), ..status }
    }

    /// `services "x" already exists`.
    pub fn already_exists(resource: &GroupName, name: &str) -> Self {
        Self::new(409, Reason::AlreadyExists, format!("{resource} {} already exists", quote(name)))
            .about(resource, name)
    }

    /// A generated name was taken even after several attempts.
    pub fn generate_name_conflict(resource: &GroupName, name: &str, retry_after_seconds: u32) -> Self {
        let message = format!(
            "{resource} {} already exists, the server was not able to generate a unique name for the object",
            quote(name)
        );
        Self::new(409, Reason::AlreadyExists, message).about(resource, name).retry_after(retry_after_seconds)
    }

    /// `Operation cannot be fulfilled on deployments.apps "x": why`.
    pub fn conflict(resource: &GroupName, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} {}: {why}", quote(name));
        Self::new(409, Reason::Conflict, message).about(resource, name)
    }

    /// [`Self::conflict`] over the resource version.
    pub fn modified(resource: &GroupName, name: &str) -> Self {
        Self::conflict(resource, name, MODIFIED)
    }

    /// `Service "x" is invalid: …` with a cause an error. `kind` names the kind, not the resource.
    pub fn invalid(kind: &GroupName, name: &str, errors: Vec<FieldError>) -> Self {
        let head = format!("{kind} {} is invalid", quote(name));
        let message = match errors.is_empty() {
            true => head,
            false => format!("{head}: {}", aggregate(errors.iter().map(FieldError::to_string))),
        };
        let status = Self::new(422, Reason::Invalid, message).about(kind, name);
        errors
            .iter()
            .fold(status, |status, error| status.cause(error.reason(), &error.body(), error.path.as_str()))
    }

    /// 400 with the reason as message.
    pub fn bad_request(why: impl Into<String>) -> Self {
        Self::new(400, Reason::BadRequest, why)
    }

    /// `pods "x" is forbidden: why`; without a name `pods is forbidden: why`; without a resource `forbidden: why`.
    pub fn forbidden(resource: &GroupName, name: &str, why: &str) -> Self {
        let message = match (resource.name.is_empty(), name.is_empty()) {
            (true, _) => format!("forbidden: {why}"),
            (false, true) => format!("{resource} is forbidden: {why}"),
            (false, false) => format!("{resource} {} is forbidden: {why}", quote(name)),
        };
        Self::new(403, Reason::Forbidden, message).about(resource, name)
    }

    /// What authorization answers: [`Self::forbidden`] with [`Attempt`] as the sentence.
    pub fn not_allowed(attempt: &Attempt<'_>) -> Self {
        let resource = GroupName::new(attempt.group, attempt.resource);
        Self::forbidden(&resource, attempt.name, &attempt.sentence())
    }

    /// `Unauthorized`.
    pub fn unauthorized() -> Self {
        Self::new(401, Reason::Unauthorized, "Unauthorized")
    }

    /// 410 `Expired`.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, Reason::Expired, message)
    }

    /// `too old resource version: 5 (100)`: the requested one and the oldest still kept.
    pub fn too_old_resource_version(requested: u64, oldest: u64) -> Self {
        Self::expired(format!("too old resource version: {requested} ({oldest})"))
    }

    /// `Timeout: Too large resource version: 9, current: 5`: the server has not come that far.
    pub fn too_large_resource_version(requested: u64, current: u64, retry_after_seconds: u32) -> Self {
        Self::timeout(
            &format!("Too large resource version: {requested}, current: {current}"),
            retry_after_seconds,
        )
        .cause("ResourceVersionTooLarge", "Too large resource version", "")
    }

    /// 405: the resource exists but cannot do this.
    pub fn method_not_supported(resource: &GroupName, action: &str) -> Self {
        let message =
            format!("{action} is not supported on resources of kind {}", quote(&resource.to_string()));
        Self::new(405, Reason::MethodNotAllowed, message).about(resource, "")
    }

    /// 405 as the generic handler words it.
    pub fn method_not_allowed() -> Self {
        Self::new(
            405,
            Reason::MethodNotAllowed,
            "the server does not allow this method on the requested resource",
        )
    }

    /// 406: none of what the client accepts can be produced.
    pub fn not_acceptable(accepted: &[&str]) -> Self {
        let message = format!("only the following media types are accepted: {}", accepted.join(", "));
        Self::new(406, Reason::NotAcceptable, message)
    }

    /// 415: the body's media type is not known.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, Reason::UnsupportedMediaType, message)
    }

    /// 413.
    pub fn too_large(message: &str) -> Self {
        Self::new(413, Reason::RequestEntityTooLarge, format!("Request entity too large: {message}"))
    }

    /// 429 with a hint when to come back.
    pub fn too_many_requests(message: &str, retry_after_seconds: u32) -> Self {
        Self::new(429, Reason::TooManyRequests, message).retry_after(retry_after_seconds)
    }

    /// `Internal error occurred: why`.
    pub fn internal(why: &str) -> Self {
        Self::new(500, Reason::InternalError, format!("Internal error occurred: {why}")).cause("", why, "")
    }

    /// 503.
    pub fn service_unavailable(why: impl Into<String>) -> Self {
        Self::new(503, Reason::ServiceUnavailable, why)
    }

    /// `Timeout: message`, 504.
    pub fn timeout(message: &str, retry_after_seconds: u32) -> Self {
        Self::new(504, Reason::Timeout, format!("Timeout: {message}")).retry_after(retry_after_seconds)
    }

    /// The operation could not be completed now (500 `ServerTimeout`).
    pub fn server_timeout(resource: &GroupName, operation: &str, retry_after_seconds: u32) -> Self {
        let message = format!(
            "The {operation} operation against {resource} could not be completed at this time, please try again."
        );
        Self::new(500, Reason::ServerTimeout, message).about(resource, "").retry_after(retry_after_seconds)
    }

    /// What a DELETE that leaves nothing behind answers.
    pub fn deleted(resource: &GroupName, name: &str, uid: &str) -> Value {
        let mut details = Map::new();
        put(&mut details, "name", name);
        put(&mut details, "group", &resource.group);
        put(&mut details, "kind", &resource.name);
        put(&mut details, "uid", uid);
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
    }

    /// The `v1` Status object.
    pub fn to_json(&self) -> Value {
        let outcome = if (200..300).contains(&self.code) { "Success" } else { "Failure" };
        let mut object = Map::new();
        put(&mut object, "kind", "Status");
        put(&mut object, "apiVersion", "v1");
        object.insert("metadata".to_owned(), json!({}));
        put(&mut object, "status", outcome);
        put(&mut object, "message", &self.message);
        put(&mut object, "reason", self.reason.as_str());
        if let Some(details) = &self.details {
            object.insert("details".to_owned(), details.to_json());
        }
        object.insert("code".to_owned(), self.code.into());
        Value::Object(object)
    }
}

impl Details {
    fn to_json(&self) -> Value {
        let mut object = Map::new();
        put(&mut object, "name", &self.name);
        put(&mut object, "group", &self.group);
        put(&mut object, "kind", &self.kind);
        put(&mut object, "uid", &self.uid);
        if !self.causes.is_empty() {
            object.insert("causes".to_owned(), self.causes.iter().map(Cause::to_json).collect());
        }
        if self.retry_after_seconds > 0 {
            object.insert("retryAfterSeconds".to_owned(), self.retry_after_seconds.into());
        }
        Value::Object(object)
    }
}

impl Cause {
    fn to_json(&self) -> Value {
        let mut object = Map::new();
        put(&mut object, "reason", &self.reason);
        put(&mut object, "message", &self.message);
        put(&mut object, "field", &self.field);
        Value::Object(object)
    }
}

/// Sets `key` unless the text is empty, as `omitempty` does.
fn put(object: &mut Map<String, Value>, key: &str, text: &str) {
    if !text.is_empty() {
        object.insert(key.to_owned(), text.into());
    }
}

/// What somebody tried and may not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempt<'a> {
    /// The user's name.
    pub user: &'a str,
    /// The verb: `list`, `get`, … (for paths the HTTP method in lower case).
    pub verb: &'a str,
    /// The group; empty for core.
    pub group: &'a str,
    /// The resource's plural; empty when a bare path was asked for.
    pub resource: &'a str,
    /// The subresource, or empty.
    pub subresource: &'a str,
    /// The namespace; empty for the cluster's scope.
    pub namespace: &'a str,
    /// The object's name, or empty. A list or watch of one name (`fieldSelector=metadata.name=…`) has it too.
    pub name: &'a str,
    /// What a list or watch is narrowed to, as it was sent; empty otherwise.
    pub field_selector: &'a str,
    /// The path, where there is no resource.
    pub path: &'a str,
}

impl Attempt<'_> {
    /// `User "u" cannot list resource "pods" in API group "" in the namespace "default"`.
    pub fn sentence(&self) -> String {
        let user = quote(self.user);
        if self.resource.is_empty() {
            return format!("User {user} cannot {} path {}", self.verb, quote(self.path));
        }
        let resource = match self.subresource {
            "" => self.resource.to_owned(),
            subresource => format!("{}/{subresource}", self.resource),
        };
        let place = match self.namespace {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {}", quote(namespace)),
        };
        format!(
            "User {user} cannot {} resource {} in API group {} {place}",
            self.verb,
            quote(&resource),
            quote(self.group)
        )
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
