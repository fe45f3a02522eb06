//! ResourceQuotas at a write: what they refuse, and what they count from the commit of the object itself on.
//!
//! Between admission and the commit. Invariants: a quota's `used` rises in the commit that stores the object, under
//! precondition of the version it was read at, so that however many write at once none gets past `hard`. Whoever counts a
//! quota's use anew has the namespace alone while it does, so that nothing comes in uncounted; where no quota is about
//! what is written, writers of a namespace go side by side. Uses fall when whoever keeps statuses says that they should
//! (`plans/resource_quota`): then they are counted here, from what is stored.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, ResourceQuota, Service};
use kelson_machinery::hash::fnv32a;
use kelson_machinery::status::Status;
use kelson_machinery::{Object, meta};
use kelson_quota::amounts::write;
use kelson_quota::count::agree;
use kelson_quota::{Subject, Tally, counted};
use kelson_registry::Kind;
use kelson_store::{Change, Entry, Expect, Op};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::objects::{self, Encoded};
use crate::state::Call;
use crate::verbs::update::Mode;

/// Namespaces share this many turns: more of them only wait for each other less often.
const TURNS: usize = 256;

/// Who may write to which namespaces now.
pub(crate) struct Turns([RwLock<()>; TURNS]);

impl Turns {
    /// Nobody writes.
    pub fn new() -> Self {
        Self([const { RwLock::const_new(()) }; TURNS])
    }

    fn of(&self, namespace: &str) -> &RwLock<()> {
        &self.0[fnv32a(namespace.as_bytes()) as usize % TURNS]
    }
}

/// A write's place among the others of its namespace, held until it is committed; and the quotas it must ask.
pub(crate) struct Turn<'a> {
    call: &'a Call,
    quotas: Vec<Held>,
    hold: Hold<'a>,
}

/// What keeps others away, for as long as it is held.
enum Hold<'a> {
    /// No quota is concerned.
    Nothing,
    /// Others may write beside.
    Shared { _guard: RwLockReadGuard<'a, ()> },
    /// Nobody else writes.
    Alone { _guard: RwLockWriteGuard<'a, ()> },
}

/// A quota as it was read.
struct Held {
    entry: Arc<Entry>,
    quota: ResourceQuota,
}

/// Waits for the turn of a create (`mode` is `None`) or update.
pub(crate) async fn turn<'a>(call: &'a Call, mode: Option<Mode>) -> Result<Turn<'a>, Status> {
    let turn = |quotas, hold| Ok(Turn { call, quotas, hold });
    if !concerns(call.kind, mode) {
        return turn(Vec::new(), Hold::Nothing);
    }
    let place = call.core.turns.of(call.namespace());
    if !is_quota(call.kind) {
        let shared = place.read().await;
        if quotas(call).await?.is_empty() {
            return turn(Vec::new(), Hold::Shared { _guard: shared });
        }
    }
    let alone = place.write().await;
    turn(quotas(call).await?, Hold::Alone { _guard: alone })
}

/// Whether such a write can change what any quota counts, or is one to a quota. Events are never counted.
fn concerns(kind: &Kind, mode: Option<Mode>) -> bool {
    let grows = kind.group.is_empty() && matches!(kind.plural, "services" | "persistentvolumeclaims");
    kind.namespaced
        && kind.plural != "events"
        && match mode {
            None => true,
            Some(Mode::Main) => grows || is_quota(kind),
            Some(Mode::Status) => is_quota(kind),
            Some(Mode::Ephemeral | Mode::Internal) => false,
        }
}

fn is_quota(kind: &Kind) -> bool {
    kind.group.is_empty() && kind.plural == "resourcequotas"
}

/// The quotas of the call's namespace that are about its kind.
async fn quotas(call: &Call) -> Result<Vec<Held>, Status> {
    let (kind, _) =
        kelson_registry::resolve("", "v1", "resourcequotas").expect("the registry declares ResourceQuota");
    let prefix = objects::prefix(kind, Some(call.namespace()));
    let listed = call.core.store.list(&prefix, None, 0).await.map_err(objects::store_failure)?;
    let mut quotas = Vec::new();
    for entry in listed.entries {
        let quota: ResourceQuota = read(&entry)?;
        if kelson_quota::charge::limits(&quota, &blank(call.kind).subject(call.kind)) {
            quotas.push(Held { entry, quota });
        }
    }
    Ok(quotas)
}

