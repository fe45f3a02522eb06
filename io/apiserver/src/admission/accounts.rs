//! What ServiceAccounts mean for pods and Secrets as they are created (upstream's admission plugin ServiceAccount and
//! its token controller): the account must exist, its token is mounted, a Secret made for one is given a token.
//!
//! Changes only the object being created.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kelson_machinery::status::{GroupName, Status};
use kelson_machinery::text::quote;
use kelson_machinery::{Object, meta, names};
use serde_json::{Value, json};

use crate::objects;
use crate::state::Call;

/// Where programs look for the token.
const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const VOLUME_PREFIX: &str = "kube-api-access-";
const DEFAULT: &str = "default";
/// Upstream's odd lifetime, by which the token request knows an injected volume: such tokens outlive it.
pub(crate) const INJECTED_SECONDS: i64 = 3607;

/// A new namespace gets its account `default` from a controller; pods that come first wait for it.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// Completes a pod that is being created.
pub(super) async fn complete_pod(call: &Call, pod: &mut Object) -> Result<(), Status> {
    if meta::annotation(pod, "kubernetes.io/config.mirror").is_some() {
        return Ok(());
    }
    let spec = |field: &str| meta::get_str(pod, &["spec", field]).to_owned();
    let named = [spec("serviceAccountName"), spec("serviceAccount"), DEFAULT.to_owned()];
    let name = named.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    let account = wait_for(call, &name).await?.ok_or_else(|| missing(call, pod, &name))?;
    meta::set(pod, &["spec", "serviceAccountName"], name.as_str());
    let automount = |object: &Object, path: &[&str]| meta::get(object, path).and_then(Value::as_bool);
    let wanted = automount(pod, &["spec", "automountServiceAccountToken"])
        .or_else(|| automount(&account, &["automountServiceAccountToken"]))
        .unwrap_or(true);
    if wanted {
        mount(pod, kelson_process::random_u64());
    }
    if meta::get_list(pod, &["spec", "imagePullSecrets"]).is_empty() {
        let secrets = meta::get_list(&account, &["imagePullSecrets"]).to_vec();
        if !secrets.is_empty() {
            meta::set(pod, &["spec", "imagePullSecrets"], secrets);
        }
    }
    Ok(())
}

fn missing(call: &Call, pod: &Object, name: &str) -> Status {
    let namespace = call.namespace();
    let found = format!("serviceaccount {} not found", quote(name));
    let why = format!("error looking up service account {namespace}/{name}: {found}");
    Status::forbidden(&GroupName::new("", "pods"), meta::name(pod), &why)
}

async fn wait_for(call: &Call, name: &str) -> Result<Option<Object>, Status> {
    let mut found = account(call, name).await?;
    for _ in 1..TRIES {
        if found.is_some() || name != DEFAULT {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        found = account(call, name).await?;
    }
    Ok(found)
}

/// A ServiceAccount of the call's namespace.
async fn account(call: &Call, name: &str) -> Result<Option<Object>, Status> {
    let (kind, _) =
        kelson_registry::resolve("", "v1", "serviceaccounts").expect("the registry declares ServiceAccount");
    let key = objects::key(kind, call.namespace(), name);
    let entry = call.core.store.get(&key).await.map_err(objects::store_failure)?;
    entry.map(|entry| objects::decode(&entry)).transpose()
}

/// Mounts the volume with token, CA and namespace into every container that has nothing else there.
fn mount(pod: &mut Object, random: u64) {
    let volumes = meta::get_list(pod, &["spec", "volumes"]);
    let own = volumes.iter().map(|volume| (meta::get_str(volume, &["name"]), volume));
    let known =
        own.filter(|(name, volume)| name.starts_with(VOLUME_PREFIX) && volume["projected"] == projected());
    let known = known.map(|(name, _)| name.to_owned()).next();
    let name = known.clone().unwrap_or_else(|| names::generate_name(VOLUME_PREFIX, random));
    let mut needed = false;
    for list in ["initContainers", "containers"] {
        let containers = pod["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for container in containers.filter(|container| !has_mount(container)) {
            let mount = json!({"name": name, "readOnly": true, "mountPath": MOUNT});
            push(container, &["volumeMounts"], mount);
            needed = true;
        }
    }
    if needed && known.is_none() {
        push(pod, &["spec", "volumes"], json!({"name": name, "projected": projected()}));
    }
}

fn has_mount(container: &Value) -> bool {
    meta::get_list(container, &["volumeMounts"]).iter().any(|mount| mount["mountPath"] == MOUNT)
}

fn push(object: &mut Value, path: &[&str], value: Value) {
    let mut all = meta::get_list(object, path).to_vec();
    all.push(value);
    meta::set(object, path, all);
}

fn projected() -> Value {
    json!({
        "defaultMode": 420,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": INJECTED_SECONDS, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [
                {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
            ]}},
        ],
    })
}

/// Gives a Secret of type `kubernetes.io/service-account-token` its token, if its account exists.
pub(super) async fn complete_secret(call: &Call, secret: &mut Object) -> Result<(), Status> {
    if meta::get_str(secret, &["type"]) != "kubernetes.io/service-account-token" {
        return Ok(());
    }
    let name = meta::annotation(secret, "kubernetes.io/service-account.name").unwrap_or_default().to_owned();
    let Some(account) = account(call, &name).await? else { return Ok(()) };
    const UID: &str = "kubernetes.io/service-account.uid";
    match meta::annotation(secret, UID) {
        Some(uid) if uid != meta::uid(&account) => return Ok(()),
        _ => meta::set_annotation(secret, UID, meta::uid(&account)),
    }
    let token = call.core.bearers.accounts.issue_legacy(&account, meta::name(secret));
    let values = [("token", token.as_str()), ("namespace", call.namespace()), ("ca.crt", &call.core.root_ca)];
    for (key, value) in values {
        meta::set(secret, &["data", key], STANDARD.encode(value));
    }
    Ok(())
}

/// A value of a Secret that is text.
pub(crate) fn secret_text(secret: &Object, key: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(secret["data"][key].as_str()?).ok()?).ok()
}

#[cfg(test)]
mod tests;
