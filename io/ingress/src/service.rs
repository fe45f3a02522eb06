//! A request's way: its head is checked, the table decides, its fields are rewritten, a backend answers, the answer is
//! handed on. What has no backend gets a short page that says why, without naming anything inside the cluster.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri};
use kelson_process::Shutdown;
use kelson_routes::{AppProtocol, Unavailable, normalize_host};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::activity::Activity;
use crate::balance::Balance;
use crate::body::{Reply, Upload};
use crate::config::Config;
use crate::connect::Version;
use crate::forward::{Exchange, Failure, Sending, forward};
use crate::head::{self, Origin};
use crate::metrics::Shard;
use crate::places::{Place, Places};
use crate::routing::{Reach, Routing, Seen, Way};
use crate::short::{Dates, Desks};
use crate::{tunnel, wire};

/// Plain requests below it are never redirected: certificate authorities ask here before there is a certificate.
const ACME: &str = "/.well-known/acme-challenge/";

/// What the requests of one worker share.
pub(crate) struct Proxy {
    pub config: Arc<Config>,
    pub routing: Seen,
    /// The port HTTPS is served on, if any: where plain requests are redirected to.
    pub https_port: Option<u16>,
    /// Places for requests on their way to backends, of all workers.
    pub requests: Arc<Places>,
    /// Ends tunnels when the drain is over.
    pub kill: Shutdown,
    /// Tunnels live here once their connection's task is done.
    pub tasks: TaskTracker,
    /// What requests on the short way have their bytes in, and the date they tell.
    pub desks: Desks,
    pub dates: Dates,
    /// Which worker.
    pub worker: usize,
    /// What it counts.
    pub shard: Arc<Shard>,
}

/// The connection a request came by.
pub(crate) struct Connection {
    is_tls: bool,
    /// Whether the client is a proxy that is believed.
    trusted: bool,
    /// The client's address and the port it came to, as backends are told.
    told: (HeaderValue, HeaderValue),
    /// The same, for the short way.
    pub origin: wire::ask::Origin,
    pub activity: Arc<Activity>,
}

impl Connection {
    /// A client's connection to `port`, where `config` says who is believed.
    pub(crate) fn new(client: SocketAddr, port: u16, is_tls: bool, config: &Config) -> Self {
        let client = client.ip();
        let trusted = config.trusted_proxies.iter().any(|range| range.contains(client));
        let told = (head::address(client), HeaderValue::from(port));
        let scheme = if is_tls { "https" } else { "http" };
        let origin = wire::ask::Origin::new(&client.to_string(), &port.to_string(), scheme, trusted);
        Self { is_tls, trusted, told, origin, activity: Activity::begin() }
    }
}

/// Our own answer: a status and why, in a clause.
pub(crate) struct Page(StatusCode, Cow<'static, str>);

impl Page {
    fn new(status: StatusCode, why: impl Into<Cow<'static, str>>) -> Self {
        Self(status, why.into())
    }

    fn unavailable(why: Unavailable) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, why.to_string())
    }

    fn too_many() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests are under way")
    }

    pub(crate) fn status(&self) -> u16 {
        self.0.as_u16()
    }

    fn text(&self) -> String {
        format!("{}: {}\n", self.0, self.1)
    }

    fn response(self) -> Response<Reply> {
        let mut response = Response::new(Reply::text(self.text()));
        *response.status_mut() = self.0;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PAGE_TYPE));
        response
    }

    /// Adds it to `out` as HTTP/1.1 has it: to a request for a head alone, or the last one of its connection.
    pub(crate) fn write(&self, is_head: bool, closes: bool, date: [u8; 29], out: &mut Vec<u8>) {
        let (status, text) = (self.0, self.text());
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: {PAGE_TYPE}\r\ncontent-length: {}", text.len());
        let parts: [&[u8]; 6] = [
            head.as_bytes(),
            b"\r\ndate: ",
            &date,
            if closes { b"\r\nconnection: close" } else { b"" },
            b"\r\n\r\n",
            if is_head { b"" } else { text.as_bytes() },
        ];
        parts.iter().for_each(|part| out.extend_from_slice(part));
    }
}

/// What a page is.
const PAGE_TYPE: &str = "text/plain; charset=utf-8";

impl From<head::Refusal> for Page {
    fn from((status, why): head::Refusal) -> Self {
        Self::new(status, why)
    }
}

impl From<&Failure> for Page {
    fn from(failure: &Failure) -> Self {
        let status = match failure {
            Failure::Unreachable(_) | Failure::Broken(_) | Failure::Switched | Failure::Closed => {
                StatusCode::BAD_GATEWAY
            }
            Failure::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Failure::Client => StatusCode::REQUEST_TIMEOUT,
        };
        Self::new(status, failure.to_string())
    }
}

