//! What the API server must know of one kind, as data: names, verbs, and the pure functions every write goes through.
//!
//! Invariant: a `Kind` is a constant; nothing in it looks at a clock, another object or the world. What needs other
//! objects (allocation of addresses, admission by quota) is a parameter or happens elsewhere.

use crate::decode::{DecodeError, Decoded};
use jiff::Timestamp;
use kelson_machinery::Object;
use kelson_machinery::field::FieldError;
use kelson_machinery::partial::Parts;
use kelson_machinery::patch::Merge;
use serde_json::Value;

/// One kind of the API, declared once. A write passes its functions in this order: `decode`, `default`,
/// `prepare_create`/`prepare_update`, `validate` (+ `validate_update`); `warnings` never fail the request.
#[derive(Clone, Copy)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// The version in which objects of this kind are stored and decided on.
    pub version: &'static str,
    /// For example `Service`.
    pub kind: &'static str,
    /// The path segment, for example `services`.
    pub plural: &'static str,
    /// For example `service`.
    pub singular: &'static str,
    /// For example `svc`.
    pub short_names: &'static [&'static str],
    /// For example `all`.
    pub categories: &'static [&'static str],
    /// False for cluster-scoped kinds.
    pub namespaced: bool,
    /// Verbs as discovery lists them.
    pub verbs: &'static [&'static str],
    /// Further group-versions under which the same objects are served.
    pub older: &'static [OlderVersion],
    /// What is served below `<plural>/<name>/`.
    pub subresources: &'static [Subresource],
    /// Columns of the printed table.
    pub columns: &'static [Column],
    /// One cell a column, in the order of `columns`.
    pub cells: fn(&Object, now: Timestamp) -> Vec<Value>,
    /// Paths of all that `cells` looks at, for who reads no more of an object than that; empty where it may look at any
    /// part but `metadata.managedFields`.
    pub shown: &'static [&'static str],
    /// Typed round trip: wrong types become upstream's 400 text, canonical JSON comes out.
    pub decode: fn(Object) -> Result<Decoded, DecodeError>,
    /// Fills defaults; idempotent.
    pub default: fn(&mut Object),
    /// Before a create: drops status, sets generation 1.
    pub prepare_create: fn(&mut Object),
    /// Before an update of the main resource: keeps the old status and what only the system may set.
    pub prepare_update: fn(new: &mut Object, old: &Object),
    /// Before an update of `/status`: keeps the old spec.
    pub prepare_status_update: fn(new: &mut Object, old: &Object),
    /// All rules that hold for the object alone.
    pub validate: fn(&Object) -> Vec<FieldError>,
    /// Rules that compare with the stored object; does not repeat `validate`.
    pub validate_update: fn(new: &Object, old: &Object) -> Vec<FieldError>,
    /// Rules of `/status` updates; replaces `validate` and `validate_update` there.
    pub validate_status_update: fn(new: &Object, old: &Object) -> Vec<FieldError>,
    /// Texts for `Warning: 299` headers.
    pub warnings: fn(new: &Object, old: Option<&Object>) -> Vec<String>,
    /// Field selectors beyond `metadata.name` and `metadata.namespace`.
    pub selectable: &'static [&'static str],
    /// The value of one selectable field; `None` when the field is not selectable.
    pub select: fn(&Object, field: &str) -> Option<String>,
    /// Paths of what `select` looks at for a field, where that is not the path the field itself names.
    pub selected_from: &'static [(&'static str, &'static [&'static str])],
    /// `metadata.generation` counts changes of the spec.
    pub generation: bool,
    /// DELETE sets `deletionTimestamp` and waits for the node (pods).
    pub graceful: bool,
    /// PUT to a name that does not exist creates it.
    pub create_on_update: bool,
    /// PUT without resourceVersion is unconditional; where false it is refused.
    pub unconditional_update: bool,
    /// Strategic-merge facts of the field at `path` (field names only, no indices).
    pub merge: fn(path: &[&str]) -> Merge,
    /// Warning for every request, for kinds that are deprecated in today's version (Endpoints).
    pub deprecated: Option<&'static str>,
}

