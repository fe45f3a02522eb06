//! Backends: one that says what it was sent, and ones that misbehave as told.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// A backend; it stops listening and hangs up when dropped.
pub struct Backend {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Backend {
    /// Answers every request with its own name, the request's line and fields, and its body.
    pub async fn echo(name: &'static str) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        Self::start(requests, move |stream| {
            let counted = counted.clone();
            async move {
                let service = service_fn(move |request| {
                    counted.fetch_add(1, Ordering::SeqCst);
                    echoed(name, request)
                });
                let mut builder = hyper::server::conn::http1::Builder::new();
                let serving =
                    builder.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
                let _ = serving.await;
            }
        })
        .await
    }

    /// Reads each request's head, then does what `answer` says: the bytes to send before it hangs up.
    pub async fn scripted(answer: &'static str) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        Self::start(requests, move |mut stream| {
            let counted = counted.clone();
            async move {
                if read_head(&mut stream).await {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                }
            }
        })
        .await
    }

    /// Hands each connection to `serve`.
    pub async fn start<F: Future<Output = ()> + Send + 'static>(
        requests: Arc<AtomicUsize>,
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        let task = tokio::spawn(async move {
            let mut serving = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                serving.spawn(serve(stream));
            }
        });
        Self { address, connections, requests, task: task.abort_handle() }
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Requests seen so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Reads up to the empty line; whether it came.
pub async fn read_head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    true
}

/// `/slow/<milliseconds>` takes its time.
async fn echoed(name: &str, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    if let Some(millis) = parts.uri.path().strip_prefix("/slow/").and_then(|millis| millis.parse().ok()) {
        tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
    }
    let body = body.collect().await.map_or_else(|_| Bytes::from("broken off"), |body| body.to_bytes());
    let mut text = format!("{name} {} {}\n", parts.method, parts.uri);
    for (field, value) in &parts.headers {
        text += &format!("{field}: {}\n", String::from_utf8_lossy(value.as_bytes()));
    }
    text += &format!("\n{}", String::from_utf8_lossy(&body));
    let response = Response::builder().header("content-type", "text/plain").header("server", name);
    Ok(response.header("connection", "x-hop").header("x-hop", "1").body(Full::new(text.into())).unwrap())
}
