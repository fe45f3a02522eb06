//! What a token says: upstream's claims.

use jiff::Timestamp;
use kelson_machinery::{Object, meta};
use serde_json::{Value, json};

use super::named;

/// What a token is bound to: it is good no longer than that exists.
pub(crate) enum Bound {
    /// A pod, and the node it runs on once it does.
    Pod(Object, Option<Object>),
    Secret(Object),
    Node(Object),
}

/// What a token shall be.
pub(crate) struct Request<'a> {
    pub audiences: &'a [String],
    /// Seconds until it ends.
    pub seconds: i64,
    /// Seconds after which its holder should have fetched another; for tokens that outlive their request.
    pub warn_after: Option<i64>,
    pub bound: Option<&'a Bound>,
    pub now: Timestamp,
    /// The token's id.
    pub id: &'a str,
}

/// The claims of a token that was asked for.
pub(super) fn bound(issuer: &str, account: &Object, request: &Request<'_>) -> Value {
    let now = request.now.as_second();
    let mut kubernetes = json!({"namespace": meta::namespace(account), "serviceaccount": named(account)});
    match request.bound {
        Some(Bound::Pod(pod, node)) => {
            kubernetes["pod"] = named(pod);
            if let Some(node) = node {
                kubernetes["node"] = named(node);
            }
        }
        Some(Bound::Secret(secret)) => kubernetes["secret"] = named(secret),
        Some(Bound::Node(node)) => kubernetes["node"] = named(node),
        None => {}
    }
    if let Some(seconds) = request.warn_after {
        kubernetes["warnafter"] = (now + seconds).into();
    }
    json!({
        "aud": request.audiences,
        "exp": now.saturating_add(request.seconds),
        "iat": now,
        "iss": issuer,
        "jti": request.id,
        "kubernetes.io": kubernetes,
        "nbf": now,
        "sub": kelson_rbac::account_name(meta::namespace(account), meta::name(account)),
    })
}

/// The claims of a token that a Secret holds.
pub(super) fn legacy(issuer: &str, account: &Object, secret: &str) -> Value {
    let (namespace, name) = (meta::namespace(account), meta::name(account));
    json!({
        "iss": issuer,
        "kubernetes.io/serviceaccount/namespace": namespace,
        "kubernetes.io/serviceaccount/secret.name": secret,
        "kubernetes.io/serviceaccount/service-account.name": name,
        "kubernetes.io/serviceaccount/service-account.uid": meta::uid(account),
        "sub": kelson_rbac::account_name(namespace, name),
    })
}
