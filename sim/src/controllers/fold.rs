//! What a watch tells, folded into the view: kept kinds whole, all others by their metadata.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kelson_plans::{Changed, Kept, Key, Resource, View};
use serde::Deserialize;

use crate::api::Stored;
use crate::watch::Heard;

/// Folds what was heard of any kept kind.
pub(super) fn kept(view: &mut View, resource: &Resource, heard: Heard, now: Timestamp) -> Vec<Changed> {
    macro_rules! fold_kind {
        ($kind:ident) => {
            if *resource == <$kind as Kept>::RESOURCE {
                return typed::<$kind>(view, heard, now);
            }
        };
    }
    use k8s_openapi::api::{
        apps::v1::*, batch::v1::*, coordination::v1::*, core::v1::*, discovery::v1::*, policy::v1::*,
        storage::v1::*,
    };
    kelson_plans::for_each_kept_kind!(fold_kind);
    unreachable!("{resource:?} is not kept")
}

fn typed<K>(view: &mut View, heard: Heard, now: Timestamp) -> Vec<Changed>
where
    K: Kept + PartialEq + serde::de::DeserializeOwned + Send + Sync,
{
    match heard {
        Heard::Listed(objects) => view.reset::<K>(objects.iter().map(|object| object.typed()).collect(), now),
        Heard::Applied(object) => vec![view.applied::<K>(object.typed(), now)],
        Heard::Deleted(key) => view.deleted::<K>(&key, now).into_iter().collect(),
    }
}

/// Folds what was heard of another kind; `known` is what was there of it.
pub(super) fn by_metadata(
    view: &mut View,
    resource: &Resource,
    heard: Heard,
    known: &mut BTreeSet<Key>,
) -> Vec<Changed> {
    let note = |view: &mut View, object: &Stored| {
        let meta = ObjectMeta::deserialize(&object["metadata"]).expect("metadata can be read");
        view.noted(resource, &Key::of(&meta), Some(&meta))
    };
    match heard {
        Heard::Applied(object) => {
            known.insert(key(&object));
            vec![note(view, &object)]
        }
        Heard::Deleted(key) => {
            known.remove(&key);
            vec![view.noted(resource, &key, None)]
        }
        Heard::Listed(objects) => {
            let listed: BTreeSet<Key> = objects.iter().map(|object| key(object)).collect();
            let gone: Vec<Key> = known.difference(&listed).cloned().collect();
            *known = listed;
            let mut changes: Vec<Changed> = gone.iter().map(|key| view.noted(resource, key, None)).collect();
            changes.extend(objects.iter().map(|object| note(view, object)));
            changes
        }
    }
}

fn key(object: &Stored) -> Key {
    Key::new(kelson_machinery::meta::namespace(object), kelson_machinery::meta::name(object))
}