/// The same objects under another group or version.
#[derive(Clone, Copy)]
pub struct OlderVersion {
    pub group: &'static str,
    pub version: &'static str,
    /// The `Warning: 299` text kubectl prints; empty when this version is not deprecated.
    pub warning: &'static str,
    /// Verbs are those of the kind; subresources too.
    /// Takes an object of this version and makes it one of today's, defaulting as this version did.
    pub to_current: fn(&mut Object),
    /// The way back, for answers.
    pub from_current: fn(&mut Object),
    /// Columns of this version where they differ.
    pub columns: Option<&'static [Column]>,
}

/// What is served below an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subresource {
    Status,
    Scale,
    Log,
    Exec,
    Attach,
    PortForward,
    Proxy,
    Binding,
    Eviction,
    EphemeralContainers,
    Resize,
    Finalize,
    Token,
}

impl Subresource {
    /// The path segment.
    pub fn path(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Log => "log",
            Self::Exec => "exec",
            Self::Attach => "attach",
            Self::PortForward => "portforward",
            Self::Proxy => "proxy",
            Self::Binding => "binding",
            Self::Eviction => "eviction",
            Self::EphemeralContainers => "ephemeralcontainers",
            Self::Resize => "resize",
            Self::Finalize => "finalize",
            Self::Token => "token",
        }
    }

    /// Group, version and kind of what it exchanges, where that is not the object itself.
    pub fn exchanges(self) -> Option<(&'static str, &'static str, &'static str)> {
        match self {
            Self::Scale => Some(("autoscaling", "v1", "Scale")),
            Self::Exec => Some(("", "v1", "PodExecOptions")),
            Self::Attach => Some(("", "v1", "PodAttachOptions")),
            Self::PortForward => Some(("", "v1", "PodPortForwardOptions")),
            Self::Binding => Some(("", "v1", "Binding")),
            Self::Eviction => Some(("policy", "v1", "Eviction")),
            Self::Token => Some(("authentication.k8s.io", "v1", "TokenRequest")),
            _ => None,
        }
    }

    /// Verbs as discovery lists them.
    pub fn verbs(self) -> &'static [&'static str] {
        match self {
            Self::Status | Self::Scale | Self::EphemeralContainers | Self::Resize => {
                &["get", "patch", "update"]
            }
            Self::Log => &["get"],
            Self::Exec | Self::Attach | Self::PortForward => &["create", "get"],
            Self::Proxy => &["create", "delete", "get", "patch", "update"],
            Self::Binding | Self::Eviction | Self::Token => &["create"],
            Self::Finalize => &["update"],
        }
    }
}

/// One column of `kubectl get`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    /// `string`, `integer`, `boolean`, `date`.
    pub r#type: &'static str,
    /// `name` for the name column, otherwise empty.
    pub format: &'static str,
    pub description: &'static str,
    /// 0 always shown; 1 with `-o wide`.
    pub priority: i32,
}

impl Column {
    /// A string column that is always shown.
    pub const fn text(name: &'static str, description: &'static str) -> Self {
        Self { name, r#type: "string", format: "", description, priority: 0 }
    }

    /// An integer column that is always shown.
    pub const fn number(name: &'static str, description: &'static str) -> Self {
        Self { name, r#type: "integer", format: "", description, priority: 0 }
    }

    /// Shown only with `-o wide`.
    pub const fn wide(self) -> Self {
        Self { priority: 1, ..self }
    }
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kind({}/{} {})", self.group, self.version, self.kind)
    }
}

impl Kind {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        api_version(self.group, self.version)
    }

    /// The parts of an object that `cells` looks at.
    pub fn shown_parts(&self) -> Parts {
        match self.shown.is_empty() {
            true => Parts::without_managed_fields(),
            false => Parts::of(self.shown.iter().copied()),
        }
    }

    /// Paths of what `select` looks at for these fields.
    pub fn selected_paths<'a>(&self, fields: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let elsewhere = |field: &str| self.selected_from.iter().find(|(name, _)| *name == field);
        let paths =
            fields.map(|field| elsewhere(field).map_or_else(|| vec![field], |(_, paths)| paths.to_vec()));
        paths.flatten().collect()
    }

    /// `services` or `deployments.apps`: how messages name the resource.
    pub fn resource_group(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Whether this subresource is served.
    pub fn has(&self, subresource: Subresource) -> bool {
        self.subresources.contains(&subresource)
    }
}

impl OlderVersion {
    /// For example `extensions/v1beta1`.
    pub fn api_version(&self) -> String {
        api_version(self.group, self.version)
    }
}

/// `version` alone for the core group, else `group/version`.
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}
