//! Small pages over HTTP/1: whether a component lives, is ready, and what it counts; for probes, balancers, Prometheus.
//!
//! Each component says what its pages are, this crate serves them. Bounds, whoever asks: [`CLIENTS_MAX`] clients a port,
//! heads of at most [`HEAD_MAX`] bytes within [`PATIENCE`]; bodies are never read.

mod serve;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request};
pub use hyper::{Response, StatusCode};
pub use serve::{CLIENTS_MAX, HEAD_MAX, PATIENCE};

/// One answer, whole.
pub type Page = Response<Bytes>;

type Show = Arc<dyn Fn() -> Page + Send + Sync>;

/// The pages of one port.
#[derive(Clone, Default)]
pub struct Pages {
    by_path: BTreeMap<&'static str, Show>,
    elsewhere: Option<Show>,
}

impl Pages {
    /// With `show` at `path` too. Pages are made anew for each request, on the runtime: they must not block.
    pub fn with(mut self, path: &'static str, show: impl Fn() -> Page + Send + Sync + 'static) -> Self {
        self.by_path.insert(path, Arc::new(show));
        self
    }

    /// One page whatever the path.
    pub fn everywhere(show: impl Fn() -> Page + Send + Sync + 'static) -> Self {
        Self { elsewhere: Some(Arc::new(show)), ..Self::default() }
    }

    /// What is answered to a request.
    pub fn answer<B>(&self, request: &Request<B>) -> Page {
        let Some(show) = self.by_path.get(request.uri().path()).or(self.elsewhere.as_ref()) else {
            let known: Vec<&str> = self.by_path.keys().copied().collect();
            return text(StatusCode::NOT_FOUND, format!("this port serves {}\n", known.join(", ")));
        };
        match *request.method() {
            Method::GET | Method::HEAD => show(),
            _ => text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n"),
        }
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_path.keys()).finish()
    }
}

/// A page of plain text.
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Page {
    let mut page = Response::new(text.into());
    *page.status_mut() = status;
    page
}

/// A page of JSON, which no browser is to take for anything else.
pub fn json(status: StatusCode, body: String) -> Page {
    let mut page = text(status, body);
    page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    page.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    page
}

/// A page in Prometheus' text format.
pub fn metrics(rendered: String) -> Page {
    let mut page = text(StatusCode::OK, rendered);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    page.headers_mut().insert(CONTENT_TYPE, kind);
    page
}

pub use serve::serve;

#[cfg(test)]
mod tests;
