//! Tokens of ServiceAccounts for projected volumes: asked for when needed, asked for anew before they end.
//!
//! Kept in memory only; the file in the pod's volume is the single copy on disk.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount, ServiceAccountTokenProjection};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Seconds a token lasts unless the pod says otherwise.
const LIFETIME: i64 = 3600;

/// (pod uid, audience) → the token and when to ask for the next.
type Held = BTreeMap<(String, String), (String, Timestamp)>;

pub struct Tokens {
    client: kube::Client,
    held: Mutex<Held>,
}

impl Tokens {
    pub fn new(client: kube::Client) -> Tokens {
        Tokens { client, held: Mutex::default() }
    }

    /// A token bound to the pod. The error is the API's.
    pub async fn get(&self, pod: &Pod, source: &ServiceAccountTokenProjection) -> Result<String, String> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let key = (text(&pod.metadata.uid), text(&source.audience));
        let now = kelson_process::now();
        let held = self.held.lock().expect("no holder panics").get(&key).cloned();
        if let Some((token, _)) = held.filter(|(_, renew_at)| now < *renew_at) {
            return Ok(token);
        }
        let seconds = source.expiration_seconds.unwrap_or(LIFETIME);
        let account = pod
            .spec
            .as_ref()
            .and_then(|it| it.service_account_name.clone())
            .unwrap_or_else(|| "default".to_owned());
        let bound = BoundObjectReference {
            kind: Some("Pod".to_owned()),
            api_version: Some("v1".to_owned()),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
        };
        let audiences = source.audience.clone().filter(|it| !it.is_empty()).map(|it| vec![it]);
        let spec = TokenRequestSpec {
            audiences,
            expiration_seconds: Some(seconds),
            bound_object_ref: Some(bound),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let api: kube::Api<ServiceAccount> =
            kube::Api::namespaced(self.client.clone(), &text(&pod.metadata.namespace));
        let answer = api.create_token_request(&account, &Default::default(), &request).await;
        let status = answer.map_err(|error| format!("failed to fetch token: {error}"))?.status;
        let token = status.and_then(|it| it.token).ok_or("failed to fetch token: the API gave none")?;
        // Renewed when four fifths of its life are over, as upstream does.
        let renew_at =
            now.saturating_add(SignedDuration::from_secs(seconds * 4 / 5)).unwrap_or(Timestamp::MAX);
        self.held.lock().expect("no holder panics").insert(key, (token.clone(), renew_at));
        Ok(token)
    }

    /// Forgets a pod's tokens.
    pub fn forget(&self, uid: &str) {
        self.held.lock().expect("no holder panics").retain(|(pod, _), _| pod != uid);
    }
}
