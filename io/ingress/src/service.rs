//! A request's way: its head is checked, the table decides, its fields are rewritten, a backend answers, the answer is
//! handed on. What has no backend gets a short page that says why, without naming anything inside the cluster.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use kelson_process::Shutdown;
use kelson_routes::normalize_host;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::activity::Activity;
use crate::balance::Balance;
use crate::body::{Progress, Reply, Upload};
use crate::config::Config;
use crate::forward::{Exchange, Failure, forward};
use crate::head::{self, Origin};
use crate::routing::{Reach, Routing, Way};
use crate::tunnel;

/// Plain requests below it are never redirected: certificate authorities ask here before there is a certificate.
const ACME: &str = "/.well-known/acme-challenge/";

/// What all requests share.
pub(crate) struct Proxy {
    pub config: Config,
    pub routing: watch::Receiver<Arc<Routing>>,
    /// The port HTTPS is served on, if any: where plain requests are redirected to.
    pub https_port: Option<u16>,
    /// Places for requests on their way to backends.
    pub requests: Arc<Semaphore>,
    /// Ends tunnels when the drain is over.
    pub kill: Shutdown,
    /// Tunnels live here once their connection's task is done.
    pub tasks: TaskTracker,
}

/// The connection a request came by.
pub(crate) struct Connection {
    pub client: SocketAddr,
    pub port: u16,
    pub is_tls: bool,
    pub activity: Arc<Activity>,
}

/// Our own answer: a status and why, in a clause.
struct Page(StatusCode, Cow<'static, str>);

impl Page {
    fn new(status: StatusCode, why: impl Into<Cow<'static, str>>) -> Self {
        Self(status, why.into())
    }

    fn response(self) -> Response<Reply> {
        let mut response = Response::new(Reply::text(format!("{}: {}\n", self.0, self.1)));
        *response.status_mut() = self.0;
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

impl From<head::Refusal> for Page {
    fn from((status, why): head::Refusal) -> Self {
        Self::new(status, why)
    }
}

impl From<&Failure> for Page {
    fn from(failure: &Failure) -> Self {
        let status = match failure {
            Failure::Unreachable(_) | Failure::Broken(_) | Failure::Closed => StatusCode::BAD_GATEWAY,
            Failure::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Failure::Client => StatusCode::REQUEST_TIMEOUT,
        };
        Self::new(status, failure.to_string())
    }
}

impl Proxy {
    /// The response to a request. Never fails: what goes wrong is a response too.
    pub(crate) async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
        from: Arc<Connection>,
    ) -> Response<Reply> {
        let busy = from.activity.request();
        let response = self.answer(request, &from).await.unwrap_or_else(Page::response);
        response.map(|body| body.keeping(busy))
    }

    async fn answer(&self, request: Request<Incoming>, from: &Connection) -> Result<Response<Reply>, Page> {
        let (parts, body) = request.into_parts();
        let host = head::host(&parts)?;
        let trusted = self.trusts(from.client.ip());
        let (reach, redirect) = {
            let routing = self.routing.borrow();
            let name = normalize_host(host.to_str().unwrap_or_default());
            let (reach, may_redirect) = reach(&routing, &name, parts.uri.path())?;
            let came_by_tls = from.is_tls || (trusted && head::came_by_tls(&parts.headers));
            let redirect = may_redirect && !came_by_tls && routing.certificate(&name).is_some();
            (reach, redirect.then(|| self.redirect(&name, &parts.uri)).flatten())
        };
        if let Some(redirect) = redirect {
            return Ok(redirect);
        }
        let balance = balance(&reach).await?;
        let origin = Origin {
            client: from.client.ip(),
            port: from.port,
            scheme: if from.is_tls { "https" } else { "http" },
            trusted,
            host,
        };
        self.pass(parts, body, origin, &balance).await
    }

    fn trusts(&self, client: IpAddr) -> bool {
        self.config.trusted_proxies.iter().any(|range| range.contains(client))
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
    ) -> Result<Response<Reply>, Page> {
        let too_many = || Page::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests are under way");
        let place = self.requests.clone().try_acquire_owned().map_err(|_| too_many())?;
        let limits = &self.config.limits;
        let wanted = head::upgrade(&parts);
        let client = parts.extensions.remove::<OnUpgrade>().filter(|_| wanted.is_some());
        let progress = Arc::new(Progress::default());
        let upload = Upload::new(body, limits.body_timeout, &progress);
        let request = outgoing(parts, upload, &origin, wanted.as_ref());
        let exchange = forward(request, balance, place, &progress, limits).await.map_err(|failure| {
            let error = &failure as &dyn std::error::Error;
            tracing::debug!(error, host = ?origin.host, "a request failed");
            Page::from(&failure)
        })?;
        let is_upgrade = exchange.response.status() == StatusCode::SWITCHING_PROTOCOLS;
        match (is_upgrade, client) {
            (false, _) => Ok(self.hand_on(exchange)),
            (true, Some(client)) => Ok(self.join(client, exchange)),
            (true, None) => Err(Page::new(StatusCode::BAD_GATEWAY, "the backend switched protocols unasked")),
        }
    }

    fn hand_on(&self, exchange: Exchange) -> Response<Reply> {
        let Exchange { response, lease } = exchange;
        let (mut parts, body) = response.into_parts();
        head::to_client(&mut parts.headers, false);
        parts.version = Version::HTTP_11;
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
        parts.version = Version::HTTP_11;
        Response::from_parts(parts, Reply::text(""))
    }
}

/// How to get to the backend of a request.
fn reach(routing: &Routing, host: &str, path: &str) -> Result<(Reach, bool), Page> {
    match routing.way(host, path) {
        Way::To(reach, redirect) => Ok((reach.clone(), redirect)),
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
        Reach::Unavailable(why) => Err(Page::new(StatusCode::SERVICE_UNAVAILABLE, why.to_string())),
        Reach::External(external) => external
            .balance()
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
    let path = parts.uri.into_parts().path_and_query;
    let mut request = Request::new(body);
    *request.method_mut() = parts.method;
    *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
    *request.headers_mut() = parts.headers;
    request
}
