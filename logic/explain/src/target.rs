//! The target port, where it is a name: whether the pods' containers have a port called so.

use k8s_openapi::api::core::v1::{Container, ContainerPort, Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::near::near;
use crate::step::{Step, StepName};
use crate::words::{count, in_namespace, list, name, namespace, protocol};

/// The step that says that a named target port is nobody's; nothing while all are somebody's.
pub(crate) fn step(service: &Service, ports: &[&ServicePort], pods: &[&Pod]) -> Option<Step> {
    ports.iter().find_map(|port| match &port.target_port {
        Some(IntOrString::String(wanted)) if !pods.is_empty() => of_port(service, port, wanted, pods),
        _ => None,
    })
}

fn of_port(service: &Service, port: &ServicePort, wanted: &str, pods: &[&Pod]) -> Option<Step> {
    let declares = |pod: &&&Pod| {
        declared(pod).any(|found| found.name.as_deref() == Some(wanted) && speaks(found, protocol(port)))
    };
    let without: Vec<&str> =
        pods.iter().filter(|pod| !declares(pod)).map(|pod| name(&pod.metadata)).collect();
    if without.is_empty() {
        return None;
    }
    if without.len() < pods.len() {
        let sentence = format!(
            "targetPort {wanted} is no container port of {}, which get{} no requests",
            list(&without),
            if without.len() == 1 { "s" } else { "" }
        );
        return Some(Step::warning(StepName::Target, sentence));
    }
    let mut named: Vec<(String, String)> = pods
        .iter()
        .flat_map(|pod| declared(pod))
        .map(|found| (found.name.clone().unwrap_or_default(), shown(found)))
        .collect();
    named.sort();
    named.dedup();
    let has = if named.is_empty() {
        "they declare no ports".to_owned()
    } else {
        format!("they have {}", list(&named.iter().map(|(_, shown)| shown).collect::<Vec<_>>()))
    };
    let sentence = format!(
        "targetPort {wanted}/{} is no container port of the {}; {has}",
        protocol(port),
        count(pods.len(), "pod")
    );
    Some(Step::wrong(StepName::Target, sentence, advice(service, port, wanted, &named)))
}

/// The patch that would mend it, when one port is close or there is but one; else where to look.
fn advice(service: &Service, port: &ServicePort, wanted: &str, named: &[(String, String)]) -> String {
    let names = named.iter().map(|(name, _)| name.as_str()).filter(|name| !name.is_empty());
    let close = near(wanted, names).first().map(|close| format!("\"{close}\""));
    let only = || match named {
        [(name, shown)] if name.is_empty() => shown.split('/').next().map(str::to_owned),
        [(name, _)] => Some(format!("\"{name}\"")),
        _ => None,
    };
    match close.or_else(only) {
        Some(instead) => patch(service, port, &instead),
        None => format!(
            "name the port in the pod template (ports: [{{name: {wanted}, containerPort: …}}]), or kubectl edit service {}{}",
            name(&service.metadata),
            in_namespace(namespace(&service.metadata))
        ),
    }
}

/// The command that gives a port of a Service the target port `instead`, in JSON.
pub(crate) fn patch(service: &Service, port: &ServicePort, instead: &str) -> String {
    format!(
        "kubectl patch service {}{} -p '{{\"spec\":{{\"ports\":[{{\"port\":{},\"protocol\":\"{}\",\"targetPort\":{instead}}}]}}}}'",
        name(&service.metadata),
        in_namespace(namespace(&service.metadata)),
        port.port,
        protocol(port)
    )
}

/// Container ports of a pod, sidecars' included.
pub(crate) fn declared(pod: &Pod) -> impl Iterator<Item = &ContainerPort> {
    let is_sidecar = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let spec = pod.spec.iter();
    let sidecars =
        pod.spec.iter().flat_map(move |spec| spec.init_containers.iter().flatten().filter(is_sidecar));
    spec.flat_map(|spec| &spec.containers)
        .chain(sidecars)
        .flat_map(|container| container.ports.iter().flatten())
}

fn speaks(port: &ContainerPort, protocol: &str) -> bool {
    port.protocol.as_deref().unwrap_or("TCP") == protocol
}

/// `http (8080/TCP)`, or the number alone.
fn shown(port: &ContainerPort) -> String {
    let number = format!("{}/{}", port.container_port, port.protocol.as_deref().unwrap_or("TCP"));
    match port.name.as_deref() {
        None | Some("") => number,
        Some(name) => format!("{name} ({number})"),
    }
}
