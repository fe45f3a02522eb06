//! One HTTP GET without trusting anything: no certificate is checked, little of the answer is read (F8).
//!
//! Redirects to the same host are followed up to [`REDIRECTS_MAX`]; one to another host is answered as it is.

use super::{address, dial_error};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::{ACCEPT, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::HTTPGetAction;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

pub const PROBE_AGENT: &str = "kube-probe/1.37";
pub const HOOK_AGENT: &str = "kube-lifecycle/1.37";
const REDIRECTS_MAX: usize = 10;

/// What the server answered.
pub struct Answer {
    pub status: u16,
    /// Where it redirects to; empty if it does not.
    pub location: String,
}

/// Why there is no answer, as Go's client words it.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("Get \"{url}\": {why}")]
    Connect { url: String, why: String },
    #[error("Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)")]
    TimedOut { url: String },
    #[error("invalid {what} {value:?}")]
    Invalid { what: &'static str, value: String },
}

/// Where one request goes.
struct Target {
    tls: bool,
    host: String,
    port: u16,
    path: String,
}

impl Target {
    fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", address(&self.host, self.port), self.path)
    }
}

/// Asks as the action says; `ip` unless it names a host.
pub async fn get(
    action: &HTTPGetAction,
    ip: &str,
    port: u16,
    limit: Duration,
    agent: &str,
) -> Result<Answer, HttpError> {
    let tls = action.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    let host = action.host.clone().filter(|it| !it.is_empty()).unwrap_or_else(|| ip.to_owned());
    let path = action.path.clone().unwrap_or_default();
    let path = if path.starts_with('/') { path } else { format!("/{path}") };
    let first = Target { tls, host, port, path };
    let url = first.url();
    match tokio::time::timeout(limit, follow(action, first, agent)).await {
        Ok(answer) => answer,
        Err(_) => Err(HttpError::TimedOut { url }),
    }
}

async fn follow(action: &HTTPGetAction, mut target: Target, agent: &str) -> Result<Answer, HttpError> {
    for _ in 0..REDIRECTS_MAX {
        let answer = once(action, &target, agent).await?;
        let next =
            if (300..400).contains(&answer.status) { redirected(&target, &answer.location) } else { None };
        match next {
            Some(next) => target = next,
            None => return Ok(answer),
        }
    }
    Err(HttpError::Connect { url: target.url(), why: format!("stopped after {REDIRECTS_MAX} redirects") })
}

/// The same host's other place, if that is where it leads.
fn redirected(from: &Target, location: &str) -> Option<Target> {
    let uri: Uri = location.parse().ok()?;
    let path = uri.path_and_query().map_or("/", |it| it.as_str()).to_owned();
    let Some(host) = uri.host() else {
        return location.starts_with('/').then(|| Target {
            tls: from.tls,
            host: from.host.clone(),
            port: from.port,
            path,
        });
    };
    let tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    (host.trim_matches(['[', ']']) == from.host).then(|| Target { tls, host: from.host.clone(), port, path })
}

async fn once(action: &HTTPGetAction, target: &Target, agent: &str) -> Result<Answer, HttpError> {
    let failed = |why: String| HttpError::Connect { url: target.url(), why };
    let stream = TcpStream::connect((target.host.as_str(), target.port))
        .await
        .map_err(|error| failed(dial_error(&target.host, target.port, &error)))?;
    if !target.tls {
        return ask(action, target, agent, stream).await;
    }
    let name = ServerName::try_from(target.host.clone())
        .map_err(|_| HttpError::Invalid { what: "host", value: target.host.clone() })?;
    let tls = tokio_rustls::TlsConnector::from(Arc::new(kelson_tls::trusting())).connect(name, stream).await;
    ask(action, target, agent, tls.map_err(|error| failed(error.to_string()))?).await
}

async fn ask(
    action: &HTTPGetAction,
    target: &Target,
    agent: &str,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Answer, HttpError> {
    let failed = |error: hyper::Error| HttpError::Connect { url: target.url(), why: error.to_string() };
    let request = request(action, target, agent)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(failed);
    connection.abort();
    let answer = answer?;
    let location =
        answer.headers().get(LOCATION).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
    Ok(Answer { status: answer.status().as_u16(), location })
}

fn request(action: &HTTPGetAction, target: &Target, agent: &str) -> Result<Request<Empty<Bytes>>, HttpError> {
    let invalid = |what, value: &str| HttpError::Invalid { what, value: value.to_owned() };
    let mut request =
        Request::get(&target.path).body(Empty::new()).map_err(|_| invalid("path", &target.path))?;
    let headers = request.headers_mut();
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| invalid("header value", text));
    headers.insert(HOST, value(&address(&target.host, target.port))?);
    headers.insert(USER_AGENT, value(agent)?);
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    for header in action.http_headers.iter().flatten() {
        let name = HeaderName::try_from(&header.name).map_err(|_| invalid("header", &header.name))?;
        headers.insert(name, value(&header.value)?);
    }
    Ok(request)
}
