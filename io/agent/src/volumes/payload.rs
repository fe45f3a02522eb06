//! What the files of a ConfigMap, Secret, downward API or projected volume are: paths, bytes, modes.
//!
//! Missing objects and keys are upstream's errors unless they are optional.

use super::atomic::Payload;
use crate::host::Host;
use crate::objects::{Key, Kind, Object};
use k8s_openapi::api::core::v1::{
    DownwardAPIVolumeFile, KeyToPath, Pod, ServiceAccountTokenProjection, Volume,
};
use kelson_pods::{container, env, resources};
use std::collections::BTreeMap;
use std::path::PathBuf;

const MODE: i32 = 0o644;

/// Whether the volume's content is written by the agent from objects.
pub fn is_projected(volume: &Volume) -> bool {
    volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.downward_api.is_some()
        || volume.projected.is_some()
}

/// The ConfigMaps and Secrets that the pod's volumes name.
pub fn references(pod: &Pod) -> Vec<(Kind, String)> {
    let mut names = Vec::new();
    let mut name = |kind, name: Option<String>| names.extend(name.map(|name| (kind, name)));
    for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
        name(Kind::ConfigMap, volume.config_map.as_ref().map(|it| it.name.clone()));
        name(Kind::Secret, volume.secret.as_ref().and_then(|it| it.secret_name.clone()));
        for source in volume.projected.iter().flat_map(|it| it.sources.iter().flatten()) {
            name(Kind::ConfigMap, source.config_map.as_ref().map(|it| it.name.clone()));
            name(Kind::Secret, source.secret.as_ref().map(|it| it.name.clone()));
        }
    }
    names
}

/// The files of a volume. The error says what is missing.
pub async fn of(host: &Host, pod: &Pod, volume: &Volume, pod_ips: &[String]) -> Result<Payload, String> {
    let mut files = Files { host, pod, pod_ips, out: Payload::new() };
    if let Some(it) = &volume.config_map {
        files.config_map(&it.name, &it.items, it.default_mode, it.optional).await?;
    }
    if let Some(it) = &volume.secret {
        files
            .secret(it.secret_name.as_deref().unwrap_or_default(), &it.items, it.default_mode, it.optional)
            .await?;
    }
    if let Some(it) = &volume.downward_api {
        files.downward(&it.items, it.default_mode)?;
    }
    if let Some(it) = &volume.projected {
        for source in it.sources.iter().flatten() {
            if let Some(map) = &source.config_map {
                files.config_map(&map.name, &map.items, it.default_mode, map.optional).await?;
            }
            if let Some(secret) = &source.secret {
                files.secret(&secret.name, &secret.items, it.default_mode, secret.optional).await?;
            }
            if let Some(downward) = &source.downward_api {
                files.downward(&downward.items, it.default_mode)?;
            }
            if let Some(token) = &source.service_account_token {
                files.token(token, it.default_mode).await?;
            }
        }
    }
    Ok(files.out)
}

struct Files<'a> {
    host: &'a Host,
    pod: &'a Pod,
    pod_ips: &'a [String],
    out: Payload,
}

type Content = BTreeMap<String, Vec<u8>>;

impl Files<'_> {
    async fn config_map(
        &mut self,
        name: &str,
        items: &Option<Vec<KeyToPath>>,
        mode: Option<i32>,
        optional: Option<bool>,
    ) -> Result<(), String> {
        let content = match self.object(Kind::ConfigMap, name).await {
            Some(Object::ConfigMap(map)) => {
                let text =
                    map.data.iter().flatten().map(|(key, value)| (key.clone(), value.clone().into_bytes()));
                let binary =
                    map.binary_data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()));
                text.chain(binary).collect()
            }
            _ if optional == Some(true) => return Ok(()),
            _ => return Err(format!("configmap \"{name}\" not found")),
        };
        self.add(content, items, mode, optional)
    }

    async fn secret(
        &mut self,
        name: &str,
        items: &Option<Vec<KeyToPath>>,
        mode: Option<i32>,
        optional: Option<bool>,
    ) -> Result<(), String> {
        let content = match self.object(Kind::Secret, name).await {
            Some(Object::Secret(secret)) => {
                secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())).collect()
            }
            _ if optional == Some(true) => return Ok(()),
            _ => return Err(format!("secret \"{name}\" not found")),
        };
        self.add(content, items, mode, optional)
    }

    async fn object(&self, kind: Kind, name: &str) -> Option<Object> {
        let namespace = self.pod.metadata.namespace.clone().unwrap_or_default();
        let key = Key { kind, namespace, name: name.to_owned() };
        self.host.objects.follow(&key).get().await
    }

    /// All keys, or those that are listed under the paths they are given.
    fn add(
        &mut self,
        content: Content,
        items: &Option<Vec<KeyToPath>>,
        mode: Option<i32>,
        optional: Option<bool>,
    ) -> Result<(), String> {
        let Some(items) = items.as_ref().filter(|items| !items.is_empty()) else {
            let files = content.into_iter().map(|(key, value)| (PathBuf::from(key), (value, bits(mode))));
            self.out.extend(files);
            return Ok(());
        };
        for item in items {
            match content.get(&item.key) {
                Some(value) => drop(
                    self.out.insert(PathBuf::from(&item.path), (value.clone(), bits(item.mode.or(mode)))),
                ),
                None if optional == Some(true) => {}
                None => return Err("references non-existent config key: ".to_owned() + &item.key),
            }
        }
        Ok(())
    }

    fn downward(
        &mut self,
        items: &Option<Vec<DownwardAPIVolumeFile>>,
        mode: Option<i32>,
    ) -> Result<(), String> {
        for item in items.iter().flatten() {
            let text = match (&item.field_ref, &item.resource_field_ref) {
                (Some(selector), _) => env::field(self.pod, selector, self.pod_ips, &self.host.node_ips())?,
                (None, Some(selector)) => {
                    let named = container(self.pod, selector.container_name.as_deref().unwrap_or_default());
                    let named = named
                        .ok_or_else(|| "a resourceFieldRef of a volume must name a container".to_owned())?;
                    resources::field(
                        self.pod,
                        named,
                        selector,
                        self.host.capacity.cpu_milli,
                        self.host.capacity.memory,
                    )?
                }
                (None, None) => continue,
            };
            self.out.insert(PathBuf::from(&item.path), (text.into_bytes(), bits(item.mode.or(mode))));
        }
        Ok(())
    }

    async fn token(
        &mut self,
        source: &ServiceAccountTokenProjection,
        mode: Option<i32>,
    ) -> Result<(), String> {
        let token = self.host.tokens.get(self.pod, source).await?;
        self.out.insert(PathBuf::from(&source.path), (token.into_bytes(), bits(mode)));
        Ok(())
    }
}

/// A mode of the API as permission bits.
fn bits(mode: Option<i32>) -> u32 {
    u32::try_from(mode.unwrap_or(MODE)).unwrap_or(0o644) & 0o777
}
