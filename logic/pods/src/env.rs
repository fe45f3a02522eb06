//! A container's environment as its specification asks for it (E7): sources resolved, `$(VAR)` expanded, in order.
//!
//! Order: `envFrom` (keys sorted within a source), `env` as written, then the service variables nobody overrode. Pure;
//! a missing ConfigMap, Secret or key is an error in upstream's words, unless it is optional.

use crate::ephemeral;
use crate::resources;
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, EnvFromSource, EnvVarSource, ObjectFieldSelector, Pod, Secret,
};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Where values come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// By name, of the pod's namespace; those that do not exist are absent.
    pub config_maps: BTreeMap<String, ConfigMap>,
    pub secrets: BTreeMap<String, Secret>,
    /// What [`crate::service_env`] made of the Services.
    pub services: Vec<(String, String)>,
    pub pod_ips: Vec<String>,
    pub host_ips: Vec<String>,
    /// What limits default to: the node's allocatable cpu (thousandths) and memory (bytes).
    pub node_cpu_milli: i64,
    pub node_memory: i64,
}

/// The variables of `container`; the error is the message of `CreateContainerConfigError`.
pub fn environment(
    pod: &Pod,
    container: &Container,
    sources: &Sources,
) -> Result<Vec<(String, String)>, String> {
    let mut variables = Variables { own: Vec::new(), services: &sources.services };
    for from in container.env_from.iter().flatten() {
        for (name, value) in whole_source(pod, from, sources)? {
            variables.set(&name, value);
        }
    }
    for variable in container.env.iter().flatten() {
        let literal = variable.value.as_deref().unwrap_or_default();
        let value = match (&variable.value_from, literal) {
            (Some(from), "") => one_value(pod, container, from, sources)?,
            _ => Some(expand(literal, |name| variables.get(name))),
        };
        if let Some(value) = value {
            variables.set(&variable.name, value);
        }
    }
    Ok(variables.all())
}

/// Variables in the order they were first set; a later value takes the earlier one's place.
struct Variables<'a> {
    own: Vec<(String, String)>,
    services: &'a [(String, String)],
}

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let all = self.own.iter().chain(self.services);
        all.into_iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
    }

    fn set(&mut self, name: &str, value: String) {
        match self.own.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => *old = value,
            None => self.own.push((name.to_owned(), value)),
        }
    }

    fn all(self) -> Vec<(String, String)> {
        let mut all = self.own;
        let added: Vec<_> = self
            .services
            .iter()
            .filter(|(name, _)| !all.iter().any(|(other, _)| other == name))
            .cloned()
            .collect();
        all.extend(added);
        all
    }
}

/// Every key of a ConfigMap or Secret, with the prefix.
fn whole_source(pod: &Pod, from: &EnvFromSource, sources: &Sources) -> Result<Vec<(String, String)>, String> {
    let prefix = from.prefix.as_deref().unwrap_or_default();
    let named = |(name, value): (&String, String)| (format!("{prefix}{name}"), value);
    if let Some(it) = &from.config_map_ref {
        let found = found("configmap", &it.name, sources.config_maps.get(&it.name), it.optional)?;
        let values = found.and_then(|map| map.data.as_ref()).into_iter().flatten();
        return Ok(values.map(|(name, value)| named((name, value.clone()))).collect());
    }
    if let Some(it) = &from.secret_ref {
        let found = found("secret", &it.name, sources.secrets.get(&it.name), it.optional)?;
        let values = found.and_then(|secret| secret.data.as_ref()).into_iter().flatten();
        return Ok(values.map(|(name, value)| named((name, text(&value.0)))).collect());
    }
    let _ = pod;
    Ok(Vec::new())
}

fn found<'a, K>(
    what: &str,
    name: &str,
    object: Option<&'a K>,
    optional: Option<bool>,
) -> Result<Option<&'a K>, String> {
    match (object, optional) {
        (None, None | Some(false)) => Err(format!("{what} \"{name}\" not found")),
        (object, _) => Ok(object),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The value of one `valueFrom`; None when what it names is optional and missing.
fn one_value(
    pod: &Pod,
    container: &Container,
    from: &EnvVarSource,
    sources: &Sources,
) -> Result<Option<String>, String> {
    if let Some(selector) = &from.field_ref {
        return field(pod, selector, &sources.pod_ips, &sources.host_ips).map(Some);
    }
    if let Some(selector) = &from.resource_field_ref {
        return resources::field(pod, container, selector, sources.node_cpu_milli, sources.node_memory)
            .map(Some);
    }
    if let Some(it) = &from.config_map_key_ref {
        let map = found("configmap", &it.name, sources.config_maps.get(&it.name), it.optional)?;
        let value = map.and_then(|map| map.data.as_ref()?.get(&it.key)).cloned();
        return keyed(value, "ConfigMap", pod, &it.name, &it.key, it.optional);
    }
    if let Some(it) = &from.secret_key_ref {
        let secret = found("secret", &it.name, sources.secrets.get(&it.name), it.optional)?;
        let value = secret.and_then(|secret| secret.data.as_ref()?.get(&it.key)).map(|value| text(&value.0));
        return keyed(value, "Secret", pod, &it.name, &it.key, it.optional);
    }
    Ok(Some(String::new()))
}

fn keyed(
    value: Option<String>,
    what: &str,
    pod: &Pod,
    name: &str,
    key: &str,
    optional: Option<bool>,
) -> Result<Option<String>, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    match (value, optional) {
        (None, None | Some(false)) => Err(format!("couldn't find key {key} in {what} {namespace}/{name}")),
        (value, _) => Ok(value),
    }
}

