//! What must hold once a world has come to rest.

mod batch;
mod budgets;
mod quotas;
mod remains;
mod routes;
mod services;
mod workloads;

use crate::node::Node;
use crate::world::World;

type Judgement = Result<(), String>;

/// Everything, in the order in which a fault is best understood.
pub(crate) fn all(world: &World) -> Judgement {
    plans_are_empty(world)?;
    if let Some(life) = world.nodes.iter().flat_map(Node::lingering).next() {
        return Err(format!("a pod never goes: {life}"));
    }
    remains::all(world)?;
    workloads::all(world)?;
    batch::all(world)?;
    budgets::all(world)?;
    quotas::all(world)?;
    services::all(world)?;
    routes::all(world)
}

fn plans_are_empty(world: &World) -> Judgement {
    match world.controllers.left(&world.api).first() {
        None => Ok(()),
        Some((task, plan)) => Err(format!("{task:?} would still do {plan:?}")),
    }
}
