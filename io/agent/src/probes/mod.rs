//! Carrying out one probe (F8). What its results add up to is decided in `kelson_pods`.

pub mod grpc;
pub mod http;

use crate::command::{self, Outcome};
use k8s_openapi::api::core::v1::{Container, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kelson_pods::{ProbeKind, ProbeOutcome};
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// Runs the container's probe of this kind once, against the pod's address `ip`.
pub async fn run(
    shim: &kelson_runtime::Pod,
    container: &Container,
    id: &str,
    kind: ProbeKind,
    ip: &str,
) -> ProbeOutcome {
    let Some(probe) = kind.of(container) else { return ProbeOutcome::Success };
    let seconds = u64::try_from(probe.timeout_seconds.unwrap_or(1)).unwrap_or(1).max(1);
    once(shim, container, id, probe, ip, Duration::from_secs(seconds)).await
}

async fn once(
    shim: &kelson_runtime::Pod,
    container: &Container,
    id: &str,
    probe: &Probe,
    ip: &str,
    limit: Duration,
) -> ProbeOutcome {
    if let Some(exec) = &probe.exec {
        return exec_probe(shim, id, exec.command.as_deref().unwrap_or_default(), limit).await;
    }
    if let Some(get) = &probe.http_get {
        return match named_port(container, &get.port) {
            Ok(port) => http_probe(get, ip, port, limit).await,
            Err(why) => ProbeOutcome::Errored(why),
        };
    }
    if let Some(socket) = &probe.tcp_socket {
        let host = socket.host.as_deref().filter(|it| !it.is_empty()).unwrap_or(ip);
        return match named_port(container, &socket.port) {
            Ok(port) => tcp_probe(host, port, limit).await,
            Err(why) => ProbeOutcome::Errored(why),
        };
    }
    if let Some(grpc) = &probe.grpc {
        let service = grpc.service.as_deref().unwrap_or_default();
        return grpc::check(ip, u16::try_from(grpc.port).unwrap_or(0), service, limit).await;
    }
    ProbeOutcome::Errored("missing probe handler".to_owned())
}

async fn exec_probe(shim: &kelson_runtime::Pod, id: &str, args: &[String], limit: Duration) -> ProbeOutcome {
    match command::run(shim, id, args, limit).await {
        Outcome::Ended { code: 0, .. } => ProbeOutcome::Success,
        Outcome::Ended { output, .. } => ProbeOutcome::Failure(output),
        Outcome::TimedOut => ProbeOutcome::Failure(format!(
            "command timed out: {:?} timed out after {}s",
            args.join(" "),
            limit.as_secs()
        )),
        Outcome::Failed(why) => ProbeOutcome::Errored(why),
    }
}

async fn http_probe(
    get: &k8s_openapi::api::core::v1::HTTPGetAction,
    ip: &str,
    port: u16,
    limit: Duration,
) -> ProbeOutcome {
    match http::get(get, ip, port, limit, http::PROBE_AGENT).await {
        Ok(http::Answer { status: 200..=299, .. }) => ProbeOutcome::Success,
        Ok(http::Answer { status: 300..=399, location }) => {
            ProbeOutcome::Warning(format!("Probe terminated redirects, Response body: {location}"))
        }
        Ok(http::Answer { status, .. }) => {
            ProbeOutcome::Failure(format!("HTTP probe failed with statuscode: {status}"))
        }
        Err(error) => ProbeOutcome::Failure(error.to_string()),
    }
}

async fn tcp_probe(host: &str, port: u16, limit: Duration) -> ProbeOutcome {
    match tokio::time::timeout(limit, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => ProbeOutcome::Success,
        Ok(Err(error)) => ProbeOutcome::Failure(dial_error(host, port, &error)),
        Err(_) => ProbeOutcome::Failure(format!("dial tcp {}: i/o timeout", address(host, port))),
    }
}

/// `host:port`, an IPv6 address in brackets.
pub fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// A failed connect as Go words it, which is what people search for.
pub fn dial_error(host: &str, port: u16, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
        _ => error.to_string(),
    };
    format!("dial tcp {}: {why}", address(host, port))
}

/// A port by number, or by the name the container gives it.
pub fn named_port(container: &Container, port: &IntOrString) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => container
            .ports
            .iter()
            .flatten()
            .find(|it| it.name.as_deref() == Some(name))
            .map(|it| it.container_port)
            .or_else(|| name.parse().ok()),
    };
    let valid = number.and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
    valid.ok_or_else(|| match port {
        IntOrString::Int(number) => format!("invalid port number: {number}"),
        IntOrString::String(name) => format!("couldn't find port: {name}"),
    })
}
