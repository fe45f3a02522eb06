//! DELETE of one object: preconditions, grace, finalizers, and what goes with it (spec I14, A1.14, A1.15).
//!
//! Invariant: an object leaves the store only when nothing holds it, in one commit with the claims it held.

use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use jiff::SignedDuration;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::status::{GroupName, Status};
use kelson_machinery::{Object, meta, time};
use kelson_store::{Change, Entry, Expect, Op, StoreError};
use serde::Deserialize;

use crate::admission;
use crate::allocation::Claims;
use crate::body;
use crate::objects::{self, Encoded};
use crate::render::View;
use crate::request::Query;
use crate::response::{self, Reply};
use crate::state::Call;
use crate::verbs::get;

/// How often a deletion is decided anew because the object changed meanwhile.
const TRIES: usize = 16;
/// A pod that names no grace period has this one.
const GRACE_SECONDS: i64 = 30;
const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// `DeleteOptions`, from the body or the query.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeleteOptions {
    pub grace_period_seconds: Option<i64>,
    pub preconditions: Option<Preconditions>,
    pub orphan_dependents: Option<bool>,
    pub propagation_policy: Option<String>,
    pub dry_run: Option<Vec<String>>,
}

/// What must be so for the deletion to happen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Preconditions {
    pub uid: Option<String>,
    pub resource_version: Option<String>,
}

/// What became of the object.
pub(crate) enum Outcome {
    /// It is gone; its last bytes.
    Gone(Bytes),
    /// It waits for finalizers or the node; its bytes now.
    Pending(Bytes),
}

impl DeleteOptions {
    /// From the body if there is one, otherwise from the query.
    pub fn parse(headers: &HeaderMap, bytes: &[u8], query: &Query) -> Result<Self, Status> {
        let mut options = match bytes.is_empty() {
            true => Self::from_query(query)?,
            false => {
                let value = body::parse(bytes, body::form(headers)?).map_err(Status::bad_request)?;
                let wrong = |e| Status::bad_request(format!("unable to decode DeleteOptions: {e}"));
                serde_json::from_value(value).map_err(wrong)?
            }
        };
        if let Some(dry_run) = query.find("dryRun").filter(|text| !text.is_empty()) {
            options.dry_run.get_or_insert_default().push(dry_run.to_owned());
        }
        options.check()?;
        Ok(options)
    }

    fn from_query(query: &Query) -> Result<Self, Status> {
        Ok(Self {
            grace_period_seconds: query.number("gracePeriodSeconds").map_err(Status::bad_request)?,
            propagation_policy: query
                .find("propagationPolicy")
                .filter(|text| !text.is_empty())
                .map(str::to_owned),
            orphan_dependents: query.find("orphanDependents").map(|_| query.flag("orphanDependents")),
            ..Self::default()
        })
    }

    fn check(&self) -> Result<(), Status> {
        let policies = ["Foreground", "Background", "Orphan", "nil"];
        let error =
            match (&self.propagation_policy, self.dry_run.iter().flatten().find(|value| *value != "All")) {
                (Some(_), _) if self.orphan_dependents.is_some() => FieldError::invalid(
                    &Path::new("propagationPolicy"),
                    self.propagation_policy.clone().unwrap_or_default(),
                    "orphanDependents and deletionPropagation cannot be both set",
                ),
                (Some(policy), _) if !policies[..3].contains(&policy.as_str()) => {
                    FieldError::not_supported(&Path::new("propagationPolicy"), policy.as_str(), policies)
                }
                (_, Some(value)) => FieldError::not_supported(&Path::new("dryRun"), value.as_str(), ["All"]),
                _ => return Ok(()),
            };
        Err(Status::invalid(&GroupName::new("meta.k8s.io", "DeleteOptions"), "", vec![error]))
    }

    /// Whether nothing is to be done in earnest.
    pub fn is_dry_run(&self) -> bool {
        self.dry_run.as_ref().is_some_and(|values| !values.is_empty())
    }

