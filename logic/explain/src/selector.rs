//! The selector: whether it finds pods, and if not, whose labels it nearly has, or who should have made them.

use k8s_openapi::api::core::v1::{Pod, Service};

use crate::context::{Context, key};
use crate::labels::{Difference, Labels, difference, matches};
use crate::step::{Step, StepName};
use crate::words::{self, count, full, in_namespace, list, name, namespace};
use crate::world::Workload;

/// The selector of a Service, if it has one.
pub(crate) fn of(service: &Service) -> Option<&Labels> {
    service.spec.as_ref()?.selector.as_ref().filter(|selector| !selector.is_empty())
}

/// The pods of the Service's namespace that its selector finds and that have not ended.
pub(crate) fn pods<'a>(context: &Context<'a>, service: &Service) -> Vec<&'a Pod> {
    let Some(selector) = of(service) else { return Vec::new() };
    let found = context.world.pods.iter().filter(|pod| {
        namespace(&pod.metadata) == namespace(&service.metadata)
            && matches(selector, pod.metadata.labels.as_ref())
    });
    found.collect()
}

/// The step that says whom the selector finds.
pub(crate) fn step(context: &Context<'_>, service: &Service, found: &[&Pod]) -> Step {
    let Some(selector) = of(service) else { return without(context, service) };
    let text = words::labels(selector);
    if !found.is_empty() {
        return Step::ok(StepName::Selector, format!("{text} finds {}", count(found.len(), "pod")));
    }
    let place = namespace(&service.metadata);
    let workloads = || context.world.workloads.iter().filter(|workload| workload.namespace == place);
    if let Some(workload) = workloads().find(|workload| matches(selector, Some(&workload.labels))) {
        return idle(workload, &text);
    }
    nearly(context, service, selector).or_else(|| elsewhere(context, service, selector)).unwrap_or_else(
        || {
            let sentence =
                format!("{text} finds no pod in namespace {place}, and none has labels close to it");
            Step::wrong(
                StepName::Selector,
                sentence,
                format!("kubectl get pods{} --show-labels", in_namespace(place)),
            )
        },
    )
}

/// A Service without selector lives from endpoints somebody else lists.
fn without(context: &Context<'_>, service: &Service) -> Step {
    let key = key(service);
    let slices = context.world.slices.iter().filter(|slice| {
        let labels = slice.metadata.labels.as_ref();
        namespace(&slice.metadata) == &*key.namespace
            && labels.and_then(|labels| labels.get("kubernetes.io/service-name")).map(String::as_str)
                == Some(&*key.name)
    });
    let addresses: usize = slices.map(|slice| slice.endpoints.iter().flatten().count()).sum();
    if addresses > 0 {
        let sentence = format!("it has no selector; {} listed by others", count(addresses, "endpoint"));
        return Step::ok(StepName::Selector, sentence);
    }
    Step::wrong(
        StepName::Selector,
        format!("{} has no selector, and nobody listed endpoints for it", full(&service.metadata)),
        format!(
            "give it a selector, or make an EndpointSlice labelled kubernetes.io/service-name={}",
            key.name
        ),
    )
}

/// The pods' maker is there and makes none.
fn idle(workload: &Workload, selector: &str) -> Step {
    let Workload { kind, name, namespace, .. } = workload;
    let command = kind.to_lowercase();
    let place = in_namespace(namespace);
    if workload.replicas == Some(0) {
        return Step::wrong(
            StepName::Selector,
            format!("{selector} finds no pod: {kind} {name} is scaled to 0"),
            format!("kubectl scale {command} {name}{place} --replicas=1"),
        );
    }
    let why = workload.trouble.as_deref().unwrap_or("it has not made any yet");
    Step::wrong(
        StepName::Selector,
        format!("{selector} finds no pod, though {kind} {name} should have made them: {why}"),
        format!("kubectl describe {command} {name}{place}"),
    )
}

/// Labels that differ a little from the selector: those of pods, else those of templates.
fn nearly(context: &Context<'_>, service: &Service, selector: &Labels) -> Option<Step> {
    let place = namespace(&service.metadata);
    let pods = context.world.pods.iter().filter(|pod| namespace(&pod.metadata) == place);
    let pods = pods.filter_map(|pod| Some((name(&pod.metadata).to_owned(), pod.metadata.labels.as_ref()?)));
    let near = nearest(selector, pods);
    let (differences, named, what) = match near {
        Some((differences, named)) => (differences, named, "pod"),
        None => {
            let templates = context.world.workloads.iter().filter(|workload| workload.namespace == place);
            let templates = templates.map(|w| (format!("{} {}", w.kind, w.name), &w.labels));
            let (differences, named) = nearest(selector, templates)?;
            (differences, named, "template")
        }
    };
    let differing: Vec<String> = differences.iter().map(Difference::words).collect();
    let sentence = format!(
        "{} finds no pod; {} come{} close ({}): {}",
        words::labels(selector),
        count(named.len(), what),
        if named.len() == 1 { "s" } else { "" },
        list(&named),
        differing.join("; ")
    );
    let mended: Vec<String> = differences.iter().map(Difference::mended).collect();
    let next = format!(
        "kubectl patch service {}{} -p '{{\"spec\":{{\"selector\":{{{}}}}}}}'",
        name(&service.metadata),
        in_namespace(place),
        mended.join(",")
    );
    Some(Step::wrong(StepName::Selector, sentence, next))
}

/// The least difference among some sets of labels, and who has it.
fn nearest<'a>(
    selector: &Labels,
    candidates: impl Iterator<Item = (String, &'a Labels)>,
) -> Option<(Vec<Difference>, Vec<String>)> {
    let mut found: Vec<(Vec<Difference>, String)> =
        candidates.filter_map(|(name, labels)| Some((difference(selector, labels)?, name))).collect();
    found.sort_by(|a, b| (a.0.len(), &a.0, &a.1).cmp(&(b.0.len(), &b.0, &b.1)));
    let least = found.first()?.0.clone();
    let named =
        found.into_iter().filter(|(differences, _)| *differences == least).map(|(_, name)| name).collect();
    Some((least, named))
}

/// Pods of another namespace that the selector would find.
fn elsewhere(context: &Context<'_>, service: &Service, selector: &Labels) -> Option<Step> {
    let place = namespace(&service.metadata);
    let pod = context.world.pods.iter().find(|pod| matches(selector, pod.metadata.labels.as_ref()))?;
    let other = namespace(&pod.metadata);
    let sentence = format!(
        "{} finds no pod in namespace {place}; {other} has some, but a Service finds pods of its own namespace alone",
        words::labels(selector)
    );
    Some(Step::wrong(
        StepName::Selector,
        sentence,
        format!(
            "kubectl get service {} -n {place} -o yaml, and make it in namespace {other}",
            name(&service.metadata)
        ),
    ))
}
