//! Whether what a token speaks of is still there; and the user it makes.
//!
//! The claims were signed by us. Errors are upstream's words.

use jiff::Timestamp;
use kelson_machinery::text::quote;
use kelson_machinery::{Object, meta, time};
use kelson_store::Store;
use serde_json::Value;

use super::user;
use crate::authn::User;

/// Seconds by which clocks may differ, and for which what is being deleted still counts.
const LEEWAY: i64 = 60;

const INVALIDATED: &str = "service account token has been invalidated";

/// Whether now is between a token's begin and end.
pub(super) fn in_time(claims: &Value, now: Timestamp) -> Result<(), String> {
    let at = |claim: &str| claims[claim].as_i64();
    if at("exp").is_none_or(|end| now.as_second() > end.saturating_add(LEEWAY)) {
        return Err("service account token has expired".to_owned());
    }
    if at("nbf").is_some_and(|begin| now.as_second() < begin.saturating_sub(LEEWAY)) {
        return Err("service account token is not valid yet".to_owned());
    }
    Ok(())
}

/// The user of a token that was asked for.
pub(super) async fn bound(store: &dyn Store, claims: &Value) -> Result<User, String> {
    let ours = &claims["kubernetes.io"];
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let namespace = text(ours, "namespace");
    let (name, uid) = (text(&ours["serviceaccount"], "name"), text(&ours["serviceaccount"], "uid"));
    account(store, &namespace, &name, &uid).await?;
    let mut found = user(&namespace, &name, &uid);
    found.extra.insert(
        "authentication.kubernetes.io/credential-id".into(),
        vec![format!("JTI={}", text(claims, "jti"))],
    );
    let bound = [("secrets", "secret", &*namespace), ("pods", "pod", &*namespace), ("nodes", "node", "")];
    for (plural, claim, home) in bound {
        let reference = &ours[claim];
        // The node of a pod-bound token only says where the pod runs.
        let told = claim == "node" && ours["pod"].is_object();
        if !reference.is_object() {
            continue;
        }
        if !told {
            exists(store, plural, claim, home, reference).await?;
        }
        if claim != "secret" {
            for field in ["name", "uid"]
                .into_iter()
                .filter(|field| reference[*field].as_str().is_some_and(|it| !it.is_empty()))
            {
                let key = format!("authentication.kubernetes.io/{claim}-{field}");
                found.extra.insert(key, vec![text(reference, field)]);
            }
        }
    }
    Ok(found)
}

/// The user of a token that a Secret holds.
pub(super) async fn legacy(store: &dyn Store, claims: &Value, token: &str) -> Result<User, String> {
    let text =
        |claim: &str| claims[format!("kubernetes.io/serviceaccount/{claim}")].as_str().unwrap_or_default();
    let (namespace, name, uid) =
        (text("namespace"), text("service-account.name"), text("service-account.uid"));
    let secret = get(store, "secrets", namespace, text("secret.name")).await;
    let secret = secret.filter(|secret| !is_deleted(secret)).ok_or(INVALIDATED)?;
    let held = crate::admission::secret_text(&secret, "token");
    if held.as_deref() != Some(token) {
        return Err(INVALIDATED.to_owned());
    }
    account(store, namespace, name, uid).await?;
    Ok(user(namespace, name, uid))
}

async fn account(store: &dyn Store, namespace: &str, name: &str, uid: &str) -> Result<(), String> {
    let found = get(store, "serviceaccounts", namespace, name).await;
    let found = found.ok_or_else(|| format!("serviceaccounts {} not found", quote(name)))?;
    if meta::uid(&found) != uid {
        return Err(format!("service account UID ({}) does not match claim ({uid})", meta::uid(&found)));
    }
    if is_deleted(&found) {
        return Err(format!("service account {namespace}/{name} has been deleted"));
    }
    Ok(())
}

async fn exists(
    store: &dyn Store,
    plural: &str,
    claim: &str,
    namespace: &str,
    reference: &Value,
) -> Result<(), String> {
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    let found = get(store, plural, namespace, text("name")).await.ok_or(INVALIDATED)?;
    if meta::uid(&found) != text("uid") {
        let (now, then) = (meta::uid(&found), text("uid"));
        return Err(format!("{claim} UID ({now}) does not match service account {claim} ref claim ({then})"));
    }
    if is_deleted(&found) { Err(INVALIDATED.to_owned()) } else { Ok(()) }
}

/// Whether an object's time was up long enough ago that it counts as gone.
fn is_deleted(object: &Object) -> bool {
    let at = meta::deletion_timestamp(object).and_then(time::parse);
    at.is_some_and(|at| kelson_process::now().as_second() > at.as_second() + LEEWAY)
}

async fn get(store: &dyn Store, plural: &str, namespace: &str, name: &str) -> Option<Object> {
    let (kind, _) = kelson_registry::resolve("", "v1", plural)?;
    let entry = store.get(&crate::objects::key(kind, namespace, name)).await.ok()??;
    crate::objects::decode(&entry).ok()
}
