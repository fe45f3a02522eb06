//! The node of `kelson up`: pod network, Service proxy, DNS and the agent, and how one knows that they are ready.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1 as core;
use kelson_agent::{Agent, AgentConfig, Routes};
use kelson_apiserver::ApiServer;
use kelson_dns::Upstream;
use kelson_model::{Acknowledged, Revision};
use kelson_network::{NetworkConfig, PodNetwork};
use kelson_process::Shutdown;
use kube::Api;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::cluster_dns;
use super::config::Config;
use super::ingress;
use super::outside;
use super::proxy;
use super::report::Report;
use super::role;

/// How long the node may take until it is ready before the start is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The started node.
pub struct Node {
    name: String,
    client: kube::Client,
    dns: String,
    balancer: Option<String>,
    ingress: Option<String>,
    programmed: watch::Receiver<Acknowledged>,
    /// From here on the data plane leads to cluster DNS.
    published: Revision,
}

/// Makes the pod bridge, or adopts the one that is there; both ranges are held on it from now on.
pub async fn network(config: &Config) -> anyhow::Result<()> {
    let settings = NetworkConfig::new(&config.data_dir, config.pod_cidr, config.service_cidr);
    let bridge = settings.bridge.clone();
    PodNetwork::open(settings).await.map(drop).context("making the pod network")?;
    let held = kelson_network::hold(&bridge, &config.load_balancer_ranges).await;
    held.context("--load-balancer-cidr: routing the range")
}

impl Node {
    /// Starts proxy, DNS and agent.
    pub async fn start(
        config: &Config,
        api: &ApiServer,
        client: &impl Fn(&str) -> kube::Client,
        shutdown: &Shutdown,
        tasks: &mut JoinSet<()>,
    ) -> anyhow::Result<Self> {
        let snapshots = kelson_cluster::snapshots(client("system:kube-proxy"), shutdown.clone());
        let links = outside::follow(shutdown, tasks).await?;
        let as_node = client(&format!("system:node:{}", config.node_name));
        let host_ports = kelson_cluster::host_ports(as_node.clone(), &config.node_name, shutdown.clone());
        let host_ports = host_ports.await;
        let views = outside::node_views(config, links.clone(), host_ports, tasks);
        let as_proxy = client("system:kube-proxy");
        let programmed =
            proxy::start(config, as_proxy.clone(), snapshots.clone(), views, shutdown, tasks).await?;
        tasks.spawn(kelson_cluster::publish_programmed(
            as_proxy.clone(),
            config.node_name.clone(),
            programmed.clone(),
            shutdown.clone(),
        ));
        let routed = snapshots.clone();
        let balancer = outside::start_balancer(config, snapshots.clone(), links, shutdown, tasks)?;
        let published = cluster_dns::publish(client("system:kelson-dns"), config).await?;
        let dns = start_dns(config, snapshots.clone(), shutdown, tasks).await?;
        let ingress =
            ingress::start(config, client("system:kelson-ingress"), snapshots, shutdown, tasks).await?;
        let routes = Routes {
            snapshots: routed,
            everywhere: kelson_cluster::programmed_everywhere(as_proxy, shutdown.clone()),
        };
        let settings = AgentConfig { routes: Some(routes), ..agent_config(config) };
        let agent = Agent::start(settings, as_node, shutdown.clone());
        let mut agent = agent.await.context("starting the node's agent")?;
        agent.reclaim_volumes(client("system:kelson-volumes"), shutdown.clone());
        api.connect_node(&config.node_name, agent.router());
        tasks.spawn(async move { agent.finished().await });
        let (name, client) = (config.node_name.clone(), client("system:kelson"));
        let (marking, ended) = (role::keep(client.clone(), name.clone()), shutdown.clone());
        tasks.spawn(async move { ended.run_until_cancelled(marking).await.unwrap_or_default() });
        Ok(Self { name, client, dns, ingress, balancer, programmed, published })
    }

    /// Waits until the data plane is programmed, cluster DNS's own Service included, and the Node object says Ready, and reports it.
    pub async fn ready(mut self, report: &mut Report) -> anyhow::Result<()> {
        let leads_to_dns = |done: &Acknowledged| done.revision.covers(self.published);
        let programmed = tokio::time::timeout(PATIENCE, self.programmed.wait_for(leads_to_dns));
        programmed
            .await
            .ok()
            .and_then(Result::ok)
            .context("the Service proxy is not programmed; see the log above")?;
        report.ready("Services", "nftables");
        report.ready("DNS", &self.dns);
        if let Some(ingress) = &self.ingress {
            report.ready("Ingress", ingress);
        }
        if let Some(balancer) = &self.balancer {
            report.ready("balancer", balancer);
        }
        self.until_node_ready().await?;
        report.ready("node", &format!("{} is Ready", self.name));
        Ok(())
    }

    async fn until_node_ready(&self) -> anyhow::Result<()> {
        let nodes: Api<core::Node> = Api::all(self.client.clone());
        let ready = kelson_cluster::wait_until(nodes, &self.name, is_ready);
        match tokio::time::timeout(PATIENCE, ready).await {
            Ok(()) => Ok(()),
            Err(_) => {
                bail!("node {} is not Ready after {} s; see the log above", self.name, PATIENCE.as_secs())
            }
        }
    }
}

/// Whether the node takes pods, and its role is known.
fn is_ready(node: &core::Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = |condition: &core::NodeCondition| condition.type_ == "Ready" && condition.status == "True";
    conditions.into_iter().any(ready) && role::is_marked(node)
}

/// Starts cluster DNS on the pod bridge's address; a line that says where it answers.
async fn start_dns(
    config: &Config,
    snapshots: watch::Receiver<Arc<kelson_model::Snapshot>>,
    shutdown: &Shutdown,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<String> {
    let settings = kelson_dns::Config {
        ranges: vec![config.pod_cidr, config.service_cidr],
        upstream: Upstream::ResolvConf(config.resolv_conf.clone()),
        metrics: vec![(config.gateway(), cluster_dns::METRICS_PORT).into()],
        ..kelson_dns::Config::new(&config.cluster_domain, [(config.gateway(), 53).into()])
    };
    let server =
        kelson_dns::run(snapshots, settings, shutdown.clone()).await.context("starting cluster DNS")?;
    tasks.spawn(server.finished());
    Ok(format!("{} for {}", config.cluster_dns, config.cluster_domain))
}

fn agent_config(config: &Config) -> AgentConfig {
    AgentConfig {
        pod_cidr: config.pod_cidr.to_string(),
        service_cidr: config.service_cidr.to_string(),
        cluster_dns: vec![config.cluster_dns],
        cluster_domain: config.cluster_domain.clone(),
        resolv_conf: Some(config.resolv_conf.clone()),
        insecure_registries: config.insecure_registries.clone(),
        eviction_hard: config.eviction_hard.clone(),
        ..AgentConfig::new(&config.node_name, config.node_ip, &config.data_dir)
    }
}
