//! Status against upstream's texts and shapes (spec A1.11).

use super::*;
use crate::field::Path;

fn check(status: Status, code: u16, reason: &str, message: &str) {
    assert_eq!((status.code, status.reason.as_str(), status.message.as_str()), (code, reason, message));
    assert_eq!(status.to_json()["code"], code);
    assert_eq!(status.to_json()["status"], "Failure");
}

fn pods() -> GroupName {
    GroupName::new("", "pods")
}

fn deployments() -> GroupName {
    GroupName::new("apps", "deployments")
}

#[test]
fn messages_are_upstreams() {
    check(Status::not_found(&pods(), "x"), 404, "NotFound", "pods \"x\" not found");
    check(
        Status::already_exists(&GroupName::new("", "services"), "x"),
        409,
        "AlreadyExists",
        "services \"x\" already exists",
    );
    check(
        Status::modified(&deployments(), "x"),
        409,
        "Conflict",
        "Operation cannot be fulfilled on deployments.apps \"x\": the object has been modified; please apply your changes to the latest version and try again",
    );
    check(Status::unauthorized(), 401, "Unauthorized", "Unauthorized");
    check(Status::no_such_resource(), 404, "NotFound", "the server could not find the requested resource");
    check(Status::too_old_resource_version(5, 100), 410, "Expired", "too old resource version: 5 (100)");
    check(
        Status::too_large("limit is 3145728"),
        413,
        "RequestEntityTooLarge",
        "Request entity too large: limit is 3145728",
    );
    check(Status::internal("boom"), 500, "InternalError", "Internal error occurred: boom");
    check(
        Status::too_large_resource_version(9, 5, 1),
        504,
        "Timeout",
        "Timeout: Too large resource version: 9, current: 5",
    );
    check(
        Status::unsupported_media_type(&["application/json", "application/yaml"]),
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml",
    );
    check(
        Status::method_not_supported(&deployments(), "delete"),
        405,
        "MethodNotAllowed",
        "delete is not supported on resources of kind \"deployments.apps\"",
    );
}

#[test]
fn forbidden_says_who_cannot_do_what_where() {
    let attempt =
        Attempt { user: "u", verb: "list", resource: "pods", namespace: "default", ..Attempt::default() };
    check(
        Status::not_allowed(&attempt),
        403,
        "Forbidden",
        "pods is forbidden: User \"u\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"",
    );
    let attempt = Attempt {
        user: "u",
        verb: "update",
        group: "apps",
        resource: "deployments",
        subresource: "scale",
        name: "x",
        ..attempt
    };
    check(
        Status::not_allowed(&Attempt { namespace: "", ..attempt }),
        403,
        "Forbidden",
        "deployments.apps \"x\" is forbidden: User \"u\" cannot update resource \"deployments/scale\" in API group \"apps\" at the cluster scope",
    );
    let path = Attempt { user: "u", verb: "get", path: "/metrics", ..Attempt::default() };
    check(Status::not_allowed(&path), 403, "Forbidden", "forbidden: User \"u\" cannot get path \"/metrics\"");
}

#[test]
fn a1_11_invalid_lists_one_bare_and_several_in_brackets() {
    let kind = GroupName::new("", "Service");
    let required = FieldError::required(&Path::new("spec.ports"), "");
    let invalid = FieldError::invalid(&Path::new("spec.type"), "x", "no");
    check(
        Status::invalid(&kind, "x", vec![required.clone()]),
        422,
        "Invalid",
        "Service \"x\" is invalid: spec.ports: Required value",
    );
    let both = Status::invalid(&kind, "x", vec![required.clone(), invalid, required]);
    assert_eq!(
        both.message,
        "Service \"x\" is invalid: [spec.ports: Required value, spec.type: Invalid value: \"x\": no]"
    );
    assert_eq!(
        both.to_json()["details"]["causes"][1],
        json!({"reason": "FieldValueInvalid", "message": "Invalid value: \"x\": no", "field": "spec.type"})
    );
    assert_eq!(both.to_json()["details"]["kind"], "Service");
    check(
        Status::invalid(&GroupName::new("apps", "Deployment"), "x", vec![]),
        422,
        "Invalid",
        "Deployment.apps \"x\" is invalid",
    );
}

#[test]
fn json_leaves_out_what_is_empty() {
    let expected = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "pods \"x\" not found", "reason": "NotFound", "details": {"name": "x", "kind": "pods"}, "code": 404});
    assert_eq!(Status::not_found(&pods(), "x").to_json(), expected);
    let deleted = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": "x", "kind": "pods", "uid": "u"}});
    assert_eq!(Status::deleted(&pods(), "x", "u"), deleted);
}
