//! Covering: upstream's cases, and as a property: who covers a rule is allowed whatever the rule allows.

use super::*;
use kelson_machinery::status::Attempt;

#[track_caller]
fn check<const H: usize, const G: usize, const E: usize>(
    held: [Rule; H],
    granted: [Rule; G],
    expected: [Rule; E],
) {
    assert_eq!(missing(&held, &granted), expected);
}

#[test]
fn what_is_held_may_be_granted() {
    let edit = Rule::on("get list update", &[""], "pods services");
    check([edit.clone()], [Rule::on("get", &[""], "pods")], []);
    check(
        [Rule::on("get", &[""], "pods"), Rule::on("list", &[""], "pods")],
        [Rule::on("get list", &[""], "pods")],
        [],
    );
    check([edit], [Rule::on("get delete", &[""], "pods")], [Rule::on("delete", &[""], "pods")]);
    check(
        [],
        [Rule::on("get", &[""], "pods").named("a b")],
        [Rule::on("get", &[""], "pods").named("a"), Rule::on("get", &[""], "pods").named("b")],
    );
}

#[test]
fn stars_and_names_cover_what_is_narrower() {
    let pods = Rule::on("get", &[""], "pods");
    check([Rule::on("*", &["*"], "*")], [Rule::on("*", &["*"], "*"), pods.clone()], []);
    check([Rule::on("*", &["*"], "*")], [Rule::paths("get", "/x")], [Rule::paths("get", "/x")]);
    check([pods.clone()], [Rule::on("*", &[""], "pods")], [Rule::on("*", &[""], "pods")]);
    check([pods.clone()], [pods.clone().named("a")], []);
    check([pods.clone().named("a")], [pods.clone()], [pods.clone()]);
    check([pods.clone().named("a b")], [pods.named("a")], []);
    check([Rule::on("get", &["*"], "*/scale")], [Rule::on("get", &["apps"], "deployments/scale")], []);
    check([Rule::paths("get", "/apis/*")], [Rule::paths("get", "/apis/apps /apis/*")], []);
    check(
        [Rule::paths("get", "/apis/apps")],
        [Rule::paths("get", "/apis/*")],
        [Rule::paths("get", "/apis/*")],
    );
}

#[test]
fn what_is_missing_is_said_as_upstream_says_it() {
    let groups = ["system:authenticated".to_owned(), "dev".to_owned()];
    let who = Who { name: "jane", groups: &groups };
    let lacking = missing(&[], &[Rule::on("get list", &[""], "pods"), Rule::paths("*", "*")]);
    let expected = "user \"jane\" (groups=[\"system:authenticated\" \"dev\"]) is attempting to grant RBAC permissions not \
                    currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\" \"list\"]}\n\
                    {NonResourceURLs:[\"*\"], Verbs:[\"*\"]}";
    assert_eq!(say_missing(who, &lacking, &[]), expected);
    let problems = ["role.rbac.authorization.k8s.io \"r\" not found".to_owned()];
    let expected = format!("{expected}; resolution errors: [{}]", problems[0]);
    assert_eq!(say_missing(who, &lacking, &problems), expected);
}

struct Random(u64);

impl Random {
    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        words[(self.0 % words.len() as u64) as usize]
    }

    fn rule(&mut self) -> Rule {
        if self.pick(&["path", "resource", "resource"]) == "path" {
            return Rule::paths(self.pick(VERBS), self.pick(PATHS));
        }
        let groups = [self.pick(GROUPS)];
        let rule = Rule::on(self.pick(VERBS), &groups, self.pick(RESOURCES));
        match self.pick(&["", "", "a", "a b"]) {
            "" => rule,
            names => rule.named(names),
        }
    }
}

const VERBS: &[&str] = &["get", "get list", "*", "delete"];
const GROUPS: &[&str] = &["", "apps", "*"];
const RESOURCES: &[&str] = &["pods", "pods/log", "*", "*/log", "pods services/log"];
const PATHS: &[&str] = &["/a", "/a/*", "*", "/a /b"];

#[test]
fn whoever_covers_a_rule_is_allowed_what_it_allows() {
    let (mut random, mut covered, mut uncovered) = (Random(0x9e37_79b9_7f4a_7c15), 0, 0);
    let attempts = attempts();
    for _ in 0..3000 {
        let held: Vec<Rule> = (0..3).map(|_| random.rule()).collect();
        let granted = [random.rule()];
        let lacking = missing(&held, &granted);
        if lacking.is_empty() {
            covered += 1;
            for attempt in attempts.iter().filter(|attempt| granted[0].allows(attempt)) {
                assert!(held.iter().any(|rule| rule.allows(attempt)), "{held:?} {granted:?} {attempt:?}");
            }
        } else {
            uncovered += 1;
            // What is missing was asked for, and adding it mends it.
            assert!(missing(&granted, &lacking).is_empty());
            assert!(missing(&[held, lacking].concat(), &granted).is_empty());
        }
    }
    assert!(covered > 100 && uncovered > 100, "{covered} {uncovered}");
}

fn attempts() -> Vec<Attempt<'static>> {
    let mut attempts = Vec::new();
    for verb in ["get", "list", "delete", "watch"] {
        for path in ["/a", "/a/b", "/b", "/c"] {
            attempts.push(Attempt { verb, path, ..Attempt::default() });
        }
        for group in ["", "apps", "batch"] {
            for (resource, subresource) in [("pods", ""), ("pods", "log"), ("services", "log"), ("nodes", "")]
            {
                for name in ["", "a", "c"] {
                    attempts.push(Attempt { verb, group, resource, subresource, name, ..Attempt::default() });
                }
            }
        }
    }
    attempts
}
