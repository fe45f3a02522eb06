//! Who owns which field: the writer a request names, and ownership kept on every write or stated by an apply.
//!
//! Invariant: `metadata.managedFields` of what is stored is never a client's word alone. The rules are in
//! `kelson_machinery::apply`; entries are in today's version of a kind, whatever version the client speaks.

use axum::http::{HeaderMap, header};
use kelson_machinery::apply::{self, Conflicts, Set, Writer};
use kelson_machinery::status::{Reason, Status};
use kelson_machinery::{Object, meta, time};
use kelson_registry::{Subresource, schema};

use crate::authn::User;
use crate::request::Query;
use crate::state::Call;
use crate::verbs::update::Mode;

/// Bytes of a field manager's name, at most.
pub(crate) const NAME_BYTES_MAX: usize = 128;

/// The writer's name: what the query says, else the program the client is, else the component that asks in process.
pub(crate) fn writer(query: &Query, headers: &HeaderMap, user: &User) -> String {
    let given = query.get("fieldManager");
    if !given.is_empty() {
        return given.to_owned();
    }
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let program: String = agent.split('/').next().unwrap_or_default().chars().take(NAME_BYTES_MAX).collect();
    if program.is_empty() { component(&user.name).to_owned() } else { program }
}

/// The program behind a component's user name.
fn component(user: &str) -> &str {
    match user.strip_prefix("system:") {
        Some("apiserver") => "kube-apiserver",
        Some(node) if node.starts_with("node:") => "kubelet",
        Some(name) => name.rsplit(':').next().unwrap_or(name),
        None => "",
    }
}

/// What a write to this place cannot change, so that nobody owns it through this place.
fn ignored(call: &Call, mode: Mode) -> Set {
    match mode {
        Mode::Status if (call.kind.group, call.kind.plural) == ("apps", "deployments") => {
            Set::of_fields(&[&["spec"], &["metadata", "labels"]])
        }
        Mode::Status => Set::of_fields(&[&["spec"]]),
        _ if call.kind.has(Subresource::Status) => Set::of_fields(&[&["status"]]),
        _ => Set::default(),
    }
}

/// Runs `work` with the call's writer.
fn with_writer<T>(call: &Call, mode: Mode, work: impl FnOnce(&Writer<'_>) -> T) -> T {
    let (api_version, now, ignored) = (call.kind.api_version(), time::seconds(call.now), ignored(call, mode));
    work(&Writer {
        name: &call.writer,
        api_version: &api_version,
        subresource: call.path.subresource.as_deref().unwrap_or_default(),
        now: &now,
        ignored: &ignored,
    })
}

/// Keeps ownership over an ordinary write of `new` over `live`; `None` when it is created.
pub(crate) fn keep(call: &Call, mode: Mode, live: Option<&Object>, new: &mut Object) {
    let (schema, shape) = schema::shape(call.kind);
    let nothing = Object::Object(Default::default());
    with_writer(call, mode, |writer| apply::update(schema, &shape, live.unwrap_or(&nothing), new, writer));
}

/// What applying `config` makes of `live`; `None` where there is none yet.
pub(crate) fn state(
    call: &Call,
    mode: Mode,
    live: Option<&Object>,
    config: &Object,
    force: bool,
) -> Result<Object, Status> {
    let (schema, shape) = schema::shape(call.kind);
    let nothing = Object::Object(Default::default());
    let live = live.unwrap_or(&nothing);
    with_writer(call, mode, |writer| apply::apply(schema, &shape, live, config, writer, force))
        .map_err(refusal)
}

fn refusal(conflicts: Conflicts) -> Status {
    let status = Status::new(409, Reason::Conflict, conflicts.to_string());
    conflicts.0.iter().fold(status, |status, conflict| {
        status.cause("FieldManagerConflict", &format!("conflict with {}", conflict.with()), &conflict.field())
    })
}

/// Ownership as it was, for writes that are nobody's.
pub(crate) fn carry(new: &mut Object, old: &Object) {
    match meta::get(old, &["metadata", "managedFields"]) {
        Some(owners) => meta::set(new, &["metadata", "managedFields"], owners.clone()),
        None => drop(meta::remove(new, &["metadata", "managedFields"])),
    }
}
