//! The answer: steps of a walk, each judged, and what to do next where something is wrong.

use serde::Serialize;

/// How a step came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Not what one might expect, but requests get through.
    Warning,
    /// Requests fail because of this.
    Wrong,
}

/// Where on the way from the name to the pod a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StepName {
    /// Who asks.
    From,
    /// The name becomes an address.
    Name,
    /// The Service exists and is of that kind.
    Service,
    /// It has the port.
    Port,
    /// Its selector finds pods.
    Selector,
    /// They are ready.
    Pods,
    /// The target port is one of theirs.
    Target,
    /// They are listed as endpoints.
    Endpoints,
    /// Their programs listen.
    Listening,
    /// Every node knows of it.
    Programmed,
    /// What a packet meets.
    Packet,
    /// What clients from outside meet.
    Outside,
}

impl StepName {
    /// One word, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::Name => "name",
            Self::Service => "service",
            Self::Port => "port",
            Self::Selector => "selector",
            Self::Pods => "pods",
            Self::Target => "target",
            Self::Endpoints => "endpoints",
            Self::Listening => "listening",
            Self::Programmed => "programmed",
            Self::Packet => "packet",
            Self::Outside => "outside",
        }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Where on the way.
    pub step: StepName,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found, in one sentence.
    pub sentence: String,
    /// More, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// What to do or look at next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Step {
    /// A step that is as it should be.
    pub(crate) fn ok(step: StepName, sentence: impl Into<String>) -> Self {
        Self::new(step, Verdict::Ok, sentence.into())
    }

    /// A step that deserves a remark.
    pub(crate) fn warning(step: StepName, sentence: impl Into<String>) -> Self {
        Self::new(step, Verdict::Warning, sentence.into())
    }

    /// A step at which requests fail.
    pub(crate) fn wrong(step: StepName, sentence: impl Into<String>, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..Self::new(step, Verdict::Wrong, sentence.into()) }
    }

    fn new(step: StepName, verdict: Verdict, sentence: String) -> Self {
        Self { step, verdict, sentence, details: Vec::new(), next: None }
    }

    pub(crate) fn details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }

    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

/// The walk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What was asked about, as `namespace/name`, or the name as it was given when it leads to no Service.
    pub service: String,
    /// Who connects.
    pub from: String,
    /// How it came out: the worst of the steps.
    pub verdict: Verdict,
    /// The steps as far as the first that is wrong, and what a packet meets then.
    pub steps: Vec<Step>,
    /// What could not be looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<String>,
}

impl Explanation {
    /// The first step that is wrong.
    pub fn first_wrong(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.verdict == Verdict::Wrong)
    }
}
