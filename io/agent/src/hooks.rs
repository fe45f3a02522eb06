//! postStart and preStop handlers (F19): a command in the container, an HTTP request to it, or a while of nothing.

use crate::command::{self, Outcome};
use crate::probes::{http, named_port};
use k8s_openapi::api::core::v1::{Container, LifecycleHandler, Pod};
use kelson_pods::HookKind;
use std::time::Duration;

/// Carries a handler out; the error is what the container's status says of it.
pub async fn run(
    pod: &Pod,
    shim: &kelson_runtime::Pod,
    container: &Container,
    id: &str,
    kind: HookKind,
    limit: Duration,
    ip: &str,
) -> Result<(), String> {
    let lifecycle = container.lifecycle.as_ref();
    let handler = match kind {
        HookKind::PostStart => lifecycle.and_then(|it| it.post_start.as_ref()),
        HookKind::PreStop => lifecycle.and_then(|it| it.pre_stop.as_ref()),
    };
    let Some(handler) = handler else { return Ok(()) };
    match tokio::time::timeout(limit, handle(pod, shim, container, id, handler, limit, ip)).await {
        Ok(result) => result,
        Err(_) => Err(format!("the handler did not end within {} seconds", limit.as_secs())),
    }
}

async fn handle(
    pod: &Pod,
    shim: &kelson_runtime::Pod,
    container: &Container,
    id: &str,
    handler: &LifecycleHandler,
    limit: Duration,
    ip: &str,
) -> Result<(), String> {
    if let Some(exec) = &handler.exec {
        return exec_hook(pod, shim, container, id, exec.command.as_deref().unwrap_or_default(), limit).await;
    }
    if let Some(get) = &handler.http_get {
        let port = named_port(container, &get.port)?;
        let answer = http::get(get, ip, port, limit, http::HOOK_AGENT).await;
        return answer.map(drop).map_err(|error| error.to_string());
    }
    if let Some(sleep) = &handler.sleep {
        tokio::time::sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0))).await;
        return Ok(());
    }
    Err("invalid handler: neither exec, httpGet nor sleep".to_owned())
}

async fn exec_hook(
    pod: &Pod,
    shim: &kelson_runtime::Pod,
    container: &Container,
    id: &str,
    args: &[String],
    limit: Duration,
) -> Result<(), String> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let of = format!(
        "Exec lifecycle hook ([{}]) for Container \"{}\" in Pod \"{name}_{namespace}({uid})\"",
        args.join(" "),
        container.name
    );
    match command::run(shim, id, args, limit).await {
        Outcome::Ended { code: 0, .. } => Ok(()),
        Outcome::Ended { code, output } => Err(format!(
            "{of} failed - error: command '{}' exited with {code}: {output}, message: {output:?}",
            args.join(" ")
        )),
        Outcome::TimedOut => Err(format!("{of} failed - error: it did not end in time, message: \"\"")),
        Outcome::Failed(why) => Err(format!("{of} failed - error: {why}, message: \"\"")),
    }
}
