//! Whose an Ingress is, for each way to say it.

use super::*;
use crate::test_world::objects;

const CLASSES: &str = "
metadata: {name: kelson}
spec: {controller: kelson.dev/ingress}
---
metadata: {name: ours-too}
spec: {controller: kelson.dev/ingress}
---
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
";

fn check(classes: &str, metadata: &str, class: Option<&str>, expected: bool) {
    let classes = objects::<IngressClass>(classes);
    let config = ClassConfig::default();
    let spec = class.map_or_else(String::new, |class| format!("ingressClassName: {class}"));
    let ingress = objects::<Ingress>(&format!("metadata: {{name: x{metadata}}}\nspec: {{{spec}}}")).remove(0);
    assert_eq!(Classes::new(&classes, &config).claim(&ingress), expected, "{metadata} {class:?}");
}

/// G1.13, G2.8.
#[test]
fn a_class_decides_and_without_one_an_ingress_is_ours() {
    let annotated = |class: &str| format!(", annotations: {{kubernetes.io/ingress.class: {class}}}");
    check(CLASSES, "", None, true);
    check(CLASSES, "", Some("kelson"), true);
    check(CLASSES, "", Some("ours-too"), true);
    check(CLASSES, "", Some("nginx"), false);
    check(CLASSES, "", Some("unknown"), false);
    check(CLASSES, &annotated("kelson"), None, true);
    check(CLASSES, &annotated("nginx"), None, false);
    check(CLASSES, &annotated("nginx"), Some("kelson"), true);
    check("", "", Some("kelson"), true);
    check("", "", Some("ours-too"), false);
}

#[test]
fn a_class_of_our_name_that_names_another_controller_is_not_ours() {
    check("metadata: {name: kelson}\nspec: {controller: example.com/other}", "", Some("kelson"), false);
}

#[test]
fn somebody_elses_default_class_takes_ingresses_without_one() {
    let default = |controller: &str| {
        format!(
            "metadata: {{name: d, annotations: {{ingressclass.kubernetes.io/is-default-class: 'true'}}}}\nspec: {{controller: {controller}}}"
        )
    };
    check(&default("example.com/other"), "", None, false);
    check(&default("kelson.dev/ingress"), "", None, true);
    check(
        &format!("{}\n---\n{}", default("example.com/other"), default("kelson.dev/ingress")),
        "",
        None,
        true,
    );
}
