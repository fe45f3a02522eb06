//! Which claims may grow (upstream's admission plugin PersistentVolumeClaimResize): bound ones of a class that allows it.
//!
//! Reads the class, changes nothing.

use kelson_machinery::quantity::Quantity;
use kelson_machinery::status::Status;
use kelson_machinery::{Object, meta};

use crate::objects;
use crate::state::Call;

const SIZE: [&str; 4] = ["spec", "resources", "requests", "storage"];
/// How claims named their class before there was a field.
const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// Refuses a claim that asks for more than it may.
pub(super) async fn check(call: &Call, new: &Object, old: &Object) -> Result<(), Status> {
    let size = |claim: &Object| Quantity::parse(meta::get_str(claim, &SIZE)).ok().map(|size| size.value());
    if size(new) <= size(old) {
        return Ok(());
    }
    let refuse = |why: &str| Err(Status::forbidden(&objects::resource(call.kind), meta::name(new), why));
    if meta::get_str(old, &["status", "phase"]) != "Bound" {
        return refuse("Only bound persistent volume claims can be expanded");
    }
    match allows(call, old).await? {
        true => Ok(()),
        false => refuse(
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
        ),
    }
}

async fn allows(call: &Call, claim: &Object) -> Result<bool, Status> {
    let named = meta::annotation(claim, OLD_CLASS);
    let name = named.unwrap_or_else(|| meta::get_str(claim, &["spec", "storageClassName"]));
    if name.is_empty() {
        return Ok(false);
    }
    let (kind, _) = kelson_registry::resolve("storage.k8s.io", "v1", "storageclasses")
        .expect("the registry declares StorageClass");
    let found = call.core.store.get(&objects::key(kind, "", name)).await.map_err(objects::store_failure)?;
    let class = found.map(|entry| objects::decode(&entry)).transpose()?;
    Ok(class.is_some_and(|class| class["allowVolumeExpansion"].as_bool() == Some(true)))
}
