//! What the streams ask: which run a name means, and its log, its process, its network.
//!
//! Refusals are upstream's words. Never here: framing, authorization.

use crate::container;
use crate::error::chain;
use crate::host::Host;
use crate::pods::Directory;
use crate::streams::{Answer, Duplex, Log, StreamBackend, StreamError, Target};
use crate::task::Public;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kelson_network::netns;
use kelson_pods::Run;
use kelson_runtime::{AttachConfig, ExecConfig, Session};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// How long a connection to a pod's port may take.
const DIAL_MAX: Duration = Duration::from_secs(10);

/// The node's answers to the streams.
pub struct Backend {
    pub host: Arc<Host>,
    pub directory: Directory,
}

/// A container that was found: its pod and its runs by rising attempt.
struct Found {
    pod: Arc<Pod>,
    public: watch::Receiver<Public>,
    shim: Option<kelson_runtime::Pod>,
    runs: Vec<Run>,
}

impl Backend {
    fn find(&self, target: &Target) -> Result<Found, StreamError> {
        let (namespace, name) = (&target.namespace, &target.pod);
        let missing = || StreamError::not_found(format!("pod \"{namespace}/{name}\" not found"));
        let public = self.directory.find(namespace, name).ok_or_else(missing)?;
        let now = public.borrow().clone();
        let pod = now.pod.ok_or_else(missing)?;
        let mut runs: Vec<Run> =
            now.runs.into_iter().filter(|run| run.container == target.container).collect();
        runs.sort_by_key(|run| run.attempt);
        Ok(Found { pod, public, shim: now.shim, runs })
    }

    /// The pod's shim and the id of the container's running run.
    fn running(&self, target: &Target) -> Result<(kelson_runtime::Pod, String), StreamError> {
        let found = self.find(target)?;
        let missing = || StreamError::not_found(format!("container not found (\"{}\")", target.container));
        let run = found.runs.iter().rev().find(|run| run.running_since().is_some()).ok_or_else(missing)?;
        Ok((found.shim.ok_or_else(missing)?, run.id.clone()))
    }

    fn find_log(&self, target: &Target, previous: bool) -> Result<Log, StreamError> {
        let found = self.find(target)?;
        let (container, pod) = (&target.container, &target.pod);
        if kelson_pods::any_container(&found.pod, container).is_none() {
            return Err(StreamError::bad_request(format!(
                "container {container} is not valid for pod {pod}"
            )));
        }
        let run = match previous {
            true => found.runs.iter().rev().nth(1).cloned(),
            false => found.runs.last().cloned(),
        };
        if let Some(run) = run {
            let path = container::log_path(&self.host, &found.pod, container, run.attempt);
            return Ok(Log { path, running: alive(found.public, run.id) });
        }
        self.log_of_the_past(&found, target, previous)
    }

    /// The log of a container that this kelson has not seen run: its pod ended before.
    fn log_of_the_past(&self, found: &Found, target: &Target, previous: bool) -> Result<Log, StreamError> {
        let (container, pod) = (&target.container, &target.pod);
        let status = container_status(&found.pod, container);
        let ended = status.and_then(|it| it.state.as_ref()).is_some_and(|state| state.terminated.is_some());
        let count = status.map_or(0, |it| u32::try_from(it.restart_count).unwrap_or(0));
        let attempt = if previous { count.checked_sub(1) } else { Some(count).filter(|_| ended) };
        if let Some(attempt) = attempt {
            let path = container::log_path(&self.host, &found.pod, container, attempt);
            return Ok(Log { path, running: watch::channel(false).1 });
        }
        if previous {
            let text = format!("previous terminated container \"{container}\" in pod \"{pod}\" not found");
            return Err(StreamError::bad_request(text));
        }
        let waiting = status.and_then(|it| it.state.as_ref()?.waiting.as_ref()?.reason.clone());
        let text = match waiting {
            Some(reason)
                if matches!(
                    reason.as_str(),
                    "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName"
                ) =>
            {
                format!(
                    "container \"{container}\" in pod \"{pod}\" is waiting to start: {}",
                    pull_text(&reason)
                )
            }
            Some(reason) => {
                format!("container \"{container}\" in pod \"{pod}\" is waiting to start: {reason}")
            }
            None => format!("container \"{container}\" in pod \"{pod}\" is not available"),
        };
        Err(StreamError::bad_request(text))
    }
}