/// A field of the pod as the downward API gives it, in variables and in files.
pub fn field(
    pod: &Pod,
    selector: &ObjectFieldSelector,
    pod_ips: &[String],
    host_ips: &[String],
) -> Result<String, String> {
    let meta = &pod.metadata;
    let owned = |value: &Option<String>| value.clone().unwrap_or_default();
    let of_spec = |pick: fn(&k8s_openapi::api::core::v1::PodSpec) -> &Option<String>| {
        pod.spec.as_ref().map(|it| owned(pick(it))).unwrap_or_default()
    };
    let path = selector.field_path.as_str();
    Ok(match path {
        "metadata.name" => owned(&meta.name),
        "metadata.namespace" => owned(&meta.namespace),
        "metadata.uid" => owned(&meta.uid),
        "metadata.labels" => map_text(meta.labels.as_ref()),
        "metadata.annotations" => map_text(meta.annotations.as_ref()),
        "spec.nodeName" => of_spec(|it| &it.node_name),
        "spec.serviceAccountName" => of_spec(|it| &it.service_account_name),
        "status.hostIP" => host_ips.first().cloned().unwrap_or_default(),
        "status.hostIPs" => host_ips.join(","),
        "status.podIP" => pod_ips.first().cloned().unwrap_or_default(),
        "status.podIPs" => pod_ips.join(","),
        _ => match subscript(path) {
            Some(("metadata.labels", key)) => {
                meta.labels.as_ref().and_then(|it| it.get(key)).cloned().unwrap_or_default()
            }
            Some(("metadata.annotations", key)) => {
                meta.annotations.as_ref().and_then(|it| it.get(key)).cloned().unwrap_or_default()
            }
            _ => return Err(format!("unsupported fieldPath: {path}")),
        },
    })
}

/// `metadata.labels['app']` → (`metadata.labels`, `app`).
fn subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['")
}

/// `key="value"` lines, sorted by key; values quoted as Go quotes strings.
fn map_text(map: Option<&BTreeMap<String, String>>) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (key, value) in map.into_iter().flatten() {
        lines.push(format!("{key}={}", quoted(value)));
    }
    lines.join("\n")
}

/// Go's `%q` of a string.
pub(crate) fn quoted(value: &str) -> String {
    let mut out = String::from("\"");
    for letter in value.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            letter if letter.is_control() && (letter as u32) < 0x80 => {
                write!(out, "\\x{:02x}", letter as u32).expect("a String takes every write");
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// Replaces `$(NAME)` by its value; `$$` is one `$`; a name that is not known stays as it is written.
pub fn expand(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let named = after.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        rest = match (after.strip_prefix('$'), named) {
            (Some(after), _) => {
                out.push('$');
                after
            }
            (None, Some((name, after))) => {
                out.push_str(&value(name).unwrap_or_else(|| format!("$({name})")));
                after
            }
            (None, None) => {
                out.push('$');
                after
            }
        };
    }
    out.push_str(rest);
    out
}

/// The ConfigMaps and Secrets that the container's environment names, by (is a Secret, name).
pub fn references(pod: &Pod) -> Vec<(bool, String)> {
    let mut names = Vec::new();
    for container in ephemeral::with_others(pod) {
        for from in container.env_from.iter().flatten() {
            names.extend(from.config_map_ref.iter().map(|it| (false, it.name.clone())));
            names.extend(from.secret_ref.iter().map(|it| (true, it.name.clone())));
        }
        for from in container.env.iter().flatten().filter_map(|it| it.value_from.as_ref()) {
            names.extend(from.config_map_key_ref.iter().map(|it| (false, it.name.clone())));
            names.extend(from.secret_key_ref.iter().map(|it| (true, it.name.clone())));
        }
    }
    names.sort();
    names.dedup();
    names
}
