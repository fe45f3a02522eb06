//! What goes wrong of itself: watches break, processes die, containers crash, clocks jump.

use jiff::SignedDuration;

use crate::world::World;

/// One misfortune.
pub(crate) fn strike(world: &mut World) {
    let node = world.random.below(world.nodes.len());
    match world.random.below(10) {
        0 => world.controllers.restart(),
        1 => world.nodes[node].restart(),
        2 | 3 => world.controllers.cut(&mut world.random),
        4 | 5 => world.nodes[node].cut(&mut world.random),
        6 => world.nodes[node].crash(&mut world.random, world.api.now),
        7 => world.nodes[node].lose(&mut world.random),
        // Never backwards across what is stored: a store's clock that goes back is another test's.
        8 => world.api.now += SignedDuration::from_secs(world.random.below(600) as i64),
        _ => world.api.now += SignedDuration::from_millis(world.random.below(2000) as i64),
    }
}
