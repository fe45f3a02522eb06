//! What a request's method, path and query ask for, by upstream's rules, before anything is looked up.
//!
//! Never touches headers or body. Paths and queries are untrusted: segments are decoded once, here.

use axum::http::{Method, Uri};
use percent_encoding::percent_decode_str;

/// A decoded query string; the first value of a repeated key counts, as in upstream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes a query string.
    pub fn parse(raw: Option<&str>) -> Self {
        Self(form_urlencoded::parse(raw.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// The value of a key; empty when it is missing.
    pub fn get(&self, key: &str) -> &str {
        self.find(key).unwrap_or_default()
    }

    /// The value of a key that is there.
    pub fn find(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// Whether a flag is set: anything but absent, `0` and `false`, as upstream reads it.
    pub fn flag(&self, key: &str) -> bool {
        self.find(key).is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// A number; `Err` names the parameter.
    pub fn number(&self, key: &str) -> Result<Option<i64>, String> {
        match self.get(key) {
            "" => Ok(None),
            text => {
                text.parse().map(Some).map_err(|_| format!("invalid {key} \"{text}\": not a whole number"))
            }
        }
    }
}

/// A path below `/api/v1` or `/apis/<group>/<version>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    /// The API group; empty for core.
    pub group: String,
    /// The version.
    pub version: String,
    /// The namespace, if the path names one. A namespace itself is named by `name`.
    pub namespace: Option<String>,
    /// The plural resource name.
    pub plural: String,
    /// The object's name.
    pub name: Option<String>,
    /// The subresource.
    pub subresource: Option<String>,
    /// What follows the subresource, without its leading slash.
    pub rest: String,
}

impl ResourcePath {
    /// Parses a path; `None` when it is no resource's (discovery, health, …).
    pub fn parse(path: &str) -> Option<Self> {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty()).map(decode);
        let group = match segments.next()?.as_str() {
            "api" => String::new(),
            "apis" => segments.next()?,
            _ => return None,
        };
        let version = segments.next()?;
        let mut parts: Vec<String> = segments.collect();
        let mut namespace = None;
        let own = |part: &str| matches!(part, "status" | "finalize");
        if parts.len() > 2 && parts[0] == "namespaces" && !(group.is_empty() && own(&parts[2])) {
            namespace = Some(parts.remove(1));
            parts.remove(0);
        }
        let mut parts = parts.into_iter();
        let plural = parts.next()?;
        let (name, subresource) = (parts.next(), parts.next());
        let rest = parts.collect::<Vec<_>>().join("/");
        Some(Self { group, version, namespace, plural, name, subresource, rest })
    }

    /// The namespace authorization speaks of: a namespace object belongs to itself.
    pub fn scope(&self) -> &str {
        match (&self.namespace, &self.name) {
            (Some(namespace), _) => namespace,
            (None, Some(name)) if self.group.is_empty() && self.plural == "namespaces" => name,
            _ => "",
        }
    }
}

fn decode(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// What is to be done, in the words of authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    /// The verb of a request on a resource; `None` for a method the API does not know.
    pub fn of(method: &Method, path: &ResourcePath, query: &Query) -> Option<Self> {
        let named = path.name.is_some();
        Some(match *method {
            Method::GET | Method::HEAD if named => Self::Get,
            Method::GET | Method::HEAD if query.flag("watch") => Self::Watch,
            Method::GET | Method::HEAD => Self::List,
            Method::POST => Self::Create,
            Method::PUT => Self::Update,
            Method::PATCH => Self::Patch,
            Method::DELETE if named => Self::Delete,
            Method::DELETE => Self::DeleteCollection,
            _ => return None,
        })
    }

    /// The verb's name in rules and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// Whether it is about a collection as selectors narrow it.
    pub fn lists(self) -> bool {
        matches!(self, Self::List | Self::Watch)
    }

    /// Whether it only reads, for the limit on requests under way.
    pub fn reads(self) -> bool {
        matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// The query of a URI, decoded.
pub(crate) fn query(uri: &Uri) -> Query {
    Query::parse(uri.query())
}

#[cfg(test)]
mod tests;