fn read<K: DeserializeOwned>(entry: &Entry) -> Result<K, Status> {
    serde_json::from_slice(&entry.value).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> Status {
    Status::internal(&format!("unable to read an object that a quota counts: {error}"))
}

impl Turn<'_> {
    /// Asks the quotas for the object that the write makes; the changes by which they count it. A quota that is written
    /// itself gets its status here.
    pub async fn charge(&self, new: &mut Object, old: Option<&Object>) -> Result<Vec<Change>, Status> {
        let kind = self.call.kind;
        let changes = if self.quotas.is_empty() { Vec::new() } else { self.ask(new, old)? };
        if is_quota(kind) && matches!(self.hold, Hold::Alone { .. }) {
            let counted = self.count(new, old.is_none()).await?;
            let known = old.filter(|old| agree_as_read(old, &counted)).map(|old| old["status"].clone());
            meta::set(new, &["status"], known.unwrap_or(counted));
        }
        Ok(changes)
    }

    fn ask(&self, new: &Object, old: Option<&Object>) -> Result<Vec<Change>, Status> {
        let kind = self.call.kind;
        let after = Typed::of(kind, new)?;
        let before = old.map(|old| Typed::of(kind, old)).transpose()?;
        let before = before.as_ref().map(|before| before.subject(kind));
        let quotas: Vec<&ResourceQuota> = self.quotas.iter().map(|held| &held.quota).collect();
        let charged = kelson_quota::charge(&quotas, &after.subject(kind), before.as_ref(), self.call.now);
        let refuse = |why: String| Status::forbidden(&objects::resource(kind), meta::name(new), &why);
        let mut changes = Vec::new();
        for charged in charged.map_err(refuse)? {
            let entry = &self.quotas[charged.index].entry;
            let mut quota = objects::decode(entry)?;
            let used = serde_json::to_value(write(&charged.used)).map_err(|error| unreadable(&error))?;
            meta::set(&mut quota, &["status", "used"], used);
            let (key, expect) = (entry.key.to_string(), Expect::Revision(entry.mod_revision));
            changes.push(Change { key, expect, op: Op::Put(Encoded::new(&quota).encode()) });
        }
        Ok(changes)
    }

    /// A quota's status, counted from what is stored; a quota that is being made counts itself.
    async fn count(&self, quota: &Object, made: bool) -> Result<Value, Status> {
        let call = self.call;
        let typed: ResourceQuota =
            serde::Deserialize::deserialize(quota).map_err(|error| unreadable(&error))?;
        let mut tally = Tally::new(&typed, call.now);
        for of in counted(&typed) {
            let kinds = kelson_registry::kinds().iter();
            let known = kinds.copied().find(|kind| kind.group == of.group && kind.plural == of.plural);
            let Some(kind) = known.filter(|kind| kind.namespaced && kind.verbs.contains(&"list")) else {
                continue;
            };
            let prefix = objects::prefix(kind, Some(call.namespace()));
            let listed = call.core.store.list(&prefix, None, 0).await.map_err(objects::store_failure)?;
            for entry in &listed.entries {
                tally.add(&Typed::stored(kind, entry)?.subject(kind));
            }
            if made && is_quota(kind) {
                tally.add(&blank(kind).subject(kind));
            }
        }
        serde_json::to_value(tally.status()).map_err(|error| unreadable(&error))
    }
}

fn agree_as_read(old: &Object, counted: &Value) -> bool {
    let read = |status: &Value| serde::Deserialize::deserialize(status).ok();
    let Some(counted) = read(counted) else { return false };
    agree(read(&old["status"]).as_ref(), &counted)
}

/// An object as quotas need it.
enum Typed {
    Pod(Box<Pod>),
    Service(Box<Service>),
    Claim(Box<PersistentVolumeClaim>),
    Other,
}

/// An object of a kind that says nothing.
fn blank(kind: &Kind) -> Typed {
    match (kind.group, kind.plural) {
        ("", "pods") => Typed::Pod(Box::default()),
        ("", "services") => Typed::Service(Box::default()),
        ("", "persistentvolumeclaims") => Typed::Claim(Box::default()),
        _ => Typed::Other,
    }
}

impl Typed {
    fn of(kind: &Kind, object: &Object) -> Result<Self, Status> {
        use serde::Deserialize;
        let typed = match blank(kind) {
            Self::Pod(_) => Box::<Pod>::deserialize(object).map(Self::Pod),
            Self::Service(_) => Box::<Service>::deserialize(object).map(Self::Service),
            Self::Claim(_) => Box::<PersistentVolumeClaim>::deserialize(object).map(Self::Claim),
            Self::Other => Ok(Self::Other),
        };
        typed.map_err(|error| unreadable(&error))
    }

    fn stored(kind: &Kind, entry: &Entry) -> Result<Self, Status> {
        match blank(kind) {
            Self::Pod(_) => read(entry).map(Self::Pod),
            Self::Service(_) => read(entry).map(Self::Service),
            Self::Claim(_) => read(entry).map(Self::Claim),
            Self::Other => Ok(Self::Other),
        }
    }

    fn subject<'a>(&'a self, kind: &'a Kind) -> Subject<'a> {
        match self {
            Self::Pod(pod) => Subject::Pod(pod),
            Self::Service(service) => Subject::Service(service),
            Self::Claim(claim) => Subject::Claim(claim),
            Self::Other => Subject::Other { group: kind.group, plural: kind.plural },
        }
    }
}
