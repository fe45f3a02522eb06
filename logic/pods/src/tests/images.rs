//! References, pull policies, and what a failed pull shows.

use super::world::World;
use crate::{PullError, Report};
use serde_json::json;
use std::collections::BTreeMap;

#[test]
fn references_are_read_as_the_reference_library_reads_them() {
    let check = |image: &str, expected: Result<(), &str>| {
        assert_eq!(crate::image::check(image), expected.map_err(str::to_owned), "{image}")
    };
    for fine in [
        "nginx",
        "nginx:1.14.2",
        "library/nginx",
        "docker.io/library/nginx:latest",
        "localhost/x",
        "localhost:5000/x/y:z",
        "10.0.0.1:5000/a_b/c__d/e-f.g:T.1",
        "x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "Registry.Example.com/x",
    ] {
        check(fine, Ok(()));
    }
    for bad in ["", " ", "nginx:", "a//b", "-a", "a___b", "a..b", "x:-t", "x@sha256:1", "a b", "x:y:z", "/x"]
    {
        check(bad, Err("invalid reference format"));
    }
    check("UPPER", Err("invalid reference format: repository name (library/UPPER) must be lowercase"));
}

fn without_images(policy: &str, image: &str) -> World {
    let mut world =
        World::new(json!({"containers": [{"name": "c", "image": image, "imagePullPolicy": policy}]}));
    world.report(Report::Images(BTreeMap::new()));
    world
}

#[test]
fn an_absent_image_is_pulled() {
    let mut world = without_images("IfNotPresent", "x:1");
    world.settle();
    assert_eq!(
        world.events()[..2],
        [
            "Pulling: Pulling image \"x:1\"",
            "Pulled: Successfully pulled image \"x:1\" in 1.2s (1.2s including waiting). Image size: 9 bytes."
        ]
    );
    assert_eq!(world.phase(), "Running");
}

#[test]
fn an_image_that_may_not_be_pulled_is_waited_for() {
    let mut world = without_images("Never", "x:1");
    world.settle();
    assert_eq!(world.state("c"), "Waiting:ErrImageNeverPull");
    let said = world.events();
    assert_eq!(
        said,
        [
            "ErrImageNeverPull: Container image \"x:1\" is not present with pull policy of Never",
            "Failed: Error: ErrImageNeverPull"
        ]
    );
    world.pass(10);
    assert_eq!(world.events(), said, "it is said once");
    world.report(Report::Images([("x:1".to_owned(), crate::ImageFacts { size: 1, imported: false })].into()));
    world.settle();
    assert_eq!(world.phase(), "Running");
}

#[test]
fn what_was_imported_by_hand_is_not_asked_of_a_registry() {
    let check = |imported: bool, expected: &str| {
        let mut world = without_images("Always", "x:latest");
        world.report(Report::Images(
            [("x:latest".to_owned(), crate::ImageFacts { size: 1, imported })].into(),
        ));
        world.settle();
        assert!(world.events()[0].starts_with(expected), "{:?}", world.events());
    };
    check(true, "Pulled: Container image \"x:latest\" already present on machine");
    check(false, "Pulling: Pulling image \"x:latest\"");
}

#[test]
fn a_name_that_cannot_be_read_is_said() {
    let mut world = without_images("IfNotPresent", "UPPER");
    world.settle();
    assert_eq!(world.state("c"), "Waiting:InvalidImageName");
    let text = "InspectFailed: Failed to apply default image tag \"UPPER\": couldn't parse image name \"UPPER\": invalid reference format: repository name (library/UPPER) must be lowercase";
    assert_eq!(world.events(), [text, "Failed: Error: InvalidImageName"]);
}

#[test]
fn a_failed_pull_shows_the_error_then_the_back_off_then_is_tried_again() {
    let mut world = without_images("Always", "x:1");
    for (seconds, reason) in
        [(0, "ErrImagePull"), (2, "ImagePullBackOff"), (8, "ErrImagePull"), (2, "ImagePullBackOff")]
    {
        world.now = world.now.checked_add(jiff::SignedDuration::from_secs(seconds)).expect("a time in range");
        for _ in 0..4 {
            world.step();
            for action in std::mem::take(&mut world.pending) {
                match action {
                    crate::Action::Pull { container, image } => {
                        world.report(Report::PullFailed {
                            container,
                            image,
                            error: PullError("no such host".to_owned()),
                        });
                    }
                    other => world.answer(other),
                }
            }
        }
        assert_eq!(world.state("c"), format!("Waiting:{reason}"), "{:?}", world.events());
    }
    let message = world.status("c").state.clone().and_then(|it| it.waiting).and_then(|it| it.message);
    assert_eq!(message.as_deref(), Some("Back-off pulling image \"x:1\": ErrImagePull: no such host"));
    assert_eq!(
        world.events()[..5],
        [
            "Pulling: Pulling image \"x:1\"",
            "Failed: Failed to pull image \"x:1\": no such host",
            "Failed: Error: ErrImagePull",
            "BackOff: Back-off pulling image \"x:1\"",
            "Failed: Error: ImagePullBackOff",
        ]
    );
    assert_eq!(
        world.last.wake_at,
        world.now.checked_add(jiff::SignedDuration::from_secs(18)).ok(),
        "20 s after the second failure"
    );
}
