//! The flags of `kelson up`, spelled as k3s, kube-proxy and the kubelet spell them, and the `Config` they become.
//!
//! Parsed whole before any port is bound; what does not fit names its flag and says what would (exit 64).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use kelson_agent::Thresholds;
use kelson_machinery::names;
use kelson_model::Cidr;
use kelson_plans::load_balancer::Pool;

use crate::exit::Usage;

#[derive(clap::Args)]
pub struct Flags {
    /// Where everything is kept: state, keys, images, logs
    #[arg(long, default_value = "/var/lib/kelson")]
    pub data_dir: PathBuf,
    /// Range pods get their addresses from
    #[arg(long, default_value = "10.244.0.0/16")]
    cluster_cidr: String,
    /// Range ClusterIPs come from
    #[arg(long, default_value = "10.96.0.0/16")]
    service_cidr: String,
    /// Address of the cluster DNS, inside --service-cidr [default: its 10th address]
    #[arg(long)]
    cluster_dns: Option<IpAddr>,
    /// Domain of cluster names
    #[arg(long, default_value = "cluster.local")]
    cluster_domain: String,
    /// Ports NodePorts come from
    #[arg(long, default_value = "30000-32767")]
    service_node_port_range: String,
    /// This node's name [default: the host's name]
    #[arg(long)]
    node_name: Option<String>,
    /// Address this node is known by [default: the one its default route uses, else the first of --cluster-cidr]
    #[arg(long)]
    node_ip: Option<IpAddr>,
    /// Address the API listens on besides 127.0.0.1 [default: the node's address]
    #[arg(long)]
    bind_address: Option<IpAddr>,
    /// Port the API listens on
    #[arg(long, default_value_t = 6443)]
    https_listen_port: u16,
    /// Store: empty for the embedded one in --data-dir
    #[arg(long, default_value = "")]
    datastore_endpoint: String,
    /// Where to write the admin kubeconfig [default: kubeconfig in --data-dir]
    #[arg(long)]
    write_kubeconfig: Option<PathBuf>,
    /// Run the API and the controllers without a node
    #[arg(long)]
    disable_agent: bool,
    /// Static tokens: a CSV file of token,user,uid,"group1,group2"
    #[arg(long)]
    token_auth_file: Option<PathBuf>,
    /// Registry (host[:port]) to pull from over plain HTTP; may be repeated
    #[arg(long)]
    insecure_registry: Vec<String>,
    /// resolv.conf naming the resolvers that outside names are forwarded to
    #[arg(long, default_value = "/etc/resolv.conf")]
    resolv_conf: PathBuf,
    /// Range that Services of type LoadBalancer get addresses from; may be repeated [default: none, they stay pending]
    #[arg(long)]
    load_balancer_cidr: Vec<String>,
    /// Port of this node that Ingresses are served on over HTTP; 0 for none
    #[arg(long, default_value_t = 80)]
    ingress_http_port: u16,
    /// Port of this node that Ingresses are served on over HTTPS; 0 for none
    #[arg(long, default_value_t = 443)]
    ingress_https_port: u16,
    /// What the node may have no less of than; below, pods have to go
    #[arg(long, default_value = kelson_agent::EVICTION_HARD)]
    eviction_hard: String,
    /// Whether pods' connections to Services are translated as they call connect(), where the kernel can
    #[arg(long, value_enum, default_value = "auto")]
    socket_translation: SocketTranslation,
}

/// Whether connections are translated before there is a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SocketTranslation {
    /// Where the kernel can.
    Auto,
    /// Nowhere: the packet filter translates every packet.
    Off,
}

/// What `kelson up` runs with.
#[derive(Clone, Debug)]
pub struct Config {
    pub data_dir: PathBuf,
    pub pod_cidr: Cidr,
    pub service_cidr: Cidr,
    pub cluster_dns: IpAddr,
    pub cluster_domain: String,
    pub node_ports: (u16, u16),
    pub node_name: String,
    pub node_ip: IpAddr,
    /// Where the API listens, 127.0.0.1 first.
    pub listen: Vec<SocketAddr>,
    pub kubeconfig: PathBuf,
    pub agent: bool,
    pub token_auth_file: Option<PathBuf>,
    pub insecure_registries: Vec<String>,
    pub resolv_conf: PathBuf,
    /// Where balancer addresses come from, in order of preference; none, and there is no balancer.
    pub load_balancer_ranges: Vec<Cidr>,
    /// Where Ingresses are served over HTTP and HTTPS; 0 is nowhere.
    pub ingress_ports: (u16, u16),
    pub socket_translation: SocketTranslation,
    pub eviction_hard: Thresholds,
}

