//! Quotas say what is so: as much as is there, no more and no less.

use kelson_machinery::quantity::Quantity;

use super::Judgement;
use crate::always::there;
use crate::world::{World, resource};

pub(super) fn all(world: &World) -> Judgement {
    for (key, quota) in world.api.all(&resource("resourcequotas")) {
        let wrong = |what: String| Err(format!("quota {key} {what}: {} {}", quota["spec"], quota["status"]));
        if quota["status"]["hard"] != quota["spec"]["hard"] {
            return wrong("does not limit what it should".to_owned());
        }
        for (name, used) in quota["status"]["used"].as_object().into_iter().flatten() {
            let Some(there) = there(name, quota, &key.namespace, &world.api) else { continue };
            let said = used.as_str().and_then(|used| Quantity::parse(used).ok());
            if said != Some(there) {
                return wrong(format!("should say {there} of {name}"));
            }
        }
    }
    Ok(())
}
