//! Reviews: who is this (TokenReview, SelfSubjectReview), may they (the AccessReviews), what may I (SelfSubjectRulesReview).
//!
//! Questions are answered, never stored; asking changes nothing.

use axum::http::{HeaderMap, StatusCode};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::status::{Attempt, Status};
use kelson_machinery::{Object, meta};
use kelson_registry::Kind;
use serde_json::{Value, json};

use crate::authn::{Credential, User};
use crate::authz::node_name;
use crate::incoming::{self, Options};
use crate::objects;
use crate::response::{self, Reply};
use crate::state::Call;

/// Whether a kind is asked rather than stored.
pub(crate) fn is_review(kind: &Kind) -> bool {
    matches!(kind.group, "authentication.k8s.io" | "authorization.k8s.io")
}

/// Answers a review.
pub(crate) async fn create(call: &Call, headers: &HeaderMap, bytes: &[u8]) -> Reply {
    let options = Options::parse(&call.query, "CreateOptions")?;
    let mut review = incoming::object(call, headers, bytes, options.validation)?;
    let status = match call.kind.plural {
        "tokenreviews" => token(call, &review).await?,
        "selfsubjectreviews" => json!({"userInfo": user_info(&call.user)}),
        "selfsubjectrulesreviews" => rules(call, &review)?,
        _ => access(call, &review).await?,
    };
    review["status"] = status;
    let metadata = meta::map_of(meta::entry(&mut review, &["metadata"]));
    metadata.entry("creationTimestamp").or_insert(Value::Null);
    Ok(response::object(StatusCode::CREATED, call.accept.encoding, &review))
}

fn user_info(user: &User) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = user.uid.as_str().into();
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    info
}

async fn token(call: &Call, review: &Object) -> Result<Value, Status> {
    let token = meta::get_str(review, &["spec", "token"]);
    if token.is_empty() {
        return Err(Status::bad_request("token is required for TokenReview in authentication"));
    }
    let asked: Vec<String> = texts(review, &["spec", "audiences"]);
    let bearers = &call.core.bearers;
    let audiences = if asked.is_empty() { bearers.accounts.audiences() } else { asked.clone() };
    Ok(match bearers.judge(token, &audiences).await {
        Credential::Good(bearer) => {
            json!({"authenticated": true, "user": user_info(&bearer.user), "audiences": bearer.audiences})
        }
        Credential::Bad(why) => json!({"user": {}, "error": format!("[invalid bearer token, {why}]")}),
        Credential::Unknown => json!({"user": {}, "error": "invalid bearer token"}),
    })
}

fn texts(object: &Object, path: &[&str]) -> Vec<String> {
    meta::get_list(object, path).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn rules(call: &Call, review: &Object) -> Result<Value, Status> {
    let namespace = meta::get_str(review, &["spec", "namespace"]);
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let (rules, problems) = call.core.rights.rules(&call.user, namespace);
    let (mut resources, mut paths) = (Vec::new(), Vec::new());
    for rule in rules {
        if !rule.resources.is_empty() {
            let mut one =
                json!({"verbs": rule.verbs, "apiGroups": rule.api_groups, "resources": rule.resources});
            if !rule.resource_names.is_empty() {
                one["resourceNames"] = json!(rule.resource_names);
            }
            resources.push(one);
        }
        if !rule.non_resource_urls.is_empty() {
            paths.push(json!({"verbs": rule.verbs, "nonResourceURLs": rule.non_resource_urls}));
        }
    }
    let mut said = problems;
    let node = node_name(&call.user).is_some();
    if node {
        said.insert(0, "node authorizer does not support user rule resolution".to_owned());
    }
    let mut status = json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": node});
    if !said.is_empty() {
        status["evaluationError"] = said.join(", ").into();
    }
    Ok(status)
}

/// The three kinds of access reviews: of oneself, of anybody, of anybody in one namespace.
async fn access(call: &Call, review: &Object) -> Result<Value, Status> {
    let of_self = call.kind.plural == "selfsubjectaccessreviews";
    let errors = validate(call, review, of_self);
    if !errors.is_empty() {
        return Err(Status::invalid(&objects::kind_name(call.kind), "", errors));
    }
    let text = |path: &[&str]| meta::get_str(review, path);
    let other;
    let user = match of_self {
        true => &call.user,
        false => {
            other = User {
                name: text(&["spec", "user"]).to_owned(),
                groups: texts(review, &["spec", "groups"]),
                uid: text(&["spec", "uid"]).to_owned(),
                extra: Default::default(),
            };
            &other
        }
    };
    call.core.rights.refresh_for(user).await.map_err(objects::store_failure)?;
    let decision = call.core.rights.decide(user, &attempt(review, user));
    let mut status = json!({"allowed": decision.allowed});
    if !decision.reason.is_empty() {
        status["reason"] = decision.reason.into();
    }
    Ok(status)
}

fn attempt<'a>(review: &'a Object, user: &'a User) -> Attempt<'a> {
    let spec = &review["spec"];
    if spec["nonResourceAttributes"].is_object() {
        let text = |field: &str| meta::get_str(spec, &["nonResourceAttributes", field]);
        return Attempt { user: &user.name, verb: text("verb"), path: text("path"), ..Attempt::default() };
    }
    let text = |field: &str| meta::get_str(spec, &["resourceAttributes", field]);
    Attempt {
        user: &user.name,
        verb: text("verb"),
        group: text("group"),
        // A resource that is not named is none of the API's, so no path may be taken for it.
        resource: if text("resource").is_empty() { " " } else { text("resource") },
        subresource: text("subresource"),
        namespace: text("namespace"),
        name: text("name"),
        field_selector: meta::get_str(spec, &["resourceAttributes", "fieldSelector", "rawSelector"]),
        path: "",
    }
}

fn validate(call: &Call, review: &Object, of_self: bool) -> Vec<FieldError> {
    let (spec, at) = (&review["spec"], Path::new("spec"));
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let mut errors = Vec::new();
    if resource.is_object() && path.is_object() {
        let why = "cannot be specified in combination with resourceAttributes";
        errors.push(FieldError::invalid(&at.child("nonResourceAttributes"), path.clone(), why));
    }
    if !resource.is_object() && !path.is_object() {
        let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        errors.push(FieldError::invalid(&at.child("resourceAttributes"), Value::Null, why));
    }
    if !of_self && meta::get_str(spec, &["user"]).is_empty() && meta::get_list(spec, &["groups"]).is_empty() {
        let why = "at least one of user or group must be specified";
        errors.push(FieldError::invalid(&at.child("user"), "", why));
    }
    if call.kind.namespaced {
        errors.extend(validate_local(call, resource, path));
    }
    errors
}

fn validate_local(call: &Call, resource: &Value, path: &Value) -> Option<FieldError> {
    let given = meta::get_str(resource, &["namespace"]);
    if resource.is_object() && given != call.namespace() {
        let at = Path::new("spec.resourceAttributes.namespace");
        return Some(FieldError::invalid(&at, given, "must match metadata.namespace"));
    }
    let why = "disallowed on this kind of request";
    path.is_object().then(|| FieldError::invalid(&Path::new("spec.nonResourceAttributes"), path.clone(), why))
}
