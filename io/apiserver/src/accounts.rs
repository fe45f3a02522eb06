//! Tokens of ServiceAccounts: issued, judged, and the documents that let others judge them.
//!
//! Invariant: a token is good only while the account it names, and the pod, Secret or Node it is bound to, exist with
//! the uids it was issued for. Keeps no state but the key; what exists is asked of the store every time.

mod claims;
mod jwt;
mod validity;

use std::sync::Arc;

use kelson_machinery::{Object, meta};
use kelson_store::Store;
use serde_json::{Value, json};

use crate::authn::User;
pub(crate) use claims::{Bound, Request};
pub use jwt::Error;

/// Who issued the tokens that Secrets of old hold.
const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";
/// How many bytes a token may have.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// See the module's head.
pub(crate) struct Accounts {
    signer: jwt::Signer,
    issuer: String,
    store: Arc<dyn Store>,
}

/// Whose a good token is.
#[derive(Debug)]
pub(crate) struct Bearer {
    pub user: User,
    /// Those of the asked audiences that the token is for.
    pub audiences: Vec<String>,
}

impl Accounts {
    /// With the key (PEM) that tokens are signed with, and the domain the issuer's name ends in.
    pub fn new(key: &str, cluster_domain: &str, store: Arc<dyn Store>) -> Result<Self, Error> {
        let issuer = format!("https://kubernetes.default.svc.{cluster_domain}");
        Ok(Self { signer: jwt::Signer::new(key)?, issuer, store })
    }

    /// The audiences of tokens for this server.
    pub fn audiences(&self) -> Vec<String> {
        vec![self.issuer.clone()]
    }

    /// A token for an account.
    pub fn issue(&self, account: &Object, request: &Request<'_>) -> String {
        self.signer.sign(&claims::bound(&self.issuer, account, request))
    }

    /// The token a Secret of type `kubernetes.io/service-account-token` holds: without an end, good while both exist.
    pub fn issue_legacy(&self, account: &Object, secret: &str) -> String {
        self.signer.sign(&claims::legacy(LEGACY_ISSUER, account, secret))
    }

    /// Whose a token is; `None` when it is not of our making. The error says why one of ours is not good.
    pub async fn judge(&self, token: &str, audiences: &[String]) -> Option<Result<Bearer, String>> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let claims = self.signer.verify(token)?;
        match claims["iss"].as_str() {
            Some(issuer) if issuer == self.issuer => Some(self.judge_bound(&claims, audiences).await),
            Some(LEGACY_ISSUER) => Some(self.judge_legacy(&claims, token, audiences).await),
            _ => None,
        }
    }

    async fn judge_bound(&self, claims: &Value, audiences: &[String]) -> Result<Bearer, String> {
        let own = claims["aud"].as_array().map_or(&[][..], Vec::as_slice);
        let meant: Vec<String> =
            audiences.iter().filter(|one| own.iter().any(|aud| aud == one.as_str())).cloned().collect();
        if meant.is_empty() {
            return Err(format!(
                "token audiences {} is invalid for the target audiences {}",
                said(own),
                go_list(audiences)
            ));
        }
        validity::in_time(claims, kelson_process::now())?;
        let user = validity::bound(&*self.store, claims).await?;
        Ok(Bearer { user, audiences: meant })
    }

    async fn judge_legacy(
        &self,
        claims: &Value,
        token: &str,
        audiences: &[String],
    ) -> Result<Bearer, String> {
        let meant: Vec<String> = audiences.iter().filter(|one| **one == self.issuer).cloned().collect();
        if meant.is_empty() {
            return Err("service account token is not for the target audiences".to_owned());
        }
        let user = validity::legacy(&*self.store, claims, token).await?;
        Ok(Bearer { user, audiences: meant })
    }

    /// The public key, for `/openid/v1/jwks`.
    pub fn keys(&self) -> Value {
        json!({ "keys": [self.signer.public_key()] })
    }

    /// What `/.well-known/openid-configuration` answers; `address` is where this server is reached.
    pub fn configuration(&self, address: &str) -> Value {
        json!({
            "issuer": self.issuer,
            "jwks_uri": format!("https://{address}/openid/v1/jwks"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [jwt::ALGORITHM],
        })
    }
}

/// A list as Go's `%q` writes it.
fn go_list(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| kelson_machinery::text::quote(word)).collect();
    format!("[{}]", quoted.join(" "))
}

fn said(words: &[Value]) -> String {
    go_list(&words.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>())
}

/// The user that an account is, with nothing said of how it showed that.
pub(crate) fn user(namespace: &str, name: &str, uid: &str) -> User {
    let group = format!("system:serviceaccounts:{namespace}");
    let mut user = User::new(kelson_rbac::account_name(namespace, name), &["system:serviceaccounts", &group]);
    user.uid = uid.to_owned();
    user
}

/// Name and uid of an object, as claims hold them.
fn named(object: &Object) -> Value {
    json!({"name": meta::name(object), "uid": meta::uid(object)})
}

#[cfg(test)]
mod tests;