impl Config {
    /// The gateway of the pod range: its first address, held by the pod bridge.
    pub fn gateway(&self) -> IpAddr {
        nth(self.pod_cidr, 1)
    }

    /// The balancer ranges as the controllers take them.
    pub fn load_balancer_pools(&self) -> Vec<Pool> {
        let pools = self.load_balancer_ranges.iter().map(|range| range.to_string().parse());
        pools.collect::<Result<_, _>>().expect("every range was read as a pool before")
    }
}

/// Reads the flags; `default_node_ip` is the address the host would be known by, if it has one.
pub fn parse(flags: Flags, host_name: &str, default_node_ip: Option<IpAddr>) -> Result<Config, Usage> {
    let pod_cidr = range("--cluster-cidr", &flags.cluster_cidr, 8..=28)?;
    let service_cidr = range("--service-cidr", &flags.service_cidr, 8..=28)?;
    if overlap(pod_cidr, service_cidr) {
        return Err(usage(
            "--service-cidr",
            format!("{service_cidr} overlaps --cluster-cidr {pod_cidr}; give them ranges of their own"),
        ));
    }
    if !flags.datastore_endpoint.is_empty() {
        let why = "only the embedded store is there so far; leave the flag out to keep state in --data-dir";
        return Err(usage("--datastore-endpoint", why.into()));
    }
    let gateway = nth(pod_cidr, 1);
    let own_ip = flags.node_ip.or(default_node_ip);
    let node_ip = own_ip.unwrap_or(gateway);
    // Without a node there is no bridge, so its address is nobody's.
    let reachable = flags.bind_address.or(own_ip).or((!flags.disable_agent).then_some(gateway));
    check_node_ip(node_ip, service_cidr, flags.node_ip.is_some())?;
    let others = [("--cluster-cidr", pod_cidr), ("--service-cidr", service_cidr)];
    let load_balancer_ranges = balancer_ranges(&flags.load_balancer_cidr, &others, node_ip)?;
    let kubeconfig = flags.write_kubeconfig.unwrap_or_else(|| flags.data_dir.join("kubeconfig"));
    Ok(Config {
        cluster_dns: cluster_dns(flags.cluster_dns, service_cidr)?,
        cluster_domain: cluster_domain(&flags.cluster_domain)?,
        node_ports: ports(&flags.service_node_port_range)?,
        node_name: node_name(flags.node_name, host_name)?,
        listen: listen(reachable, flags.https_listen_port),
        agent: !flags.disable_agent,
        token_auth_file: flags.token_auth_file,
        insecure_registries: flags.insecure_registry,
        resolv_conf: flags.resolv_conf,
        load_balancer_ranges,
        ingress_ports: ingress_ports(flags.ingress_http_port, flags.ingress_https_port)?,
        socket_translation: flags.socket_translation,
        eviction_hard: Thresholds::parse(&flags.eviction_hard)
            .map_err(|why| usage("--eviction-hard", why))?,
        data_dir: flags.data_dir,
        pod_cidr,
        service_cidr,
        node_ip,
        kubeconfig,
    })
}

fn usage(flag: &str, why: String) -> Usage {
    Usage(format!("{flag}: {why}"))
}

fn range(flag: &str, text: &str, prefixes: std::ops::RangeInclusive<u8>) -> Result<Cidr, Usage> {
    let malformed = || usage(flag, format!("\"{text}\" is not an IPv4 range; pass one like 10.96.0.0/16"));
    let cidr = Cidr::parse(text).filter(|cidr| cidr.address.is_ipv4()).ok_or_else(malformed)?;
    if !prefixes.contains(&cidr.prefix) {
        let (low, high) = (prefixes.start(), prefixes.end());
        return Err(usage(
            flag,
            format!("{cidr} has a prefix of /{}; pass one from /{low} to /{high}", cidr.prefix),
        ));
    }
    Ok(cidr)
}

