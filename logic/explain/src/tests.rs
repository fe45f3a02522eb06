//! Broken worlds and what is said of each: the step at which it is noticed, its sentence, and what to do next.

mod names;
mod pods;
mod traffic;

use crate::fixture::{ask, healthy, shown};
use crate::step::{Explanation, StepName, Verdict};
use crate::world::World;

/// Asks, and compares the first wrong step with `step` and `sentence`, and its advice with `next`.
fn check(world: &World, words: &str, step: StepName, sentence: &str, next: &str) -> Explanation {
    let explanation = ask(world, words);
    let Some(wrong) = explanation.first_wrong() else { panic!("nothing wrong:\n{}", shown(&explanation)) };
    assert_eq!((wrong.step, wrong.sentence.as_str()), (step, sentence), "\n{}", shown(&explanation));
    assert_eq!(wrong.next.as_deref(), Some(next), "\n{}", shown(&explanation));
    assert_eq!(explanation.verdict, Verdict::Wrong);
    explanation
}

/// Asks, and compares a step that is no reason to worry, or only a little one.
fn check_fine(world: &World, words: &str, step: StepName, verdict: Verdict, sentence: &str) -> Explanation {
    let explanation = ask(world, words);
    assert!(explanation.first_wrong().is_none(), "\n{}", shown(&explanation));
    let found: Vec<_> = explanation.steps.iter().filter(|found| found.step == step).collect();
    let found: Vec<_> = found.iter().map(|found| (found.verdict, found.sentence.as_str())).collect();
    assert!(found.contains(&(verdict, sentence)), "{found:?}\n{}", shown(&explanation));
    explanation
}

#[test]
fn a_service_that_works() {
    let explanation = ask(&healthy(), "svc/web from=pod/client");
    let expected = "\
default/web, asked by pod default/client

✓ name        web is completed to web.default.svc.cluster.local, which is 10.96.0.80
✓ service     default/web is a ClusterIP Service at 10.96.0.80
✓ port        80/TCP leads to target port 8080
✓ selector    app=web finds 2 pods
✓ pods        all 2 are ready
✓ endpoints   2 endpoints listed and ready
              10.244.1.1:8080 (web-1 on node-1)
              10.244.2.2:8080 (web-2 on node-2)
✓ packet      a connection from pod default/client to 10.96.0.80:80 gets through to
              10.244.1.1:8080 (web-1), 50 %
              10.244.2.2:8080 (web-2), 50 %

nothing is wrong
";
    assert_eq!(shown(&explanation), expected);
    assert_eq!(explanation.verdict, Verdict::Ok);
}

#[test]
fn json_has_the_same() {
    let mut world = healthy();
    world.slices.clear();
    let json = serde_json::to_value(ask(&world, "svc/web")).unwrap();
    assert_eq!(json["service"], "default/web");
    assert_eq!(json["verdict"], "wrong");
    let steps = json["steps"].as_array().unwrap();
    let wrong = steps.iter().find(|step| step["verdict"] == "wrong").unwrap();
    assert_eq!(wrong["step"], "endpoints");
    assert!(wrong["next"].as_str().unwrap().starts_with("kubectl get endpointslices"));
    assert_eq!(steps.last().unwrap()["step"], "packet", "and what follows from it");
}

#[test]
fn colours_are_marks_alone() {
    let explanation = ask(&healthy(), "svc/web");
    let coloured = crate::text(&explanation, crate::Colour::Ansi);
    let plain = coloured.replace("\u{1b}[32m", "").replace("\u{1b}[0m", "");
    assert_ne!(coloured, plain);
    assert_eq!(plain, shown(&explanation));
}

#[test]
fn what_could_not_be_seen_is_said() {
    let mut world = healthy();
    world.nodes.clear();
    world.unseen.push(crate::Unseen { what: "nodes", why: "nodes is forbidden".to_owned() });
    let explanation = ask(&world, "svc/web");
    assert_eq!(explanation.unseen, ["nodes: nodes is forbidden"]);
    assert_eq!(explanation.verdict, Verdict::Ok, "{}", shown(&explanation));
    assert!(shown(&explanation).contains("! could not look at nodes: nodes is forbidden\n"));
}

/// Whatever is missing from the world, an answer comes.
#[test]
fn an_empty_world_has_an_answer() {
    let world = World::default();
    for words in ["svc/web", "web.shop", "svc/web from=pod/x", "svc/web from=node/x port=http"] {
        assert_eq!(ask(&world, words).verdict, Verdict::Wrong, "{words}");
    }
}
