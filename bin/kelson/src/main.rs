//! kelson: the Kubernetes Service system in one binary. One file a subcommand; this one only chooses.
//!
//! `kelson shim` is decided before anything else: the shim must be single-threaded, so no runtime, no logging thread
//! and no argument parser may run before it.

mod alone;
mod checks;
mod client;
mod dns;
mod down;
mod echo;
mod exit;
mod explain;
mod files;
mod image;
mod ingress;
mod kubeconfig;
mod lb;
mod load;
mod lookup;
mod proxy;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The version of the Kubernetes API that is served.
const KUBERNETES_VERSION: &str = "v1.37";

/// The Kubernetes Service system in one binary.
#[derive(Parser)]
#[command(name = "kelson", version, about, disable_help_subcommand = true, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a whole cluster on this machine: API, controllers, node, Service proxy and DNS
    Up(Box<up::Flags>),
    /// Remove every trace of a cluster: containers, mounts, network, data
    Down(down::Flags),
    /// Program Services on a node of any cluster, in place of kube-proxy
    Proxy(proxy::Flags),
    /// Answer cluster DNS in front of any cluster's API
    Dns(dns::Flags),
    /// Give Services of type LoadBalancer addresses in any cluster, and answer for them by ARP
    Lb(lb::Flags),
    /// Serve Ingresses over HTTP and HTTPS in front of any cluster's pods
    Ingress(ingress::Flags),
    /// Say why a Service answers, or why it does not
    Explain(explain::Flags),
    /// Import, pull and list container images
    Image(image::Flags),
    /// Create or change the objects of a manifest (kubectl does this and more)
    Apply(client::apply::Flags),
    /// Print objects as the server's tables show them (kubectl does this and more)
    Get(client::get::Flags),
    /// Delete one object (kubectl does this and more)
    Delete(client::delete::Flags),
    /// A small HTTP server that says which host answered: something to publish as a Service
    Echo(echo::Flags),
    /// A steady load of HTTP requests that counts what is lost
    #[command(hide = true)]
    Load(load::Flags),
    /// Ask a name server as a pod would, and print the answers
    Lookup(lookup::Flags),
    /// Print the version
    Version,
}

fn main() -> ExitCode {
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "shim") {
        return kelson_runtime::shim_main(arguments.into_iter().skip(2));
    }
    exit::code(run(Cli::parse().command))
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(flags) => up::run(*flags),
        Command::Down(flags) => down::run(&flags),
        Command::Proxy(flags) => proxy::run(flags),
        Command::Dns(flags) => dns::run(flags),
        Command::Lb(flags) => lb::run(flags),
        Command::Ingress(flags) => ingress::run(flags),
        Command::Explain(flags) => explain::run(&flags),
        Command::Image(flags) => image::run(flags),
        Command::Apply(flags) => client::block_on(client::apply::run(flags)),
        Command::Get(flags) => client::block_on(client::get::run(flags)),
        Command::Delete(flags) => client::block_on(client::delete::run(flags)),
        Command::Echo(flags) => echo::run(flags),
        Command::Load(flags) => load::run(flags),
        Command::Lookup(flags) => lookup::run(&flags),
        Command::Version => {
            println!("kelson {} (Kubernetes API {})", env!("CARGO_PKG_VERSION"), KUBERNETES_VERSION);
            Ok(())
        }
    }
}
