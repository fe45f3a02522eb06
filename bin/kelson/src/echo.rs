//! `kelson echo`: answers every HTTP request with the name of the host it runs on, so that one sees which pod served it.
//!
//! The page is the one the tutorials' `docker-http-server` image prints. On SIGTERM it stops accepting, lets open
//! requests finish and ends; with `--on-sigterm exit` it ends at once, as programs without a handler do.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::{conn::auto, graceful::GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

/// How long open requests may take after SIGTERM.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a client may take to send its request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct Flags {
    /// Port to listen on, on every address
    #[arg(long, default_value_t = 80)]
    port: u16,
    /// What to do on SIGTERM
    #[arg(long, value_enum, default_value_t = OnSigterm::Drain)]
    on_sigterm: OnSigterm,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnSigterm {
    /// Stop accepting, close idle connections, finish open requests
    Drain,
    /// End at once
    Exit,
}

pub fn run(flags: Flags) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(flags))
}

async fn serve(flags: Flags) -> anyhow::Result<()> {
    let address = SocketAddr::from(([0, 0, 0, 0], flags.port));
    let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    let page = page(&host_name());
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let connections = GracefulShutdown::new();
    println!("listening on {address}");
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted { answer(stream, page.clone(), &connections) },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    drop(listener);
    if flags.on_sigterm == OnSigterm::Drain {
        let _ = tokio::time::timeout(DRAIN, connections.shutdown()).await;
    }
    Ok(())
}

/// Serves one connection in the background.
fn answer(stream: TcpStream, page: Bytes, connections: &GracefulShutdown) {
    let service = service_fn(move |_: Request<Incoming>| {
        let page = page.clone();
        async move {
            let response =
                Response::builder().header("content-type", "text/html; charset=utf-8").body(Full::new(page));
            Ok::<_, Infallible>(response.expect("a constant header is valid"))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    let watched = connections.watch(connection);
    tokio::spawn(async move {
        // A client that goes away ends only its own connection.
        let _ = pin!(watched).await;
    });
}

fn page(host: &str) -> Bytes {
    format!("<h1>This request was processed by host: {host}</h1>\n").into()
}

fn host_name() -> String {
    nix::unistd::gethostname().map_or_else(|_| "unknown".into(), |name| name.to_string_lossy().into_owned())
}
