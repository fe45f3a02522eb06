//! Field errors against upstream's texts (spec A1.12).

use serde_json::json;

use super::*;

fn check(error: FieldError, expected: &str, reason: &str) {
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.reason(), reason);
}

fn spec() -> Path {
    Path::new("spec")
}

#[test]
fn a1_12_texts_are_upstreams() {
    check(
        FieldError::required(&spec().child("ports"), ""),
        "spec.ports: Required value",
        "FieldValueRequired",
    );
    check(
        FieldError::invalid(
            &spec().child("ports").index(0).child("port"),
            0,
            "must be between 1 and 65535, inclusive",
        ),
        "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        "FieldValueInvalid",
    );
    check(
        FieldError::not_supported(&spec().child("type"), "Foo", ["ClusterIP", "ExternalName"]),
        "spec.type: Unsupported value: \"Foo\": supported values: \"ClusterIP\", \"ExternalName\"",
        "FieldValueNotSupported",
    );
    check(
        FieldError::forbidden(&spec().child("ipMode"), "may not be specified"),
        "spec.ipMode: Forbidden: may not be specified",
        "FieldValueForbidden",
    );
    check(
        FieldError::duplicate(&spec().index(1), "a"),
        "spec[1]: Duplicate value: \"a\"",
        "FieldValueDuplicate",
    );
    check(
        FieldError::too_many(&spec().child("clusterIPs"), 3, 2),
        "spec.clusterIPs: Too many: 3: must have at most 2 items",
        "FieldValueTooMany",
    );
    check(
        FieldError::too_long(&spec(), 1),
        "spec: Too long: may not be more than 1 byte",
        "FieldValueTooLong",
    );
    check(FieldError::not_found(&spec(), "x"), "spec: Not found: \"x\"", "FieldValueNotFound");
    check(FieldError::internal(&spec(), "boom"), "spec: Internal error: boom", "InternalError");
}

#[test]
fn values_print_as_go_prints_them() {
    check(
        FieldError::invalid(&spec(), json!(null), "d"),
        "spec: Invalid value: \"null\": d",
        "FieldValueInvalid",
    );
    check(FieldError::invalid(&spec(), json!(true), ""), "spec: Invalid value: true", "FieldValueInvalid");
    check(
        FieldError::duplicate(&spec(), json!({"port": 80})),
        "spec: Duplicate value: {\"port\":80}",
        "FieldValueDuplicate",
    );
}

#[test]
fn paths_spell_members_indexes_and_keys() {
    let path = Path::default().child("metadata").child("labels").key("a/b");
    assert_eq!(path.to_string(), "metadata.labels[a/b]");
}
