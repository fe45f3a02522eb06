//! A pod under a node's care: what is known of it, what was heard, and what the API was told.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus, Service};
use kelson_machinery::meta;
use kelson_plans::{Key, Resource, select};
use kelson_pods::{Drain, Life, Report};

use crate::api::{Api, Part, Place, Refusal};

pub(super) struct Tended {
    pub pod: Pod,
    pub life: Life,
    pub drain: Drain,
    /// What happened and was not yet told, in any order.
    pub reports: Vec<Report>,
    pub wake_at: Option<Timestamp>,
    /// The status the API was last told, or was found to say already.
    pub told: Option<PodStatus>,
    /// What the API made of that, and as of which version.
    pub echo: Option<(PodStatus, String)>,
    pub stale: bool,
}

impl Tended {
    pub(super) fn new(pod: Pod, life: Life) -> Self {
        let (reports, drain) = (vec![Report::ServicesKnown], Drain::default());
        Self { pod, life, drain, reports, wake_at: None, told: None, echo: None, stale: true }
    }

    pub(super) fn tell(&mut self, report: Report) {
        self.reports.push(report);
    }

    pub(super) fn is_lively(&self, now: Timestamp) -> bool {
        self.stale || !self.reports.is_empty() || self.wake_at.is_some_and(|at| at <= now)
    }

    /// The pod as the API has it now. Where somebody else has changed its status, that is told again.
    pub(super) fn see(&mut self, pod: Pod) {
        let version = |text: &str| text.parse::<u64>().unwrap_or(0);
        let seen = version(pod.metadata.resource_version.as_deref().unwrap_or_default());
        if let Some((echo, at)) = &self.echo
            && seen > version(at)
            && pod.status.as_ref() != Some(echo)
        {
            (self.told, self.echo) = (None, None);
        }
        (self.pod, self.stale) = (pod, true);
    }

    /// Tells the API; where the answer is lost it is told again.
    pub(super) fn write_status(&mut self, status: PodStatus, api: &mut Api, now: Timestamp, lost: bool) {
        let place = Place { resource: Resource::of::<Pod>(true), key: Key::of(&self.pod.metadata) };
        let uid = self.pod.metadata.uid.clone().unwrap_or_default();
        if api.get(&place.resource, &place.key).is_none_or(|pod| meta::uid(pod) != uid) {
            return;
        }
        let json = serde_json::to_value(&status).expect("a status is JSON");
        let written = api.edit(&place, Part::Status, |pod| pod["status"] = json);
        if let Err(Refusal::Invalid(why)) = written {
            api.faults.push(format!("the API refuses the status of {}: {why}", place.key));
        }
        self.stale = true;
        if lost {
            return;
        }
        self.told = Some(status.clone());
        let now_there = api.get(&place.resource, &place.key).map(|pod| pod.typed::<Pod>());
        self.echo =
            now_there.and_then(|pod| Some((pod.status.clone()?, pod.metadata.resource_version.clone()?)));
        // At once, for there is one write in flight at a time: two answers never overtake each other.
        self.life.report(&self.pod, Report::Written(Box::new(status)), now);
    }
}

/// Whether a Service with an address of its own chooses the pod, as the API has it.
pub(crate) fn is_chosen(pod: &Pod, api: &Api) -> bool {
    let resource = Resource::of::<Service>(true);
    let mut selectors = api
        .all(&resource)
        .filter(|(key, _)| Some(&key.namespace) == pod.metadata.namespace.as_ref())
        .filter(|(_, service)| !matches!(meta::get_str(service, &["spec", "clusterIP"]), "" | "None"))
        .map(|(_, service)| service.typed::<Service>().spec.clone().and_then(|spec| spec.selector));
    selectors.any(|selector| {
        let selector = selector.filter(|selector| !selector.is_empty());
        selector.is_some_and(|selector| select::matches_all(&selector, pod.metadata.labels.as_ref()))
    })
}
