//! One HTTP request taken to a program in a pod, and its answer brought back: bodies as they flow, upgrades intact.
//!
//! Invariant: the program never sees the credential the user showed to the API. Bounds: so many requests at once, so long
//! to connect; what flows is bounded by the two ends, since nothing is held here. It is no authority on the program's
//! certificate: none is checked, as upstream checks none.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, Version, header};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use kelson_machinery::status::Status;
use kelson_process::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::compression::AsItCame;
use crate::response::Reply;

/// Requests under way and connections upgraded, at most.
static UNDER_WAY: Semaphore = Semaphore::const_new(512);
/// How long a program may take to accept a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(30);

/// What concerns one connection alone and is not passed on (RFC 9110, 7.6.1), besides what `Connection` names.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Whether by TLS.
    pub tls: bool,
    /// The program.
    pub address: SocketAddr,
    /// The path of the API under which the program appears, without a slash at the end.
    pub prefix: String,
    /// The path the program is asked for, as it came.
    pub path: String,
}

/// Takes the request to its target.
pub(crate) async fn forward(target: &Target, mut request: Request, shutdown: Shutdown) -> Reply {
    let busy = |_| Status::too_many_requests("Too many requests, please try again later.", 1);
    let permit = UNDER_WAY.try_acquire().map_err(busy)?;
    let client = is_upgrade(request.headers()).then(|| hyper::upgrade::on(&mut request));
    let host = prepare(target, &mut request)?;
    let unreachable =
        |why: String| Status::service_unavailable(format!("error trying to reach service: {why}"));
    let mut answer = send(target, request).await.map_err(unreachable)?;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some(client) = client else {
            return Err(unreachable("the program changed the protocol unasked".into()));
        };
        tokio::spawn(tunnel(client, hyper::upgrade::on(&mut answer), shutdown, permit));
        return Ok(answer.map(|_| Body::empty()));
    }
    strip(answer.headers_mut());
    relocate(target, &host, answer.headers_mut());
    answer.extensions_mut().insert(AsItCame);
    Ok(answer.map(|body| {
        Body::new(body.map_frame(move |frame| {
            // The permit lives as long as the body.
            let _ = &permit;
            frame
        }))
    }))
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    let upgrades = |value: &HeaderValue| {
        value.to_str().is_ok_and(|text| text.split(',').any(|it| it.trim().eq_ignore_ascii_case("upgrade")))
    };
    headers.contains_key(header::UPGRADE) && headers.get_all(header::CONNECTION).iter().any(upgrades)
}

/// Makes the user's request the program's; the host it was sent to.
fn prepare(target: &Target, request: &mut Request) -> Result<String, Status> {
    let known = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    let host = known.or_else(|| request.uri().authority().map(|it| it.as_str()));
    let host = host.map_or_else(|| target.address.to_string(), str::to_owned);
    let forwarded = request.uri().path().to_owned();
    let path = if target.path.is_empty() { "/" } else { &target.path };
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let wanted = format!("{path}{query}").parse::<PathAndQuery>();
    let wanted = wanted.map_err(|error| Status::bad_request(format!("invalid path: {error}")))?;
    let protocol = is_upgrade(request.headers()).then(|| request.headers().get(header::UPGRADE).cloned());
    let headers = request.headers_mut();
    strip(headers);
    headers.remove(header::AUTHORIZATION);
    let impersonation: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("impersonate-")).cloned().collect();
    impersonation.iter().for_each(|name| drop(headers.remove(name)));
    if let Some(protocol) = protocol.flatten() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
    let told = [
        ("x-forwarded-uri", forwarded.as_str()),
        ("x-forwarded-host", &host),
        ("x-forwarded-proto", "https"),
    ];
    for (name, value) in told.into_iter().chain([("host", host.as_str())]) {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    *request.uri_mut() = Uri::from(wanted);
    *request.version_mut() = Version::HTTP_11;
    Ok(host)
}

/// Removes what concerns one connection alone.
fn strip(headers: &mut HeaderMap) {
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<HeaderName> =
        named.flat_map(|text| text.split(',')).filter_map(|name| name.trim().parse().ok()).collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

/// A redirection within the program is one within its path of the API.
fn relocate(target: &Target, host: &str, headers: &mut HeaderMap) {
    let place = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let Some(uri) = place.and_then(|place| place.parse::<Uri>().ok()) else { return };
    let address = target.address.to_string();
    let elsewhere = uri.authority().is_some_and(|it| it.as_str() != address && it.as_str() != host);
    let path = uri.path_and_query().map_or("/", |it| it.as_str());
    if elsewhere || !path.starts_with('/') || path.starts_with(&target.prefix) {
        return;
    }
    if let Ok(value) = HeaderValue::from_str(&format!("{}{path}", target.prefix)) {
        headers.insert(header::LOCATION, value);
    }
}

/// Connects and asks; why not, in the words of Go's client.
async fn send(target: &Target, request: Request) -> Result<Response<hyper::body::Incoming>, String> {
    let late = |_| format!("dial tcp {}: i/o timeout", target.address);
    let stream = tokio::time::timeout(CONNECT, TcpStream::connect(target.address)).await.map_err(late)?;
    let stream = stream.map_err(|error| format!("dial tcp {}: {}", target.address, why(&error)))?;
    if !target.tls {
        return ask(stream, request).await;
    }
    let connector = tokio_rustls::TlsConnector::from(Arc::new(kelson_tls::trusting()));
    let connect = connector.connect(target.address.ip().into(), stream);
    let stream =
        tokio::time::timeout(CONNECT, connect).await.map_err(|_| "net/http: TLS handshake timeout")?;
    ask(stream.map_err(|error| error.to_string())?, request).await
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request,
) -> Result<Response<hyper::body::Incoming>, String> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to a program ended");
        }
    });
    sender.send_request(request).await.map_err(|error| error.to_string())
}

fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".into(),
        io::ErrorKind::HostUnreachable => "connect: no route to host".into(),
        io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".into(),
        io::ErrorKind::TimedOut => "connect: connection timed out".into(),
        _ => error.to_string(),
    }
}

/// Both ways until either end is done, or the server ends.
async fn tunnel(
    client: OnUpgrade,
    program: OnUpgrade,
    shutdown: Shutdown,
    _permit: SemaphorePermit<'static>,
) {
    let copy = async {
        let (client, program) = tokio::try_join!(client, program)?;
        let (mut client, mut program) = (TokioIo::new(client), TokioIo::new(program));
        tokio::io::copy_bidirectional(&mut client, &mut program).await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    };
    tokio::select! {
        result = copy => {
            if let Err(error) = result {
                tracing::debug!(%error, "an upgraded connection to a program ended");
            }
        }
        () = shutdown.cancelled() => {}
    }
}

#[cfg(test)]
mod tests;
