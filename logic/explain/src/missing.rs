//! No such Service, namespace or pod: what is called nearly so, or so elsewhere.

use crate::context::Context;
use crate::near::near;
use crate::step::{Step, StepName};
use crate::words::{in_namespace, list, name, namespace};

/// The step that says that `wanted` is no Service of `place`. `asked` is the name that led there.
pub(crate) fn service(context: &Context<'_>, place: &str, wanted: &str) -> Step {
    if !context.has_namespace(place) {
        return no_namespace(context, place, wanted);
    }
    let services = || context.world.services.iter().map(|service| &service.metadata);
    let elsewhere: Vec<&str> = services().filter(|meta| name(meta) == wanted).map(namespace).collect();
    let here = near(wanted, services().filter(|meta| namespace(meta) == place).map(name));
    let none = format!("there is no Service {wanted} in namespace {place}");
    if let [first, ..] = here.as_slice()
        && elsewhere.is_empty()
    {
        let sentence = format!("{none}; there is {}", list(&here));
        return wrong(sentence, explain(place, first));
    }
    if let [first, ..] = elsewhere.as_slice() {
        let sentence = format!("{none}; there is one in namespace {}", list(&elsewhere));
        let from_here = format!("from {place} its name is {wanted}.{first}");
        return wrong(sentence, explain(first, wanted)).details([from_here]);
    }
    if let Some(workload) =
        context.world.workloads.iter().find(|workload| workload.name == wanted && workload.namespace == place)
    {
        let kind = workload.kind.to_lowercase();
        let sentence = format!("{none}; there is a {} of that name, which nothing publishes", workload.kind);
        return wrong(sentence, format!("kubectl expose {kind} {wanted}{} --port=PORT", in_namespace(place)));
    }
    wrong(
        format!("{none}, and none of a similar name"),
        format!("kubectl get services{}", in_namespace(place)),
    )
}

fn no_namespace(context: &Context<'_>, place: &str, wanted: &str) -> Step {
    let namespaces = || context.world.namespaces.iter().map(|namespace| name(&namespace.metadata));
    let has_it = |namespace: &&str| context.service(namespace, wanted).is_some();
    let close = near(place, namespaces());
    let holding: Vec<&str> = namespaces().filter(has_it).collect();
    match (close.iter().copied().find(|namespace| has_it(namespace)), holding.as_slice()) {
        (Some(close), _) => wrong(
            format!("there is no namespace {place}; {close} is close to it and has a Service {wanted}"),
            explain(close, wanted),
        ),
        (None, [first, ..]) => wrong(
            format!("there is no namespace {place}; a Service {wanted} is in {}", list(&holding)),
            explain(first, wanted),
        ),
        (None, []) => {
            let hint = if close.is_empty() { String::new() } else { format!("; there is {}", list(&close)) };
            wrong(format!("there is no namespace {place}{hint}"), "kubectl get namespaces".to_owned())
        }
    }
}

/// The step that says that the pod who asks does not exist.
pub(crate) fn pod(context: &Context<'_>, place: &str, wanted: &str) -> Step {
    let pods = || context.world.pods.iter().map(|pod| &pod.metadata);
    let mut close = near(wanted, pods().filter(|meta| namespace(meta) == place).map(name));
    let owned: Vec<&str> = pods()
        .filter(|meta| namespace(meta) == place && name(meta).starts_with(&format!("{wanted}-")))
        .map(name)
        .collect();
    if !owned.is_empty() {
        close = owned;
    }
    let hint = if close.is_empty() { String::new() } else { format!("; there is {}", list(&close)) };
    Step::wrong(
        StepName::From,
        format!("there is no pod {wanted} in namespace {place}{hint}"),
        format!("kubectl get pods{}", in_namespace(place)),
    )
}

/// The step that says that the node that asks does not exist.
pub(crate) fn node(context: &Context<'_>, wanted: &str) -> Step {
    let nodes: Vec<&str> = context.world.nodes.iter().map(|node| name(&node.metadata)).collect();
    let sentence = format!("there is no node {wanted}; there is {}", list(&nodes));
    Step::wrong(StepName::From, sentence, "kubectl get nodes")
}

fn wrong(sentence: String, next: String) -> Step {
    Step::wrong(StepName::Service, sentence, next)
}

/// The command that asks about another Service.
fn explain(namespace: &str, name: &str) -> String {
    format!("kelson explain svc/{name}{}", in_namespace(namespace))
}