/// Where a request goes, and how.
struct Destination {
    reach: Reach,
    protocol: AppProtocol,
}

impl Proxy {
    /// The response to a request. Never fails: what goes wrong is a response too.
    pub(crate) async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
        from: Arc<Connection>,
    ) -> Result<Response<Reply>, Infallible> {
        let (now, is_multiplexed) = (Instant::now(), request.version() == hyper::Version::HTTP_2);
        let busy = from.activity.request(now, is_multiplexed, self.shard.clone());
        let response = self.answer(request, &from, now).await.unwrap_or_else(Page::response);
        busy.answered(response.status());
        Ok(response.map(|body| body.keeping(busy)))
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        from: &Connection,
        now: Instant,
    ) -> Result<Response<Reply>, Page> {
        let (parts, body) = request.into_parts();
        let host = head::host(&parts)?;
        let (destination, redirect) =
            self.routing.look(|routing| self.decide(routing, &parts, &host, from))?;
        if let Some(redirect) = redirect {
            return Ok(redirect);
        }
        let balance = balance(&destination.reach).await?;
        let origin = Origin {
            client: from.told.0.clone(),
            port: from.told.1.clone(),
            scheme: if from.is_tls { "https" } else { "http" },
            trusted: from.trusted,
            host,
        };
        self.pass(parts, body, origin, &balance, (destination.protocol, now)).await
    }

    /// What becomes of a request by the table of the moment.
    fn decide(
        &self,
        routing: &Routing,
        parts: &Parts,
        host: &HeaderValue,
        from: &Connection,
    ) -> Result<(Destination, Option<Response<Reply>>), Page> {
        let host = host.to_str().unwrap_or_default();
        let (destination, may_redirect) = destination(routing, host, parts.uri.path())?;
        let came_by_tls = from.is_tls || (from.trusted && head::came_by_tls(&parts.headers));
        let redirect = may_redirect && !came_by_tls && routing.certificate(host).is_some();
        Ok((destination, redirect.then(|| self.redirect(&normalize_host(host), &parts.uri)).flatten()))
    }

    /// Where a request of the common kind goes, or what it gets instead; `None` when that is not by the short way, which
    /// leads to endpoints that speak HTTP/1.1 without TLS, and never to HTTPS first.
    pub(crate) fn short_way(
        &self,
        host: &str,
        path: &str,
        from: &Connection,
        came_by_tls: bool,
    ) -> Option<Result<(Arc<Balance>, Place), Page>> {
        let is_secure = from.is_tls || (from.trusted && came_by_tls);
        let balance = self.routing.look(|routing| match destination(routing, host, path) {
            Err(page) => Some(Err(page)),
            Ok((_, true)) if !is_secure && routing.certificate(host).is_some() => None,
            Ok((Destination { reach: Reach::Unavailable(why), .. }, _)) => Some(Err(Page::unavailable(why))),
            Ok((Destination { reach: Reach::Endpoints(balance), protocol: AppProtocol::Http }, _)) => {
                Some(Ok(balance))
            }
            Ok(_) => None,
        })?;
        Some(balance.and_then(|balance| Ok((balance, self.requests.take().ok_or_else(Page::too_many)?))))
    }

    /// Sends a client to HTTPS, unless that is served nowhere or the request is a certificate authority's.
    fn redirect(&self, host: &str, uri: &Uri) -> Option<Response<Reply>> {
        let port = self.https_port.filter(|_| !uri.path().starts_with(ACME))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let location = match port {
            443 => format!("https://{host}{path}"),
            port => format!("https://{host}:{port}{path}"),
        };
        let mut response = Response::new(Reply::text(""));
        *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
        response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(&location).ok()?);
        Some(response)
    }

    /// Passes a request to a backend, and its response back.
    async fn pass(
        &self,
        mut parts: Parts,
        body: Incoming,
        origin: Origin,
        balance: &Balance,
        (protocol, now): (AppProtocol, Instant),
    ) -> Result<Response<Reply>, Page> {
        let place = self.requests.take().ok_or_else(Page::too_many)?;
        let limits = &self.config.limits;
        let version = match protocol == AppProtocol::H2c || head::is_grpc(&parts) {
            true => Version::Http2,
            false => Version::Http1,
        };
        // Nothing becomes something else on a connection that others have a part of.
        let wanted = head::upgrade(&parts).filter(|_| version == Version::Http1);
        let client = parts.extensions.remove::<OnUpgrade>().filter(|_| wanted.is_some());
        let (upload, progress) = Upload::new(body, limits.body_timeout);
        let is_tls = protocol == AppProtocol::Https;
        let request = match version {
            Version::Http1 => outgoing(parts, upload, &origin, wanted.as_ref()),
            Version::Http2 => outgoing_http2(parts, upload, &origin, is_tls)?,
        };
        let (worker, shard) = (self.worker, &*self.shard);
        let sending = Sending { balance, version, progress, worker, now, limits, shard };
        let exchange = forward(request, place, sending).await.map_err(|failure| {
            let error = &failure as &dyn std::error::Error;
            tracing::debug!(error, host = ?origin.host, "a request failed");
            self.shard.failed(&failure);
            Page::from(&failure)
        })?;
        let is_upgrade = exchange.response.status() == StatusCode::SWITCHING_PROTOCOLS;
        match (is_upgrade, client) {
            (false, _) => Ok(self.hand_on(exchange)),
            (true, Some(client)) => Ok(self.join(client, exchange)),
            (true, None) => Err(Page::from(&Failure::Switched)),
        }
    }

    fn hand_on(&self, exchange: Exchange) -> Response<Reply> {
        let Exchange { response, lease } = exchange;
        let (mut parts, body) = response.into_parts();
        head::to_client(&mut parts.headers, false);
        parts.version = hyper::Version::HTTP_11;
        Response::from_parts(parts, Reply::backend(body, self.config.limits.body_timeout, lease))
    }

    /// Hands 101 on, and joins the two connections behind it.
    fn join(&self, client: OnUpgrade, exchange: Exchange) -> Response<Reply> {
        let Exchange { mut response, lease } = exchange;
        let backend = hyper::upgrade::on(&mut response);
        let idle = self.config.limits.tunnel_timeout;
        self.tasks.spawn(tunnel::run(client, backend, idle, self.kill.clone(), lease.upgrade()));
        let (mut parts, _) = response.into_parts();
        head::to_client(&mut parts.headers, true);
        parts.version = hyper::Version::HTTP_11;
        Response::from_parts(parts, Reply::text(""))
    }
}

