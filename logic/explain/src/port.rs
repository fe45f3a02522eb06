//! The port: whether the Service has it, and what somebody who asks for another one may have meant.

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kelson_model::Protocol;

use crate::question::{PortAsked, PortName};
use crate::service::is_headless;
use crate::step::{Step, StepName};
use crate::words::{self, full, in_namespace, list, name, namespace};

/// The ports of a Service.
pub(crate) fn ports(service: &Service) -> &[ServicePort] {
    service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default()
}

/// The ports that are meant: the one asked for, else all; the step that says why there is none.
pub(crate) fn chosen<'a>(
    service: &'a Service,
    asked: Option<&PortAsked>,
) -> Result<Vec<&'a ServicePort>, Step> {
    let all = ports(service);
    let Some(asked) = asked else { return Ok(all.iter().collect()) };
    let fits = |port: &&ServicePort| is_called(port, &asked.port) && speaks(port, asked.protocol);
    match all.iter().find(fits) {
        Some(port) if !(is_headless(service) && translates(port, &asked.port)) => Ok(vec![port]),
        Some(port) => Err(not_translated(service, port)),
        None => match all.iter().find(|port| is_headless(service) && is_target(port, &asked.port)) {
            Some(port) => Ok(vec![port]),
            None => Err(missing(service, asked)),
        },
    }
}

/// The step that says what the chosen ports lead to.
pub(crate) fn step(chosen: &[&ServicePort]) -> Option<Step> {
    let shown: Vec<String> = chosen
        .iter()
        .map(|port| format!("{} leads to target port {}", words::port(port), target(port)))
        .collect();
    let (first, more) = shown.split_first()?;
    Some(Step::ok(StepName::Port, first.clone()).details(more.to_vec()))
}

/// The target port as the object has it.
pub(crate) fn target(port: &ServicePort) -> String {
    match &port.target_port {
        Some(IntOrString::String(name)) => name.clone(),
        Some(IntOrString::Int(number)) => number.to_string(),
        None => port.port.to_string(),
    }
}

/// Whether it speaks TCP.
pub(crate) fn is_tcp(port: &ServicePort) -> bool {
    speaks(port, Some(Protocol::Tcp))
}

fn is_called(port: &ServicePort, asked: &PortName) -> bool {
    match asked {
        PortName::Number(number) => port.port == i32::from(*number),
        PortName::Name(name) => port.name.as_deref() == Some(name),
    }
}

fn is_target(port: &ServicePort, asked: &PortName) -> bool {
    match asked {
        PortName::Number(number) => target(port) == number.to_string(),
        PortName::Name(name) => target(port) == *name,
    }
}

fn speaks(port: &ServicePort, protocol: Option<Protocol>) -> bool {
    protocol.is_none_or(|protocol| Protocol::parse(words::protocol(port)) == Some(protocol))
}

/// Whether a client that connects to `asked` would need the port translated to reach the pods.
fn translates(port: &ServicePort, asked: &PortName) -> bool {
    matches!(asked, PortName::Number(_))
        && target(port).parse::<i32>().is_ok_and(|target| target != port.port)
}

fn not_translated(service: &Service, port: &ServicePort) -> Step {
    let sentence = format!(
        "{} is headless, so port {} is not translated: clients reach the pods themselves, which listen on {}",
        full(&service.metadata),
        port.port,
        target(port)
    );
    Step::wrong(
        StepName::Port,
        sentence,
        format!("connect to port {}, or give the Service a ClusterIP", target(port)),
    )
}

/// Why the Service does not have the port, and what may have been meant.
fn missing(service: &Service, asked: &PortAsked) -> Step {
    let all = ports(service);
    let called = full(&service.metadata);
    let said = match &asked.port {
        PortName::Number(number) => number.to_string(),
        PortName::Name(name) => format!("called {name}"),
    };
    let connect =
        |port: &ServicePort| format!("connect to port {} of {}", port.port, name(&service.metadata));
    if let Some(port) = all.iter().find(|port| is_called(port, &asked.port)) {
        let wanted = asked.protocol.map_or_else(String::new, |protocol| protocol.to_string());
        let sentence = format!("port {said} of {called} is {}, not {wanted}", words::protocol(port));
        let command = format!(
            "kubectl edit service {}{}",
            name(&service.metadata),
            in_namespace(namespace(&service.metadata))
        );
        return Step::wrong(
            StepName::Port,
            sentence,
            format!("{command} (add the port with protocol: {wanted})"),
        );
    }
    if let Some(port) = all.iter().find(|port| is_target(port, &asked.port)) {
        let sentence = format!(
            "{called} has no port {said}; that is where its pods listen, and clients connect to {}",
            words::port(port)
        );
        return Step::wrong(StepName::Port, sentence, connect(port));
    }
    let is_node_port = |port: &&ServicePort| matches!(asked.port, PortName::Number(number) if port.node_port == Some(i32::from(number)));
    if let Some(port) = all.iter().find(is_node_port) {
        let sentence = format!(
            "{called} has no port {said}; that is its port on every node, and at its own address it is {}",
            words::port(port)
        );
        return Step::wrong(StepName::Port, sentence, connect(port));
    }
    let shown: Vec<String> = all.iter().map(words::port).collect();
    let sentence = format!("{called} has no port {said}; it has {}", list(&shown));
    let next =
        all.first().map_or_else(|| format!("kubectl edit service {}", name(&service.metadata)), connect);
    Step::wrong(StepName::Port, sentence, next)
}
