//! A bound on how many owners an object remembers: the oldest updaters become one, as upstream's `ancient-changes`.
//!
//! Never merges appliers: what they own decides what an apply removes.

use super::owners::{Identity, Operation, Owner, Owners};

/// Updaters remembered by name.
pub const UPDATERS_MAX: usize = 10;
/// The name of those that are not.
const ANCIENT: &str = "ancient-changes";

/// Merges the oldest updaters, version by version, until few enough are left.
pub fn cap(owners: &mut Owners) {
    let updaters = |owners: &Owners| {
        owners.0.iter().filter(|owner| owner.identity.operation == Operation::Update).count()
    };
    while updaters(owners) > UPDATERS_MAX {
        let Some(oldest) = oldest(owners) else { return };
        let oldest = owners.0.remove(oldest);
        let identity = Identity { name: ANCIENT.to_owned(), subresource: String::new(), ..oldest.identity };
        match owners.0.iter_mut().find(|owner| owner.identity == identity) {
            Some(bucket) => {
                bucket.fields = bucket.fields.union(&oldest.fields);
                bucket.time = bucket.time.clone().max(oldest.time);
            }
            None => owners.0.push(Owner { identity, ..oldest }),
        }
    }
}

fn oldest(owners: &Owners) -> Option<usize> {
    let named =
        |owner: &Owner| owner.identity.operation == Operation::Update && owner.identity.name != ANCIENT;
    let places = owners.0.iter().enumerate().filter(|(_, owner)| named(owner));
    places.min_by(|(_, a), (_, b)| a.time.cmp(&b.time)).map(|(place, _)| place)
}
