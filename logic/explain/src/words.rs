//! Words: lists, plurals, names of objects and the commands that go with them. Pure leaves.

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Most names spelled out in one sentence.
const NAMED_MAX: usize = 3;

/// `a`, `a and b`, `a, b and c`, `a, b, c and 4 more`.
pub(crate) fn list<T: AsRef<str>>(names: &[T]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMED_MAX).map(AsRef::as_ref).collect();
    let rest = names.len() - shown.len();
    match (shown.as_slice(), rest) {
        ([], _) => "none".to_owned(),
        (shown, 1..) => format!("{} and {rest} more", shown.join(", ")),
        ([one], 0) => (*one).to_owned(),
        ([first @ .., last], 0) => format!("{} and {last}", first.join(", ")),
    }
}

/// `1 pod`, `2 pods`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// ` -n NAMESPACE`, or nothing in the namespace kubectl takes by itself.
pub(crate) fn in_namespace(namespace: &str) -> String {
    if namespace == "default" { String::new() } else { format!(" -n {namespace}") }
}

/// `80/TCP`, with its name when it has one.
pub(crate) fn port(port: &ServicePort) -> String {
    let number = format!("{}/{}", port.port, protocol(port));
    match port.name.as_deref() {
        None | Some("") => number,
        Some(name) => format!("{number} ({name})"),
    }
}

/// The protocol of a port; TCP when it says nothing.
pub(crate) fn protocol(port: &ServicePort) -> &str {
    port.protocol.as_deref().unwrap_or("TCP")
}

/// `app=web,tier=front`.
pub(crate) fn labels<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    let pairs: Vec<String> = labels.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

pub(crate) fn name(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}

pub(crate) fn namespace(metadata: &ObjectMeta) -> &str {
    metadata.namespace.as_deref().unwrap_or_default()
}

/// `namespace/name`.
pub(crate) fn full(metadata: &ObjectMeta) -> String {
    format!("{}/{}", namespace(metadata), name(metadata))
}

/// The type of a Service; `ClusterIP` when it says nothing.
pub(crate) fn service_type(service: &Service) -> &str {
    service.spec.as_ref().and_then(|spec| spec.type_.as_deref()).unwrap_or("ClusterIP")
}
