//! Who a pod pulls its images as: its imagePullSecrets, in the forms `kubectl create secret docker-registry` makes.
//!
//! Malformed Secrets are as good as none: the registry's refusal then says what is missing.

use crate::host::Host;
use crate::objects::{Key, Kind, Object};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{Pod, Secret};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `.dockerconfigjson`, and each value of the older `.dockercfg`.
#[derive(Deserialize, Default)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Login>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
struct Login {
    username: String,
    password: String,
    /// base64 of `user:password`.
    auth: String,
}

/// User and password for the registry of `image`, if one of the pod's Secrets has them.
pub async fn find(host: &Host, pod: &Pod, image: &str) -> Option<(String, String)> {
    let full = kelson_images::normalize(image).ok()?;
    let registry = full.split('/').next()?;
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    for secret in pod.spec.iter().flat_map(|it| it.image_pull_secrets.iter().flatten()) {
        let key = Key { kind: Kind::Secret, namespace: namespace.clone(), name: secret.name.clone() };
        if let Some(Object::Secret(secret)) = host.objects.follow(&key).get().await
            && let Some(found) = login(&secret, registry)
        {
            return Some(found);
        }
    }
    None
}

fn login(secret: &Secret, registry: &str) -> Option<(String, String)> {
    let content = |key: &str| secret.data.as_ref().and_then(|it| it.get(key)).map(|it| it.0.as_slice());
    let auths = match (content(".dockerconfigjson"), content(".dockercfg")) {
        (Some(bytes), _) => serde_json::from_slice::<DockerConfig>(bytes).ok()?.auths,
        (None, Some(bytes)) => serde_json::from_slice(bytes).ok()?,
        (None, None) => return None,
    };
    auths.iter().find(|(server, _)| host_of(server) == registry).and_then(|(_, login)| open(login))
}

/// `https://index.docker.io/v1/` is how Docker writes docker.io.
fn host_of(server: &str) -> &str {
    let rest = server.trim_start_matches("https://").trim_start_matches("http://");
    match rest.split('/').next().unwrap_or_default() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

fn open(login: &Login) -> Option<(String, String)> {
    if !login.username.is_empty() {
        return Some((login.username.clone(), login.password.clone()));
    }
    let plain = String::from_utf8(STANDARD.decode(&login.auth).ok()?).ok()?;
    let (user, password) = plain.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    //! Secrets as kubectl and Docker write them.

    use super::*;
    use serde_json::json;

    fn check(key: &str, content: serde_json::Value, registry: &str, expected: Option<(&str, &str)>) {
        let secret = Secret {
            data: Some([(key.to_owned(), k8s_openapi::ByteString(content.to_string().into_bytes()))].into()),
            ..Secret::default()
        };
        let got = login(&secret, registry);
        assert_eq!(got.as_ref().map(|(user, password)| (user.as_str(), password.as_str())), expected);
    }

    #[test]
    fn logins_are_found_by_registry() {
        let both = json!({"auths": {"https://index.docker.io/v1/": {"auth": "dTpwOnE="}, "r.example:5000": {"username": "a", "password": "b"}}});
        check(".dockerconfigjson", both.clone(), "docker.io", Some(("u", "p:q")));
        check(".dockerconfigjson", both.clone(), "r.example:5000", Some(("a", "b")));
        check(".dockerconfigjson", both.clone(), "other", None);
        check(".dockercfg", both["auths"].clone(), "docker.io", Some(("u", "p:q")));
        check(".dockerconfigjson", json!({"auths": 7}), "docker.io", None);
        check(".dockerconfigjson", json!({"auths": {"docker.io": {"auth": "%"}}}), "docker.io", None);
        check("other", both, "docker.io", None);
    }
}
