//! The API's listening sockets, bound before anything is opened, so that a taken port is the first thing said.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::anyhow;
use kelson_apiserver::ApiServer;
use kelson_process::Shutdown;
use tokio::task::JoinSet;

/// One socket an address.
pub struct Listeners(Vec<tokio::net::TcpListener>);

impl Listeners {
    /// Binds these addresses.
    pub fn bind(addresses: &[SocketAddr]) -> anyhow::Result<Self> {
        addresses.iter().map(|address| bind(*address)).collect::<anyhow::Result<_>>().map(Self)
    }

    /// Binds these too.
    pub fn add(&mut self, addresses: &[SocketAddr]) -> anyhow::Result<()> {
        self.0.extend(Self::bind(addresses)?.0);
        Ok(())
    }

    /// Serves the API on all of them until shutdown.
    pub fn serve(self, api: &Arc<ApiServer>, shutdown: &Shutdown, tasks: &mut JoinSet<()>) {
        for listener in self.0 {
            tasks.spawn(api.clone().serve(listener, shutdown.clone()));
        }
    }
}

fn bind(address: SocketAddr) -> anyhow::Result<tokio::net::TcpListener> {
    let listener = TcpListener::bind(address).map_err(|error| explain(address, error))?;
    listener.set_nonblocking(true)?;
    Ok(tokio::net::TcpListener::from_std(listener)?)
}

fn explain(address: SocketAddr, error: io::Error) -> anyhow::Error {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let holder = holder_of(port).map_or_else(String::new, |holder| format!(" by {holder}"));
            anyhow!("port {port} is in use{holder}; stop it, or pass --https-listen-port")
        }
        io::ErrorKind::AddrNotAvailable => {
            anyhow!("{} is no address of this machine; pass --node-ip or --bind-address", address.ip())
        }
        io::ErrorKind::PermissionDenied => {
            anyhow!("listening on {address} is not permitted; use sudo, or a port above 1023")
        }
        _ => anyhow::Error::new(error).context(format!("listening on {address}")),
    }
}

/// The process that listens on a port, as `name (pid)`, when it can be seen.
pub fn holder_of(port: u16) -> Option<String> {
    let inode = listening_inode(port)?;
    let wanted = format!("socket:[{inode}]");
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Ok(descriptors) = std::fs::read_dir(process.path().join("fd")) else { continue };
        let holds = descriptors
            .flatten()
            .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str()));
        if holds {
            let name = std::fs::read_to_string(process.path().join("comm")).ok()?;
            return Some(format!("{} (process {})", name.trim(), process.file_name().to_string_lossy()));
        }
    }
    None
}

/// The inode of the socket that listens on a TCP port, from the kernel's table.
fn listening_inode(port: u16) -> Option<String> {
    /// `st` of a listening socket.
    const LISTEN: &str = "0A";
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let suffix = format!(":{port:04X}");
    tables.iter().flat_map(|table| table.lines()).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let found = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == LISTEN;
        found.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    })
}