/// Where a request goes, and whether it may be sent to HTTPS first.
fn destination(routing: &Routing, host: &str, path: &str) -> Result<(Destination, bool), Page> {
    match routing.way(host, path) {
        Way::To(reach, protocol, redirect) => Ok((Destination { reach: reach.clone(), protocol }, redirect)),
        Way::NotFound => Err(Page::new(StatusCode::NOT_FOUND, "no rule is for this host and path")),
        Way::Starting => {
            Err(Page::new(StatusCode::SERVICE_UNAVAILABLE, "the cluster is not known yet; try again"))
        }
    }
}

/// The endpoints a request may go to.
async fn balance(reach: &Reach) -> Result<Arc<Balance>, Page> {
    match reach {
        Reach::Endpoints(balance) => Ok(balance.clone()),
        Reach::Unavailable(why) => Err(Page::unavailable(*why)),
        // On the heap: what asks name servers is large, and each request would carry room for it.
        Reach::External(external) => Box::pin(external.balance())
            .await
            .map_err(|_| Page::new(StatusCode::BAD_GATEWAY, "its external name leads nowhere")),
    }
}

/// The request as the backend gets it: path and query alone, our own framing, the fields it may see.
fn outgoing(
    mut parts: Parts,
    body: Upload,
    origin: &Origin,
    upgrade: Option<&HeaderValue>,
) -> Request<Upload> {
    head::to_backend(&mut parts.headers, origin, upgrade);
    let takes_body = !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE);
    match body.size_hint().exact() {
        Some(0) if !takes_body => {}
        Some(length) => {
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        None => {
            parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
    let path = parts.uri.path_and_query().cloned();
    assembled(parts, path.map_or_else(Uri::default, Uri::from), body)
}

/// The request as a backend gets it that speaks HTTP/2: the target whole, and word that fields may follow the response.
fn outgoing_http2(
    mut parts: Parts,
    body: Upload,
    origin: &Origin,
    is_tls: bool,
) -> Result<Request<Upload>, Page> {
    let wants_trailers = head::wants_trailers(&parts.headers);
    head::to_backend(&mut parts.headers, origin, None);
    head::to_http2(&mut parts.headers, wants_trailers);
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri = Uri::builder().scheme(if is_tls { "https" } else { "http" });
    let uri = uri.authority(origin.host.as_bytes()).path_and_query(path).build();
    let uri =
        uri.map_err(|_| Page::new(StatusCode::BAD_REQUEST, "no Host field, which the backend needs"))?;
    Ok(assembled(parts, uri, body))
}

fn assembled(parts: Parts, uri: Uri, body: Upload) -> Request<Upload> {
    let mut request = Request::new(body);
    *request.method_mut() = parts.method;
    *request.uri_mut() = uri;
    *request.headers_mut() = parts.headers;
    request
}