    /// The finalizers that propagation asks for, put in or taken out.
    fn apply_propagation(&self, object: &mut Object) {
        let policy = match (&self.propagation_policy, self.orphan_dependents) {
            (Some(policy), _) => policy.as_str(),
            (None, Some(true)) => "Orphan",
            (None, Some(false)) => "Background",
            (None, None) => return,
        };
        let wanted = match policy {
            "Foreground" => Some(FOREGROUND),
            "Orphan" => Some(ORPHAN),
            _ => None,
        };
        let mut finalizers: Vec<String> = meta::finalizers(object).into_iter().map(str::to_owned).collect();
        let before = finalizers.clone();
        finalizers
            .retain(|name| ![FOREGROUND, ORPHAN].contains(&name.as_str()) || Some(name.as_str()) == wanted);
        if let Some(wanted) = wanted
            && !finalizers.iter().any(|name| name == wanted)
        {
            finalizers.push(wanted.to_owned());
        }
        if finalizers != before {
            let names: Vec<&str> = finalizers.iter().map(String::as_str).collect();
            match names.is_empty() {
                true => drop(meta::remove(object, &["metadata", "finalizers"])),
                false => meta::set_finalizers(object, &names),
            }
        }
    }
}

/// Answers a DELETE: the object while it waits or for kinds that show it, otherwise Status Success.
pub(crate) async fn delete(call: &Call, headers: &HeaderMap, bytes: &[u8]) -> Reply {
    let view = View::of(call)?;
    let options = DeleteOptions::parse(headers, bytes, &call.query)?;
    match delete_object(call, call.name(), &options).await? {
        Outcome::Gone(stored) if !shows_deleted(call) => {
            let uid = objects::parse(&stored).map(|object| meta::uid(&object).to_owned())?;
            let status = Status::deleted(&objects::resource(call.kind), call.name(), &uid);
            Ok(response::object(StatusCode::OK, view.encoding, &status))
        }
        Outcome::Gone(stored) | Outcome::Pending(stored) => {
            Ok(response::encoded(StatusCode::OK, view.encoding, view.bytes(&stored, true)?))
        }
    }
}

/// Core kinds that upstream shows as they were, instead of a Status.
fn shows_deleted(call: &Call) -> bool {
    const SHOWN: [&str; 7] = [
        "pods",
        "services",
        "serviceaccounts",
        "persistentvolumes",
        "persistentvolumeclaims",
        "podtemplates",
        "resourcequotas",
    ];
    call.kind.group.is_empty() && SHOWN.contains(&call.kind.plural)
}

/// Deletes an object of the call's kind and namespace, or begins to.
pub(crate) async fn delete_object(
    call: &Call,
    name: &str,
    options: &DeleteOptions,
) -> Result<Outcome, Status> {
    admission::may_delete(call.kind, name)?;
    for _ in 0..TRIES {
        let entry = get::entry(&call.core, call.kind, call.namespace(), name).await?;
        let old = objects::decode(&entry)?;
        admission::node::may_delete(call, &old)?;
        check_preconditions(call, &old, options)?;
        let (new, over) = decide(call, &old, options);
        if options.is_dry_run() {
            return Ok(if over {
                Outcome::Gone(response::to_bytes(&new))
            } else {
                Outcome::Pending(response::to_bytes(&new))
            });
        }
        let done = match over {
            true => remove(call, &entry, new).await.map(Outcome::Gone),
            false if new == old => return Ok(Outcome::Pending(entry.value.clone())),
            false => mark(call, &entry, &new).await.map(Outcome::Pending),
        };
        match done {
            Ok(outcome) => return Ok(outcome),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(objects::store_failure(error)),
        }
    }
    Err(Status::modified(&objects::resource(call.kind), name))
}

