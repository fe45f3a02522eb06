//! What goes wrong of itself: watches break, processes die or hang, machines lose power, containers crash, clocks jump.

use jiff::SignedDuration;

use crate::clock::later;
use crate::world::World;

/// One misfortune.
pub(crate) fn strike(world: &mut World) {
    match world.is_calm() {
        true => annoy(world),
        false => harm(world),
    }
}

/// What must cost no pod its readiness.
fn annoy(world: &mut World) {
    let node = world.random.below(world.nodes.len());
    match world.random.below(8) {
        0 => world.controllers.restart(),
        1 => world.nodes[node].restart(),
        2 | 3 => world.controllers.cut(&mut world.random),
        4 | 5 => world.nodes[node].cut(&mut world.random),
        _ => pass(world, 2_000),
    }
}

fn harm(world: &mut World) {
    let node = world.random.below(world.nodes.len());
    let now = world.api.now;
    match world.random.below(16) {
        0..=3 => annoy(world),
        4 | 5 => world.nodes[node].crash(&mut world.random, now),
        6 => world.nodes[node].lose(&mut world.random),
        7 => {
            let until = later(now, seconds(world, 400));
            world.nodes[node].hang(until);
        }
        8 => {
            let until = later(now, seconds(world, 400));
            world.nodes[node].fail(until);
        }
        9 => world.nodes[node].recover(),
        10 | 11 => jump(world, node),
        12 | 13 => pass(world, 60_000),
        14 => pass(world, 600_000),
        _ => pass(world, 10_000),
    }
}

/// One component's clock is put forward or back, by up to two minutes off the true time.
fn jump(world: &mut World, node: usize) {
    let ahead = seconds(world, 240) - SignedDuration::from_secs(120);
    let now = world.api.now;
    match world.random.below(4) {
        0 => world.api.clock.jump(ahead, now),
        1 => world.controllers.clock.jump(ahead, now),
        _ => world.nodes[node].clock.jump(ahead, now),
    }
}

fn seconds(world: &mut World, bound: usize) -> SignedDuration {
    SignedDuration::from_secs(world.random.below(bound) as i64)
}

/// Nobody gets to do anything for a while.
fn pass(world: &mut World, milliseconds: usize) {
    let while_ = SignedDuration::from_millis(world.random.below(milliseconds) as i64);
    world.api.now = later(world.api.now, while_);
}
