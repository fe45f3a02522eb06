//! RollingUpdate of a DaemonSet: old pods go within what may be missing, or new ones come within the surge (H5.3).
//!
//! Asked only when every node has what it should. Invariant: pods that are of no use to anybody are replaced at once and
//! count as missing.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use super::Sight;
use super::place::{Place, Wanted};

pub(super) fn step<'a>(sight: &Sight, places: &[Place<'a>], wanted: &mut Wanted<'a>) {
    let desired = places.iter().filter(|place| place.eligible.start).count();
    let (surge, unavailable) = sight.fences(i32::try_from(desired).unwrap_or(i32::MAX));
    match surge {
        0 => replace(sight, places, usize::try_from(unavailable).unwrap_or(0), wanted),
        _ => add(sight, places, usize::try_from(surge).unwrap_or(0), wanted),
    }
}

/// Deletes old pods; settling makes the new ones.
fn replace<'a>(sight: &Sight, places: &[Place<'a>], most: usize, wanted: &mut Wanted<'a>) {
    let mut missing = 0;
    let mut candidates: Vec<&'a Arc<Pod>> = Vec::new();
    for place in places.iter().filter(|place| !place.pods.is_empty()) {
        match place.pair(sight) {
            Some((Some(new), None)) => missing += usize::from(!sight.is_available(new)),
            Some((None, Some(old))) if sight.is_available(old) => candidates.push(old),
            Some((None, Some(old))) => {
                missing += 1;
                wanted.delete.push(old);
            }
            _ => missing += 1,
        }
    }
    wanted.delete.extend(candidates.into_iter().take(most.saturating_sub(missing)));
}

/// Makes new pods beside old ones, and deletes an old one when its new one is available.
fn add<'a>(sight: &Sight, places: &[Place<'a>], most: usize, wanted: &mut Wanted<'a>) {
    let mut surging = 0;
    let mut candidates = Vec::new();
    for place in places.iter().filter(|place| !place.pods.is_empty() && place.eligible.start) {
        match place.pair(sight) {
            Some((_, None)) => {}
            Some((None, Some(old))) if sight.is_available(old) => candidates.push(place.name()),
            Some((None, Some(_))) => wanted.create.push(place.name()),
            Some((Some(new), Some(old))) if sight.is_available(new) => wanted.delete.push(old),
            _ => surging += 1,
        }
    }
    wanted.create.extend(candidates.into_iter().take(most.saturating_sub(surging)));
}