/// Ranges nobody else uses: the node routes all of each to itself.
fn balancer_ranges(texts: &[String], others: &[(&str, Cidr)], node_ip: IpAddr) -> Result<Vec<Cidr>, Usage> {
    const FLAG: &str = "--load-balancer-cidr";
    let mut ranges: Vec<Cidr> = Vec::new();
    for text in texts {
        let range = range(FLAG, text, 8..=32)?;
        let pool: Result<Pool, _> = range.to_string().parse();
        pool.map_err(|why| usage(FLAG, format!("{range} {why}")))?;
        let used = others.iter().copied().chain(ranges.iter().map(|range| ("another", *range)));
        if let Some((whose, other)) = used.into_iter().find(|(_, other)| overlap(range, *other)) {
            return Err(usage(FLAG, format!("{range} overlaps {whose} {other}; give it a range of its own")));
        }
        if range.contains(node_ip) {
            return Err(usage(
                FLAG,
                format!("{range} holds the node's address {node_ip}; pass a range that no machine uses"),
            ));
        }
        ranges.push(range);
    }
    Ok(ranges)
}

fn overlap(one: Cidr, other: Cidr) -> bool {
    one.contains(other.address) || other.contains(one.address)
}

fn cluster_dns(given: Option<IpAddr>, service_cidr: Cidr) -> Result<IpAddr, Usage> {
    let address = given.unwrap_or_else(|| nth(service_cidr, 10));
    if service_cidr.contains(address) && address != nth(service_cidr, 1) && address != service_cidr.address {
        return Ok(address);
    }
    let free = nth(service_cidr, 10);
    Err(usage(
        "--cluster-dns",
        format!("{address} must be a free address of --service-cidr {service_cidr}, such as {free}"),
    ))
}

fn cluster_domain(text: &str) -> Result<String, Usage> {
    let domain = text.trim_end_matches('.').to_ascii_lowercase();
    match names::dns1123_subdomain(&domain) {
        Ok(()) => Ok(domain),
        Err(why) => {
            Err(usage("--cluster-domain", format!("\"{text}\" is not a domain name: {}", why.join(", "))))
        }
    }
}

fn ports(text: &str) -> Result<(u16, u16), Usage> {
    let parsed = text
        .split_once('-')
        .and_then(|(low, high)| Some((low.trim().parse().ok()?, high.trim().parse().ok()?)));
    match parsed {
        Some((low, high)) if 0 < low && low <= high => Ok((low, high)),
        _ => Err(usage(
            "--service-node-port-range",
            format!("\"{text}\" is not a range of ports; pass one like 30000-32767"),
        )),
    }
}

fn ingress_ports(http: u16, https: u16) -> Result<(u16, u16), Usage> {
    if http == https && http != 0 {
        let why = format!("{https} is the port of --ingress-http-port too; pass another, or 0 for none");
        return Err(usage("--ingress-https-port", why));
    }
    Ok((http, https))
}

fn node_name(given: Option<String>, host_name: &str) -> Result<String, Usage> {
    let name = given.unwrap_or_else(|| host_name.to_ascii_lowercase());
    match names::dns1123_subdomain(&name) {
        Ok(()) => Ok(name),
        Err(why) => Err(usage("--node-name", format!("\"{name}\" cannot name a node: {}", why.join(", ")))),
    }
}

fn check_node_ip(node_ip: IpAddr, service_cidr: Cidr, given: bool) -> Result<(), Usage> {
    if service_cidr.contains(node_ip) {
        let flag = if given { "--node-ip" } else { "--service-cidr" };
        return Err(usage(
            flag,
            format!(
                "the node's address {node_ip} lies in --service-cidr {service_cidr}; choose another range"
            ),
        ));
    }
    if node_ip.is_loopback() || node_ip.is_unspecified() || node_ip.is_ipv6() {
        return Err(usage(
            "--node-ip",
            format!("{node_ip} cannot be reached by pods; pass an IPv4 address of this machine"),
        ));
    }
    Ok(())
}

fn listen(reachable: Option<IpAddr>, port: u16) -> Vec<SocketAddr> {
    let local = IpAddr::from(Ipv4Addr::LOCALHOST);
    let addresses = match reachable {
        Some(address) if address.is_unspecified() => vec![address],
        Some(address) if address != local => vec![local, address],
        _ => vec![local],
    };
    addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect()
}

/// The `n`th address of an IPv4 range.
fn nth(cidr: Cidr, n: u32) -> IpAddr {
    match cidr.address {
        IpAddr::V4(address) => Ipv4Addr::from(u32::from(address) + n).into(),
        IpAddr::V6(address) => IpAddr::V6(address),
    }
}

#[cfg(test)]
mod tests;
