//! The Service `kube-dns` and its EndpointSlice, which names the pod bridge's address: cluster DNS is reached like any
//! other Service (spec D3.3).

use std::net::IpAddr;

use anyhow::Context;
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kelson_model::Revision;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::config::Config;

/// Where CoreDNS serves its metrics, and so do we.
pub const METRICS_PORT: u16 = 9153;

/// Makes the Service, or puts it right; the revision from which on a data plane leads to it.
pub async fn publish(client: kube::Client, config: &Config) -> anyhow::Result<Revision> {
    let services: Api<Service> = Api::namespaced(client.clone(), "kube-system");
    let service = put(&services, "kube-dns", service(config.cluster_dns));
    let services = service.await.context("publishing the Service kube-dns")?;
    let slices: Api<EndpointSlice> = Api::namespaced(client, "kube-system");
    let slice = put(&slices, "kube-dns", endpoint_slice(config.gateway(), &config.node_name));
    let endpoint_slices = slice.await.context("publishing the endpoints of kube-dns")?;
    Ok(Revision { services, endpoint_slices })
}

/// The version of the object as it is now.
async fn put<K>(api: &Api<K>, name: &str, object: Value) -> anyhow::Result<u64>
where
    K: Clone + Serialize + DeserializeOwned + std::fmt::Debug + ResourceExt,
{
    let stored = match api.create(&PostParams::default(), &serde_json::from_str(&object.to_string())?).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {
            api.patch(name, &PatchParams::default(), &Patch::Merge(object)).await?
        }
        created => created?,
    };
    Ok(stored.resource_version().and_then(|version| version.parse().ok()).unwrap_or_default())
}

fn service(address: IpAddr) -> Value {
    let labels = json!({ "k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS" });
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "kube-dns", "namespace": "kube-system", "labels": labels },
        "spec": { "clusterIP": address, "ports": [
            { "name": "dns", "port": 53, "protocol": "UDP" },
            { "name": "dns-tcp", "port": 53, "protocol": "TCP" },
            { "name": "metrics", "port": METRICS_PORT, "protocol": "TCP" },
        ] },
    })
}

fn endpoint_slice(address: IpAddr, node: &str) -> Value {
    let labels = json!({ "kubernetes.io/service-name": "kube-dns", "endpointslice.kubernetes.io/managed-by": "kelson" });
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": { "name": "kube-dns", "namespace": "kube-system", "labels": labels },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": [address], "nodeName": node, "conditions": { "ready": true } }],
        "ports": [
            { "name": "dns", "port": 53, "protocol": "UDP" },
            { "name": "dns-tcp", "port": 53, "protocol": "TCP" },
            { "name": "metrics", "port": METRICS_PORT, "protocol": "TCP" },
        ],
    })
}
