//! Revisions compare part by part.

use super::Revision;

fn revision(services: u64, endpoint_slices: u64) -> Revision {
    Revision { services, endpoint_slices }
}

#[test]
fn a_revision_covers_what_is_older_in_both_parts() {
    assert!(revision(5, 5).covers(revision(5, 4)));
    assert!(!revision(9, 3).covers(revision(5, 4)), "news of Services says nothing of slices");
    assert_eq!(revision(9, 3).meet(revision(5, 4)), revision(5, 3));
    assert_eq!(revision(9, 3).join(revision(5, 4)), revision(9, 4));
}
