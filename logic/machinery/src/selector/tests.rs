//! Selectors against the grammar and the messages of upstream.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;

fn check(selector: &str, labels: &[(&str, &str)], expected: bool) {
    let labels: BTreeMap<&str, &str> = labels.iter().copied().collect();
    assert_eq!(LabelSelector::parse(selector).unwrap().matches(&labels), expected, "{selector}");
}

fn check_error(selector: &str, expected: &str) {
    assert_eq!(LabelSelector::parse(selector).unwrap_err(), expected, "{selector}");
}

#[test]
fn equality_and_sets() {
    let labels = [("app", "web"), ("tier", "front"), ("n", "7")];
    check("", &labels, true);
    check("app=web", &labels, true);
    check("app==web , tier!=back", &labels, true);
    check("app=other", &labels, false);
    check("missing!=x", &labels, true);
    check("app in (web,api)", &labels, true);
    check("app notin (web)", &labels, false);
    check("missing notin (web)", &labels, true);
    check("app,!missing", &labels, true);
    check("!app", &labels, false);
    check("n>6,n<8", &labels, true);
    check("app>6", &labels, false);
    check("missing in ()", &labels, false);
    check("in in (in,notin)", &[("in", "notin")], true);
    check("x=,y", &[("x", ""), ("y", "z")], true);
    check("x in (,a)", &[("x", "")], true);
    check("x in (a,,b)", &[("x", "")], true);
}

#[test]
fn prints_in_the_order_of_keys() {
    for (input, expected) in [
        ("z,a in (c,b,b)", "a in (b,c),z"),
        ("!b,a=1", "a=1,!b"),
        ("x notin (y)", "x notin (y)"),
        ("x>1,y<2,a==b,c!=d", "a==b,c!=d,x>1,y<2"),
    ] {
        let selector = LabelSelector::parse(input).unwrap();
        assert_eq!(selector.to_string(), expected);
        assert_eq!(
            LabelSelector::parse(expected).unwrap(),
            selector,
            "printing and parsing again changes nothing"
        );
    }
}

#[test]
fn errors_are_upstreams() {
    check_error(
        "x=a||y=b",
        "unable to parse requirement: values[0][x]: Invalid value: \"a||y\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    );
    check_error("==a", "found '==', expected: !, identifier, or 'end of string'");
    check_error("a,", "found '', expected: identifier after ','");
    check_error("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt");
    check_error("a in", "unable to parse requirement: found '' expected: '('");
    check_error("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'");
    check_error("a in (b", "unable to parse requirement: found '', expected: ',' or ')'");
    check_error("a=(", "unable to parse requirement: found '(', expected: identifier");
    check_error("a=b c", "found 'c', expected: ',' or 'end of string'");
    check_error(
        "a>x",
        "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
    );
    assert!(LabelSelector::parse("a/b/c=d").unwrap_err().contains("a valid label key must consist of"));
}

#[test]
fn never_panics_on_rubbish() {
    for text in
        ["((((", ",,,,", "!!!", "a in (,,,)", "a notin", "\u{0}", "ä in (ö)", "a in ((", "a=!b", "<", "a<>b"]
    {
        let _ = LabelSelector::parse(text);
        let _ = FieldSelector::parse(text);
    }
}

#[test]
fn from_json_follows_metav1() {
    let labels = BTreeMap::from([("app", "web")]);
    assert!(!LabelSelector::from_json(&json!(null)).unwrap().matches(&labels));
    assert!(LabelSelector::from_json(&json!({})).unwrap().matches(&labels));
    assert!(LabelSelector::from_json(&json!({"matchLabels": {"app": "web"}})).unwrap().matches(&labels));
    let expressions = json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]});
    assert!(!LabelSelector::from_json(&expressions).unwrap().matches(&labels));
    assert!(LabelSelector::from_json(&json!("app=web")).is_err(), "a text never selects everything");
    let odd = json!({"matchExpressions": [{"key": "app", "operator": "Maybe"}]});
    assert_eq!(
        LabelSelector::from_json(&odd).unwrap_err(),
        "\"Maybe\" is not a valid label selector operator"
    );
    let empty = json!({"matchExpressions": [{"key": "app", "operator": "In"}]});
    assert_eq!(
        LabelSelector::from_json(&empty).unwrap_err(),
        "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
    );
}

#[test]
fn from_map_wants_every_pair() {
    let selector = LabelSelector::from_map([("a", "1"), ("b", "2")]);
    assert!(selector.matches_object(&json!({"metadata": {"labels": {"a": "1", "b": "2", "c": "3"}}})));
    assert!(!selector.matches_object(&json!({"metadata": {"labels": {"a": "1"}}})));
}

#[test]
fn field_selectors() {
    let fields = |field: &str| match field {
        "metadata.name" => "a,b",
        "spec.nodeName" => "n1",
        _ => "",
    };
    let matches = |text: &str| FieldSelector::parse(text).unwrap().matches_by(fields);
    assert!(matches("") && matches("spec.nodeName=n1") && matches("spec.nodeName==n1,missing="));
    assert!(matches("metadata.name=a\\,b") && !matches("spec.nodeName!=n1"));
    assert_eq!(FieldSelector::parse("spec.nodeName=n1").unwrap().exact("spec.nodeName"), Some("n1"));
    assert_eq!(FieldSelector::parse("spec.nodeName!=n1").unwrap().exact("spec.nodeName"), None);
    assert_eq!(FieldSelector::parse("abc").unwrap_err(), "invalid selector: 'abc'; can't understand 'abc'");
    assert_eq!(
        FieldSelector::parse("a=b=c").unwrap_err(),
        "invalid field selector: unescaped character in value: ="
    );
    assert!(FieldSelector::parse("a=\\x").is_err() && FieldSelector::parse("a=\\").is_err());
}