/// What upstream says of a container whose image is not there.
fn pull_text(reason: &str) -> &'static str {
    match reason {
        "ErrImagePull" => "image can't be pulled",
        "ImagePullBackOff" => "trying and failing to pull image",
        "ErrImageNeverPull" => "image is not present with pull policy of Never",
        _ => "invalid image name",
    }
}

fn container_status<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let own = status.init_container_statuses.iter().chain(&status.container_statuses);
    let mut all = own.chain(&status.ephemeral_container_statuses).flatten();
    all.find(|it| it.name == name)
}

/// True as long as the run goes on.
fn alive(mut public: watch::Receiver<Public>, id: String) -> watch::Receiver<bool> {
    let goes_on =
        move |public: &Public| public.runs.iter().any(|run| run.id == id && run.running_since().is_some());
    let (tell, running) = watch::channel(goes_on(&public.borrow_and_update()));
    if *running.borrow() {
        tokio::spawn(async move {
            tokio::select! {
                _ = public.wait_for(|public| !goes_on(public)) => drop(tell.send_replace(false)),
                () = tell.closed() => {}
            }
        });
    }
    running
}

impl StreamBackend for Backend {
    fn log<'a>(&'a self, target: &'a Target, previous: bool) -> Answer<'a, Log> {
        Box::pin(async move { self.find_log(target, previous) })
    }

    fn exec<'a>(&'a self, target: &'a Target, exec: &'a ExecConfig) -> Answer<'a, Session> {
        Box::pin(async move {
            let (shim, id) = self.running(target)?;
            shim.exec(&id, exec).await.map_err(|error| StreamError::internal(chain(&error)))
        })
    }

    fn attach<'a>(&'a self, target: &'a Target, attach: &'a AttachConfig) -> Answer<'a, Session> {
        Box::pin(async move {
            let (shim, id) = self.running(target)?;
            shim.attach(&id, attach).await.map_err(|error| StreamError::internal(chain(&error)))
        })
    }

    fn dial<'a>(&'a self, target: &'a Target, port: u16) -> Answer<'a, Box<dyn Duplex>> {
        Box::pin(async move {
            let found = self.find(target)?;
            if found.shim.is_none() {
                return Err(StreamError::internal(format!("pod \"{}\" is not running", target.pod)));
            }
            let stream = match crate::sandbox::host_network(&found.pod) {
                true => dial_here(port).await,
                false => {
                    dial_inside(&self.host, found.pod.metadata.uid.as_deref().unwrap_or_default(), port).await
                }
            };
            let stream = stream.map_err(|why| {
                StreamError::internal(format!(
                    "failed to connect to localhost:{port} inside pod \"{}\": {why}",
                    target.pod
                ))
            })?;
            Ok(Box::new(stream) as Box<dyn Duplex>)
        })
    }
}

/// Both loopback addresses, as `localhost` means them.
fn loopback(port: u16) -> [SocketAddr; 2] {
    [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))]
}

async fn dial_here(port: u16) -> Result<TcpStream, String> {
    TcpStream::connect(&loopback(port)[..]).await.map_err(|error| error.to_string())
}

/// A socket belongs to the namespace it was made in: made and connected there, used here.
async fn dial_inside(host: &Host, uid: &str, port: u16) -> Result<TcpStream, String> {
    let path = host.paths.netns(uid);
    let connect = move || {
        netns::enter(&path, || {
            let connect = |address: &SocketAddr| std::net::TcpStream::connect_timeout(address, DIAL_MAX);
            let [v4, v6] = loopback(port);
            connect(&v4).or_else(|error| connect(&v6).map_err(|_| error))
        })
    };
    let entered = tokio::task::spawn_blocking(connect).await.map_err(|error| error.to_string())?;
    let stream = entered.map_err(|error| chain(&error))?.map_err(|error| error.to_string())?;
    stream.set_nonblocking(true).map_err(|error| error.to_string())?;
    TcpStream::from_std(stream).map_err(|error| error.to_string())
}
