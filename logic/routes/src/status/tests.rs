//! Statuses to be written, for each state of an Ingress.

use super::*;
use crate::test_world::objects;

const OURS: &str = "metadata: {namespace: n, name: ours, uid: u-1}\nspec: {}";

fn ingress(class: &str, shown: &str) -> Vec<Arc<Ingress>> {
    objects(&format!(
        "metadata: {{namespace: n, name: x}}\nspec: {{{class}}}\nstatus: {{loadBalancer: {{ingress: [{shown}]}}}}"
    ))
}

fn plan(ingresses: &[Arc<Ingress>], served: &mut BTreeSet<IngressName>) -> Vec<StatusWrite> {
    let address = ["192.0.2.7".parse().unwrap()];
    plan_status(ingresses, &[], &ClassConfig::default(), &address, served)
}

/// G2.9: written once, then left alone.
#[test]
fn an_ingress_of_ours_shows_the_addresses() {
    let mut served = BTreeSet::new();
    let writes = plan(&objects(OURS), &mut served);
    let name = IngressName { namespace: "n".into(), name: "ours".into() };
    assert_eq!(
        writes,
        [StatusWrite {
            ingress: name,
            uid: Some("u-1".into()),
            addresses: vec!["192.0.2.7".parse().unwrap()]
        }]
    );
    assert!(plan(&ingress("", "{ip: 192.0.2.7}"), &mut served).is_empty());
    assert_eq!(plan(&ingress("", "{ip: 192.0.2.8}"), &mut served).len(), 1);
    assert_eq!(plan(&ingress("", "{hostname: there.example}"), &mut served).len(), 1);
}

/// G2.8: a status of somebody else's Ingress is nobody's to touch.
#[test]
fn an_ingress_of_another_class_is_left_alone() {
    let other = "ingressClassName: nginx";
    assert!(plan(&ingress(other, ""), &mut BTreeSet::new()).is_empty());
    assert!(plan(&ingress(other, "{ip: 192.0.2.7}"), &mut BTreeSet::new()).is_empty());
}

#[test]
fn an_ingress_that_goes_to_another_class_loses_the_addresses_that_are_ours() {
    let mut served = BTreeSet::new();
    plan(&ingress("", "{ip: 192.0.2.7}"), &mut served);
    let writes = plan(&ingress("ingressClassName: nginx", "{ip: 192.0.2.7}"), &mut served.clone());
    assert_eq!(writes.iter().map(|write| write.addresses.len()).collect::<Vec<_>>(), [0]);
    assert!(plan(&ingress("ingressClassName: nginx", "{ip: 192.0.2.9}"), &mut served).is_empty());
}