fn check_preconditions(call: &Call, object: &Object, options: &DeleteOptions) -> Result<(), Status> {
    let Some(preconditions) = &options.preconditions else { return Ok(()) };
    let checks = [
        ("UID", preconditions.uid.as_deref(), meta::uid(object)),
        ("ResourceVersion", preconditions.resource_version.as_deref(), meta::resource_version(object)),
    ];
    for (what, wanted, current) in checks {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != current) {
            let why = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({current}). \
                 The object might have been deleted and then recreated"
            );
            return Err(Status::conflict(&objects::resource(call.kind), meta::name(object), &why));
        }
    }
    Ok(())
}

/// The object as this deletion leaves it, and whether nothing holds it any longer.
fn decide(call: &Call, old: &Object, options: &DeleteOptions) -> (Object, bool) {
    let mut new = old.clone();
    options.apply_propagation(&mut new);
    let held = !meta::finalizers(&new).is_empty();
    let grace = if call.kind.graceful { grace_seconds(old, options) } else { 0 };
    let grace = match (meta::deletion_timestamp(old), meta::deletion_grace_period_seconds(old)) {
        (Some(since), Some(before)) if call.kind.graceful => {
            let shorter = options.grace_period_seconds.is_some() && grace < before;
            if shorter {
                set_deletion(&mut new, since, grace - before, grace);
            }
            if shorter { grace } else { before }
        }
        (Some(_), _) => 0,
        (None, _) => {
            set_deletion(&mut new, &time::seconds(call.now), grace, grace);
            count_generation(&mut new);
            grace
        }
    };
    if admission::is_namespace(call.kind) {
        meta::set(&mut new, &["status", "phase"], "Terminating");
    }
    let finalized =
        !admission::is_namespace(call.kind) || meta::get_list(&new, &["spec", "finalizers"]).is_empty();
    let over = !held && grace == 0 && finalized;
    (new, over)
}

/// How long a pod may take: what is asked, what it says, or nothing when no node has anything to stop.
fn grace_seconds(object: &Object, options: &DeleteOptions) -> i64 {
    let phase = meta::get_str(object, &["status", "phase"]);
    if meta::get_str(object, &["spec", "nodeName"]).is_empty() || matches!(phase, "Failed" | "Succeeded") {
        return 0;
    }
    let own = meta::get_i64(object, &["spec", "terminationGracePeriodSeconds"]);
    match options.grace_period_seconds.or(own).unwrap_or(GRACE_SECONDS) {
        negative if negative < 0 => 1,
        grace => grace,
    }
}

fn set_deletion(object: &mut Object, from: &str, offset: i64, grace: i64) {
    let from = time::parse(from);
    let at = from.and_then(|from| from.checked_add(SignedDuration::from_secs(offset)).ok()).or(from);
    if let Some(at) = at {
        meta::set_deletion_timestamp(object, &time::seconds(at));
    }
    meta::set_deletion_grace_period_seconds(object, grace);
}

fn count_generation(object: &mut Object) {
    let generation = meta::generation(object);
    if generation > 0 {
        meta::set_generation(object, generation + 1);
    }
}

async fn mark(call: &Call, entry: &Entry, new: &Object) -> Result<Bytes, StoreError> {
    let encoded = Encoded::new(new);
    let expect = Expect::Revision(entry.mod_revision);
    let change = Change { key: entry.key.to_string(), expect, op: Op::Put(encoded.encode()) };
    let revision = call.core.store.commit(vec![change]).await?;
    Ok(encoded.at(revision))
}

/// Takes an object out of the store, with its claims and what is deleted in its company. `last` is what watchers see.
pub(crate) async fn remove(call: &Call, entry: &Entry, last: Object) -> Result<Bytes, StoreError> {
    let encoded = Encoded::new(&last);
    let expect = Expect::Revision(entry.mod_revision);
    let mut changes = vec![Change { key: entry.key.to_string(), expect, op: Op::Delete(encoded.encode()) }];
    let claims = Claims::new(&call.core, call.kind);
    changes.extend(claims.release(&last));
    changes.extend(claims.company(&last).await?);
    let revision = call.core.store.commit(changes).await?;
    Ok(encoded.at(revision))
}
