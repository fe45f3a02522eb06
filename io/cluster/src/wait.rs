//! Waiting for one object to become what it should be. A reflector of one name; asks nothing twice.

use std::pin::pin;

use futures_util::StreamExt;

use crate::reflect::{Change, Reflected, Selection, reflect};

/// Returns as soon as the object of this name meets the condition; waits for it to be made if need be.
pub async fn wait_until<K: Reflected>(api: kube::Api<K>, name: &str, condition: impl Fn(&K) -> bool) {
    let mut changes = pin!(reflect(api, Selection::fields(format!("metadata.name={name}"))));
    while let Some(change) = changes.next().await {
        let met = match change {
            Change::Reset(objects) => objects.iter().any(|object| condition(object)),
            Change::Applied(object) => condition(&object),
            Change::Deleted(_) => false,
        };
        if met {
            return;
        }
    }
}
