//! The objects an explanation is made of, listed once. What may not be listed is noted and done without; only an API that
//! does not answer at all, or shows no Services, ends it.

use std::collections::BTreeSet;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Event, Pod, Service};
use kelson_explain::{Asker, Question, Target, Unseen, Workload, World};
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Most pods of other namespaces asked for, to tell that a selector would find pods there.
const ELSEWHERE_MAX: u32 = 10;

/// Reads what `question` is about.
pub async fn read(client: &Client, question: &Question, domain: &str) -> anyhow::Result<World> {
    let mut world = World { domain: domain.to_owned(), ..World::default() };
    let mut reader = Reader { client, unseen: Vec::new() };
    let everything = ListParams::default();
    world.services = reader.services(&question.namespace).await?;
    world.namespaces = reader.list("namespaces", &Api::all(client.clone()), &everything).await;
    world.nodes = reader.list("nodes", &Api::all(client.clone()), &everything).await;
    world.slices = reader.everywhere_or_in("EndpointSlices", &question.namespace).await;
    for place in places(question, &world) {
        world.pods.extend(reader.list::<Pod>("pods", &in_namespace(client, &place), &everything).await);
        let about_pods = ListParams::default().fields("involvedObject.kind=Pod");
        world.events.extend(reader.list::<Event>("events", &in_namespace(client, &place), &about_pods).await);
        world.workloads.extend(reader.workloads(&place).await);
    }
    let elsewhere = reader.elsewhere(question, &world).await;
    world.pods.extend(elsewhere);
    reader.unseen.sort_by_key(|unseen| unseen.what);
    reader.unseen.dedup_by_key(|unseen| unseen.what);
    world.unseen = reader.unseen;
    Ok(world)
}

/// The namespaces that can matter: the Service's, the asker's, and those a name may mean.
fn places(question: &Question, world: &World) -> BTreeSet<String> {
    let mut places = BTreeSet::from([question.namespace.clone()]);
    if let Some(Asker::Pod(namespace, _)) = &question.from {
        places.insert(namespace.clone());
    }
    if let Target::Name(name) = &question.target {
        let exist: BTreeSet<&str> =
            world.services.iter().filter_map(|service| service.metadata.namespace.as_deref()).collect();
        places.extend(name.split('.').filter(|label| exist.contains(label)).map(str::to_owned));
    }
    places
}

fn in_namespace<K>(client: &Client, namespace: &str) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(client.clone(), namespace)
}

/// Lists, and remembers what it may not.
struct Reader<'a> {
    client: &'a Client,
    unseen: Vec<Unseen>,
}

