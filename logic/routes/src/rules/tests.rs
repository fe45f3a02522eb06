//! Several Ingresses in one table: who has what.

use crate::test_world::{Random, compile, ingress, path, served_by};
use kelson_model::Snapshot;

fn rule(host: &str, paths: &[String]) -> String {
    format!("{{host: '{host}', http: {{paths: [{}]}}}}", paths.join(", "))
}

fn rules(all: &[String]) -> String {
    format!("{{rules: [{}]}}", all.join(", "))
}

fn default_backend(service: &str) -> String {
    format!("{{defaultBackend: {{service: {{name: {service}, port: {{number: 80}}}}}}}}")
}

#[test]
fn the_older_ingress_has_what_both_claim() {
    let old = ingress("old", 1, &rules(&[rule("a.example", &[path("Prefix", "/x", "first")])]));
    let spec =
        rules(&[rule("a.example", &[path("Prefix", "/x/", "second"), path("Prefix", "/y", "second")])]);
    let new = ingress("new", 2, &spec);
    for order in [[old.clone(), new.clone()], [new, old]] {
        let (table, warnings) = compile(&order, &Snapshot::default());
        assert_eq!(served_by(&table, "a.example", "/x/1"), "first");
        assert_eq!(served_by(&table, "a.example", "/y"), "second");
        let expected = "ingress shop/new: spec.rules[0].http.paths[0] is claimed by an older rule for the same host and path";
        assert_eq!(warnings, [expected]);
    }
}

/// G2.1, G2.3: a host's own rules, then its parent's wildcard's, then those for every host, then default backends.
#[test]
fn what_one_host_does_not_say_the_next_may() {
    let all = [
        ingress("a", 1, &rules(&[rule("a.example", &[path("Prefix", "/a", "exact")])])),
        ingress("w", 2, &rules(&[rule("*.example", &[path("Prefix", "/w", "wild")])])),
        ingress("e", 3, &rules(&[rule("", &[path("Prefix", "/e", "every"), path("Exact", "/a", "every")])])),
        ingress("d", 4, &default_backend("default")),
    ];
    let (table, _) = compile(&all, &Snapshot::default());
    let check = |host: &str, path: &str, expected: &str| {
        assert_eq!(served_by(&table, host, path), expected, "{host}{path}");
    };
    check("A.example:8080", "/a", "exact");
    check("a.example", "/w/1", "wild");
    check("a.example", "/e", "every");
    check("a.example", "/", "default");
    check("b.example", "/a", "every");
    check("", "/a", "every");
    check("b.a.example", "/w", "default");
    let (table, _) = compile(&all[..3], &Snapshot::default());
    assert_eq!(served_by(&table, "a.example", "/"), "-", "without a default backend: 404");
}

#[test]
fn a_default_backend_goes_before_others_for_the_hosts_of_its_ingress() {
    let spec = "{defaultBackend: {service: {name: theirs, port: {number: 80}}}, rules: [{host: b.example}]}";
    let all = [ingress("first", 1, &default_backend("first")), ingress("second", 2, spec)];
    let (table, _) = compile(&all, &Snapshot::default());
    assert_eq!(served_by(&table, "b.example", "/"), "theirs");
    assert_eq!(served_by(&table, "a.example", "/"), "first");
}

/// ImplementationSpecific is read as Prefix, and an empty one as everything: what old versions' paths mean.
#[test]
fn implementation_specific_paths_are_prefixes() {
    let all = [ingress(
        "old",
        1,
        &rules(&[rule(
            "",
            &[
                path("ImplementationSpecific", "", "root"),
                path("ImplementationSpecific", "/manage", "manage"),
            ],
        )]),
    )];
    let (table, warnings) = compile(&all, &Snapshot::default());
    assert_eq!(served_by(&table, "x", "/manage/users"), "manage");
    assert_eq!(served_by(&table, "x", "/managers"), "root");
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn what_cannot_be_served_is_named_and_blinds_nothing_else() {
    let spec = "{rules: [{host: '*', http: {paths: []}}, {host: ok.example, http: {paths: [
        {path: relative, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}},
        {path: /r, pathType: Prefix, backend: {resource: {kind: Bucket, name: b}}},
        {path: /ok, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}],
        tls: [{hosts: ['*'], secretName: s}]}";
    let (table, warnings) = compile(&[ingress("bad", 1, spec)], &Snapshot::default());
    assert_eq!(served_by(&table, "ok.example", "/ok"), "web");
    assert_eq!(served_by(&table, "ok.example", "/r"), "unusable");
    let expected = [
        "ingress shop/bad: spec.rules[0].host can match no host",
        "ingress shop/bad: spec.rules[1].http.paths[0] is not absolute, so no request has it",
        "ingress shop/bad: backend names no service port, so its requests get 503",
        "ingress shop/bad: spec.tls[0].hosts holds one that can match no host",
    ];
    assert_eq!(warnings, expected);
}

#[test]
fn certificates_go_by_the_hosts_of_their_section_or_of_the_rules() {
    let paths = [path("Prefix", "/", "web")];
    let with = |hosts: &str, tls: &str| format!("{{rules: [{}], tls: [{tls}]}}", rule(hosts, &paths));
    let all = [
        ingress("a", 1, &with("a.example", "{hosts: [a.example, '*.wild.example'], secretName: a}")),
        ingress("b", 2, &with("b.example", "{secretName: b}, {hosts: [a.example], secretName: late}")),
        ingress("c", 3, &with("c.example", "{hosts: [c.example]}")),
    ];
    let (table, _) = compile(&all, &Snapshot::default());
    let shown =
        |sni: &str| table.certificate(sni).map(|secret| format!("{}/{}", secret.namespace, secret.name));
    assert_eq!(shown("A.example").as_deref(), Some("shop/a"));
    assert_eq!(shown("x.wild.example").as_deref(), Some("shop/a"));
    assert_eq!(shown("x.y.wild.example"), None);
    assert_eq!(shown("b.example").as_deref(), Some("shop/b"));
    assert_eq!(shown("c.example"), None);
    let (table, _) = compile(&[ingress("d", 1, "{tls: [{secretName: all}]}")], &Snapshot::default());
    assert_eq!(table.certificate("whatever").map(|secret| secret.name.as_ref()), Some("all"));
}

/// The same objects, whatever order they come in, make the same table.
#[test]
fn the_order_of_objects_is_irrelevant() {
    let mut random = Random(3);
    for _ in 0..200 {
        let mut all: Vec<_> = (0..6)
            .map(|index| {
                let some_path = |random: &mut Random| {
                    let kind = random.pick(&["Exact", "Prefix", "ImplementationSpecific"]);
                    path(kind, random.pick(&["/", "/a", "/a/b", "/b"]), random.pick(&["s", "t", "u"]))
                };
                let host = random.pick(&["", "x.example", "*.example"]);
                let second = u8::try_from(random.below(3)).unwrap();
                let paths = [some_path(&mut random), some_path(&mut random)];
                ingress(&format!("i{index}"), second, &rules(&[rule(host, &paths)]))
            })
            .collect();
        let (expected, warnings) = compile(&all, &Snapshot::default());
        for index in (1..all.len()).rev() {
            all.swap(index, random.below(index + 1));
        }
        let (table, others) = compile(&all, &Snapshot::default());
        assert_eq!(table, expected);
        assert_eq!(others, warnings);
    }
}
