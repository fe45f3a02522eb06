//! Who connects: its node, its address, and how it resolves names.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Node, Pod};
use kelson_model::Origin;

use crate::context::Context;
use crate::missing;
use crate::question::Asker;
use crate::step::{Step, StepName};
use crate::words::{full, name, namespace};

/// How many dots make a name tried as it is first, for a pod on cluster DNS (spec D4.1).
const CLUSTER_NDOTS: usize = 5;

/// The client.
pub(crate) struct Client<'a> {
    pub pod: Option<&'a Pod>,
    pub node: Option<&'a Node>,
    /// As the user would say it.
    pub called: String,
}

/// How names are completed, and whether cluster DNS is asked at all.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Search {
    pub domains: Vec<String>,
    pub ndots: usize,
}

/// Finds the one the question names, or a node to look from; the step that says why not.
pub(crate) fn find<'a>(context: &Context<'a>) -> Result<Client<'a>, Step> {
    match &context.question.from {
        Some(Asker::Pod(place, wanted)) => {
            let pod = context.pod(place, wanted).ok_or_else(|| missing::pod(context, place, wanted))?;
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
            let node = node.and_then(|node| context.node(node));
            Ok(Client { pod: Some(pod), node, called: format!("pod {}", full(&pod.metadata)) })
        }
        Some(Asker::Node(wanted)) => {
            let node = context.node(wanted).ok_or_else(|| missing::node(context, wanted))?;
            Ok(Client { pod: None, node: Some(node), called: format!("node {wanted}") })
        }
        None => {
            let node = context.world.nodes.iter().min_by_key(|node| (!is_ready(node), name(&node.metadata)));
            let called = node.map_or("a node".to_owned(), |node| format!("node {}", name(&node.metadata)));
            Ok(Client { pod: None, node, called })
        }
    }
}

/// Whether a node's condition says it is Ready.
pub(crate) fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

impl Client<'_> {
    /// The namespace names are completed with.
    pub fn namespace<'b>(&'b self, context: &'b Context<'_>) -> &'b str {
        self.pod.map_or(&context.question.namespace, |pod| namespace(&pod.metadata))
    }

    /// Whether it shares the node's network.
    pub fn is_on_host(&self) -> bool {
        self.pod.is_none_or(|pod| pod.spec.as_ref().is_some_and(|spec| spec.host_network == Some(true)))
    }

    /// Where its packets start, and with which address.
    pub fn origin(&self) -> Option<(Origin, IpAddr)> {
        if !self.is_on_host() {
            let status = self.pod?.status.as_ref()?;
            return Some((Origin::Pod, status.pod_ip.as_ref()?.parse().ok()?));
        }
        Some((Origin::Node, self.node.and_then(|node| addresses(node).into_iter().next())?))
    }

    /// How it completes names; the step that says why it does not ask cluster DNS.
    pub fn search(&self, context: &Context<'_>) -> Result<Search, Step> {
        let domain = &context.domain;
        let cluster =
            |place: &str| vec![format!("{place}.svc.{domain}"), format!("svc.{domain}"), domain.to_owned()];
        let Some(pod) = self.pod else {
            return Ok(Search { domains: cluster(&context.question.namespace), ndots: CLUSTER_NDOTS });
        };
        let spec = pod.spec.clone().unwrap_or_default();
        let config = spec.dns_config.unwrap_or_default();
        let option = config.options.iter().flatten().filter(|option| option.name.as_deref() == Some("ndots"));
        let ndots = option.filter_map(|option| option.value.as_ref()?.parse().ok()).next_back();
        let more = config.searches.unwrap_or_default();
        let on_host = spec.host_network == Some(true);
        match spec.dns_policy.as_deref().unwrap_or("ClusterFirst") {
            "Default" => Err(node_resolvers(pod, "its dnsPolicy is Default")),
            "ClusterFirst" if on_host => {
                Err(node_resolvers(pod, "on the host's network, dnsPolicy ClusterFirst means Default"))
            }
            "None" => match foreign_servers(context, &config.nameservers.unwrap_or_default()) {
                Some(servers) => Err(other_servers(pod, &servers)),
                None => Ok(Search { domains: more, ndots: ndots.unwrap_or(1) }),
            },
            _ => {
                let domains = [cluster(namespace(&pod.metadata)), more].concat();
                Ok(Search { domains, ndots: ndots.unwrap_or(CLUSTER_NDOTS) })
            }
        }
    }
}

impl Search {
    /// The names tried, in the resolver's order.
    pub fn candidates(&self, name: &str) -> Vec<String> {
        let absolute = name.trim_end_matches('.').to_owned();
        if name.ends_with('.') {
            return vec![absolute];
        }
        let mut candidates: Vec<String> = self
            .domains
            .iter()
            .map(|domain| format!("{absolute}.{}", domain.trim_end_matches('.')))
            .collect();
        let first = if name.matches('.').count() >= self.ndots { 0 } else { candidates.len() };
        candidates.insert(first, absolute);
        candidates
    }
}

/// The address of cluster DNS.
pub(crate) fn name_server(context: &Context<'_>) -> Option<IpAddr> {
    let service = context.service("kube-system", "kube-dns")?;
    service.spec.as_ref()?.cluster_ip.as_ref()?.parse().ok()
}

/// The addresses of a node, those inside the cluster first.
pub(crate) fn addresses(node: &Node) -> Vec<IpAddr> {
    let all = || node.status.iter().flat_map(|status| status.addresses.iter().flatten());
    let of = |kind: &'static str| {
        let wanted = all().filter(move |address| address.type_ == kind);
        wanted.filter_map(|address| address.address.parse().ok())
    };
    of("InternalIP").chain(of("ExternalIP")).collect()
}

/// The servers a pod names, when cluster DNS is not among them.
fn foreign_servers(context: &Context<'_>, servers: &[String]) -> Option<String> {
    let own = name_server(context)?.to_string();
    (!servers.contains(&own)).then(|| servers.join(", "))
}

fn node_resolvers(pod: &Pod, why: &str) -> Step {
    let sentence = format!("{} asks the node's resolvers, not cluster DNS: {why}", full(&pod.metadata));
    Step::wrong(
        StepName::Name,
        sentence,
        "set dnsPolicy: ClusterFirstWithHostNet (or ClusterFirst) in its pod template",
    )
}

fn other_servers(pod: &Pod, servers: &str) -> Step {
    let sentence = format!("{} asks {servers}, not cluster DNS: its dnsPolicy is None", full(&pod.metadata));
    Step::wrong(
        StepName::Name,
        sentence,
        "name the address of cluster DNS in its dnsConfig, or set dnsPolicy: ClusterFirst",
    )
}