impl Reader<'_> {
    async fn list<K>(&mut self, what: &'static str, api: &Api<K>, parameters: &ListParams) -> Vec<K>
    where
        K: Clone + std::fmt::Debug + DeserializeOwned,
    {
        match api.list(parameters).await {
            Ok(list) => list.items,
            Err(error) => {
                let why = match error {
                    kube::Error::Api(status) => status.message.clone(),
                    other => other.to_string(),
                };
                self.unseen.push(Unseen { what, why });
                Vec::new()
            }
        }
    }

    /// Services of all namespaces, or of this one where that is all one may see.
    async fn services(&mut self, namespace: &str) -> Result<Vec<Service>, kube::Error> {
        match Api::all(self.client.clone()).list(&ListParams::default()).await {
            Ok(list) => Ok(list.items),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                self.unseen
                    .push(Unseen { what: "Services of other namespaces", why: status.message.clone() });
                let own =
                    in_namespace::<Service>(self.client, namespace).list(&ListParams::default()).await?;
                Ok(own.items)
            }
            Err(error) => Err(error),
        }
    }

    async fn everywhere_or_in<K>(&mut self, what: &'static str, namespace: &str) -> Vec<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        match Api::all(self.client.clone()).list(&ListParams::default()).await {
            Ok(list) => list.items,
            Err(_) => self.list(what, &in_namespace(self.client, namespace), &ListParams::default()).await,
        }
    }

    async fn workloads(&mut self, namespace: &str) -> Vec<Workload> {
        let deployments = self.values::<Deployment>("Deployments", namespace).await;
        let sets = self.values::<ReplicaSet>("ReplicaSets", namespace).await;
        let stateful = self.values::<StatefulSet>("StatefulSets", namespace).await;
        let daemons = self.values::<DaemonSet>("DaemonSets", namespace).await;
        let deployments = deployments.iter().map(|deployment| Workload {
            trouble: trouble(deployment).or_else(|| owned_by(deployment, &sets).find_map(trouble)),
            ..workload("Deployment", deployment)
        });
        let alone = sets.iter().filter(|set| set["metadata"]["ownerReferences"].is_null());
        let alone = alone.map(|set| workload("ReplicaSet", set));
        let stateful = stateful.iter().map(|set| workload("StatefulSet", set));
        let daemons = daemons.iter().map(|set| workload("DaemonSet", set));
        deployments.chain(alone).chain(stateful).chain(daemons).collect()
    }

    /// The objects of one kind as JSON: of each kind of workload the same few fields count.
    async fn values<K>(&mut self, what: &'static str, namespace: &str) -> Vec<Value>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + Serialize
            + DeserializeOwned,
    {
        let objects: Vec<K> =
            self.list(what, &in_namespace(self.client, namespace), &ListParams::default()).await;
        objects.iter().filter_map(|object| serde_json::to_value(object).ok()).collect()
    }

    /// A few pods of any namespace that the Service's selector would find.
    async fn elsewhere(&mut self, question: &Question, world: &World) -> Vec<Pod> {
        let Target::Service(name) = &question.target else { return Vec::new() };
        let is_it = |service: &&Service| {
            service.metadata.name.as_deref() == Some(name)
                && service.metadata.namespace.as_deref() == Some(&question.namespace)
        };
        let service = world.services.iter().find(is_it);
        let selector = service.and_then(|service| service.spec.as_ref()?.selector.as_ref());
        let Some(selector) = selector.filter(|selector| !selector.is_empty()) else { return Vec::new() };
        let pairs: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let parameters = ListParams::default().labels(&pairs.join(",")).limit(ELSEWHERE_MAX);
        let found = Api::<Pod>::all(self.client.clone()).list(&parameters).await;
        let known: BTreeSet<_> = world.pods.iter().map(|pod| &pod.metadata.uid).collect();
        // A hint more; who may not see other namespaces does without it.
        let found = found.map(|list| list.items).unwrap_or_default();
        found.into_iter().filter(|pod| !known.contains(&pod.metadata.uid)).collect()
    }
}

/// The ReplicaSets of a Deployment.
fn owned_by<'a>(deployment: &'a Value, sets: &'a [Value]) -> impl Iterator<Item = &'a Value> {
    let is_owner = |set: &&Value| {
        let owners = set["metadata"]["ownerReferences"].as_array();
        owners.into_iter().flatten().any(|owner| owner["uid"] == deployment["metadata"]["uid"])
    };
    sets.iter().filter(is_owner)
}

fn workload(kind: &'static str, object: &Value) -> Workload {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &object["spec"];
    let labels = spec["template"]["metadata"]["labels"].as_object().into_iter().flatten();
    // The API always says how many, except for what has no number.
    let replicas = spec["replicas"].as_i64().and_then(|replicas| i32::try_from(replicas).ok());
    Workload {
        kind,
        namespace: text(&object["metadata"]["namespace"]),
        name: text(&object["metadata"]["name"]),
        replicas,
        labels: labels.map(|(key, value)| (key.clone(), text(value))).collect(),
        trouble: trouble(object),
    }
}

/// Why a workload cannot make pods, by its condition `ReplicaFailure`.
fn trouble(object: &Value) -> Option<String> {
    let conditions = object["status"]["conditions"].as_array()?;
    let failing = conditions.iter().find(|c| c["type"] == "ReplicaFailure" && c["status"] == "True")?;
    failing["message"].as_str().map(str::to_owned)
}
