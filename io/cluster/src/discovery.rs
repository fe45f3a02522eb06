//! What the API serves, asked once: the resources whose objects have owners and live in namespaces.
//!
//! Feeds `View::resources` and the reflectors of metadata. A group's preferred version stands for all of
//! its versions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kelson_plans::Resource;
use kelson_plans::kinds::KEPT;
use tracing::warn;

use crate::backoff::Backoff;

/// The group that served what others serve today; its objects are theirs.
const FORMER: &str = "extensions";

/// All resources that can be listed, watched and deleted. Asks until the API answers.
pub(crate) async fn resources(client: &kube::Client) -> Vec<Resource> {
    let mut backoff = Backoff::default();
    loop {
        match discover(client).await {
            Ok(resources) => return resources,
            Err(error) => {
                let wait = backoff.next();
                complain(&error, wait.as_millis() as u64);
                tokio::time::sleep(wait).await;
            }
        }
    }
}

/// Apart from its caller: what is logged here must not be held while that waits.
fn complain(error: &kube::Error, wait_ms: u64) {
    warn!(error = error as &dyn std::error::Error, wait_ms, "cannot learn what the API serves; asking again");
}

async fn discover(client: &kube::Client) -> kube::Result<Vec<Resource>> {
    let mut resources = listed("", "v1", client.list_core_api_resources("v1").await?);
    for group in client.list_api_groups().await?.groups {
        let version = group.preferred_version.as_ref().or(group.versions.first());
        let Some(version) = version.filter(|_| group.name != FORMER) else { continue };
        let list = client.list_api_group_resources(&version.group_version).await?;
        resources.extend(listed(&group.name, &version.version, list));
    }
    resources.sort();
    Ok(resources)
}

fn listed(group: &str, version: &str, list: APIResourceList) -> Vec<Resource> {
    let needed = ["list", "watch", "delete"];
    let whole = list.resources.into_iter().filter(|resource| {
        let able = needed.iter().all(|verb| resource.verbs.iter().any(|can| can == verb));
        able && !resource.name.contains('/')
    });
    let resources = whole.map(|resource| Resource {
        group: group.to_owned().into(),
        version: version.to_owned().into(),
        kind: resource.kind.into(),
        plural: resource.name.into(),
        namespaced: resource.namespaced,
    });
    resources.collect()
}

/// Those of which the metadata must be reflected beside the kept kinds. Events come and go by themselves.
pub(crate) fn others(resources: &[Resource]) -> Vec<Resource> {
    let is_kept = |resource: &Resource| KEPT.iter().any(|kept| kept.same_collection(resource));
    resources.iter().filter(|resource| !is_kept(resource) && resource.plural != "events").cloned().collect()
}
