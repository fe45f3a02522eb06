//! The walk itself: which steps there are, in which order, and where it ends. All control is here; the steps judge.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::{Service, ServicePort};
use kelson_zones::Known;

use crate::asker::{self, Client};
use crate::context::Context;
use crate::question::{Question, Target};
use crate::step::{Explanation, Step, Verdict};
use crate::world::World;
use crate::{alias, endpoints, name, outside, packet, pods, port, reason, selector, service, target, words};

/// Most connections asked for.
const CONNECTS_MAX: usize = 32;

/// What looking should tell before [`explain`] is asked: facts it can do without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// TCP connections to try, each only from the node it names.
    pub connects: Vec<(SocketAddr, String)>,
    /// Names to ask cluster DNS for.
    pub names: Vec<String>,
    /// Where cluster DNS is.
    pub name_server: Option<IpAddr>,
}

/// The facts that would tell more about `question`.
pub fn wanted(world: &World, question: &Question) -> Wanted {
    let context = Context::new(world, question);
    let Ok(client) = asker::find(&context) else { return Wanted::default() };
    let Ok(service) = name::service(&context, &client) else { return Wanted::default() };
    let full = format!(
        "{}.{}.svc.{}",
        words::name(&service.metadata),
        words::namespace(&service.metadata),
        context.domain
    );
    let mut wanted = Wanted { name_server: asker::name_server(&context), ..Wanted::default() };
    match context.zone.known(&full) {
        Known::Addresses(_) => wanted.names.push(full),
        Known::Alias(target) => wanted.names.push(target.to_string().trim_end_matches('.').to_owned()),
        _ => {}
    }
    if let Ok(ports) = port::chosen(service, question.port.as_ref()) {
        wanted.connects = endpoints::worth_trying(&context, service, &ports);
        wanted.connects.truncate(CONNECTS_MAX);
    }
    wanted
}

/// Walks from the name to the pod.
pub fn explain(world: &World, question: &Question) -> Explanation {
    let context = Context::new(world, question);
    let mut walk = Walk { steps: Vec::new() };
    let mut from = question.from.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut called = match &question.target {
        Target::Service(name) => format!("{}/{name}", question.namespace),
        Target::Name(name) => name.clone(),
    };
    match asker::find(&context) {
        Err(step) => walk.steps.push(step),
        Ok(client) => {
            from.clone_from(&client.called);
            match name::service(&context, &client) {
                Err(step) => walk.steps.push(step),
                Ok(service) => {
                    called = words::full(&service.metadata);
                    walk.through(&context, &client, service);
                }
            }
        }
    }
    let verdict = walk.steps.iter().map(|step| step.verdict).max().unwrap_or(Verdict::Ok);
    let unseen = world.unseen.iter().map(|unseen| format!("{}: {}", unseen.what, unseen.why)).collect();
    Explanation { service: called, from, verdict, steps: walk.steps, unseen }
}

/// The steps so far.
struct Walk {
    steps: Vec<Step>,
}

impl Walk {
    /// Takes a step; `None` when the walk ends with it.
    fn go(&mut self, step: impl Into<Option<Step>>) -> Option<()> {
        let Some(step) = step.into() else { return Some(()) };
        let is_wrong = step.verdict == Verdict::Wrong;
        self.steps.push(step);
        (!is_wrong).then_some(())
    }

    /// The whole way; when it ends early, what a packet meets then.
    fn through(&mut self, context: &Context<'_>, client: &Client<'_>, service: &Service) {
        let asked = context.question.port.as_ref();
        let ports = port::chosen(service, asked).unwrap_or_default();
        if self.reach_pods(context, client, service, &ports).is_none() {
            let consequence = packet::step(context, client, service, &ports);
            let consequence = consequence.filter(|step| step.verdict == Verdict::Wrong);
            self.steps.extend(consequence.map(|step| Step { next: None, ..step }));
            return;
        }
        if !service::is_alias(service) {
            let reached = self.go(packet::step(context, client, service, &ports));
            let outside = reached.and_then(|()| self.go(outside::step(context, service, &ports)));
            let _ended = outside.and_then(|()| self.go(service::pending(service)));
        }
    }

    /// From the name to programs that listen.
    fn reach_pods(
        &mut self,
        context: &Context<'_>,
        client: &Client<'_>,
        service: &Service,
        ports: &[&ServicePort],
    ) -> Option<()> {
        self.go(name::step(context, client, service))?;
        if service::is_alias(service) {
            return self.go(alias::step(context, service));
        }
        self.go(service::step(service))?;
        self.go(port::chosen(service, context.question.port.as_ref()).err())?;
        self.go(port::step(ports))?;
        let found: Vec<_> = selector::pods(context, service);
        let (ended, found): (Vec<_>, Vec<_>) = found.into_iter().partition(|pod| reason::has_ended(pod));
        let found = if found.is_empty() { ended } else { found };
        self.go(selector::step(context, service, &found))?;
        self.go(pods::step(context, service, &found))?;
        self.go(target::step(service, ports, &found))?;
        self.go(endpoints::step(context, service, ports, &found))?;
        self.go(endpoints::listening(context, service, ports))?;
        self.go(service::programmed(service))
    }
}
