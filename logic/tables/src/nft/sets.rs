//! The sets and maps of the table, and the order of the fields in their keys.

use super::{Field, Holds, SetSpec};

/// Address, protocol, port → kind; what happens inside, outside, to the source; identity.
pub const FRONTENDS: &str = "frontends";
/// Protocol, port → the same.
pub const NODE_PORTS: &str = "node-ports";
/// Identity, slot → backend.
pub const ENDPOINTS: &str = "endpoints";
/// Client, identity → backend, learned by rules.
pub const AFFINITY: &str = "affinity";
/// Identity, scope, backend: what a remembered backend must still be.
pub(super) const MEMBERS: &str = "members";
/// Backend address twice: what a connection looks like that comes back to its own source.
pub(super) const HAIRPINS: &str = "hairpins";
/// Address, protocol, port of balancers that not everyone may reach.
pub(super) const RESTRICTED: &str = "restricted";
/// The same with a range of sources that may.
pub(super) const SOURCES: &str = "sources";
/// Addresses NodePorts answer on.
pub(super) const NODE_ADDRESSES: &str = "node-addresses";
/// ClusterIPs outside the Service ranges.
pub(super) const CLUSTER_IPS: &str = "cluster-ips";
/// The Service ranges.
pub(super) const SERVICE_CIDRS: &str = "service-cidrs";
/// The pod ranges.
pub(super) const POD_CIDRS: &str = "pod-cidrs";
/// Interfaces that lead to pods, and the loopback.
pub(super) const POD_INTERFACES: &str = "pod-interfaces";
/// What happens → where that is done.
pub(super) const ACTIONS: &str = "actions";
/// Whose source is rewritten → where that is decided.
pub(super) const MASQUERADE: &str = "masquerade";

/// The most clients remembered for session affinity; beyond it connections are served without being remembered.
pub const AFFINITY_MAX: u32 = 262_144;

use Field::{Address, Interface, Port, Protocol, Word};

const LEADS_TO: Holds = Holds::Fields(&[Word, Word, Word, Word, Address, Protocol, Port]);
const BACKEND: Holds = Holds::Fields(&[Address, Port]);

/// Every set and map, in the order they are made.
pub fn sets() -> Vec<SetSpec> {
    vec![
        set(FRONTENDS, &[Address, Protocol, Port]).holding(LEADS_TO),
        set(NODE_PORTS, &[Protocol, Port]).holding(LEADS_TO),
        set(ENDPOINTS, &[Address, Protocol, Port, Word]).holding(BACKEND),
        SetSpec {
            learned: Some(AFFINITY_MAX),
            ..set(AFFINITY, &[Address, Address, Protocol, Port]).holding(BACKEND)
        },
        set(MEMBERS, &[Address, Protocol, Port, Word, Address, Port]),
        set(HAIRPINS, &[Address, Address]),
        set(RESTRICTED, &[Address, Protocol, Port]),
        SetSpec { interval: true, ..set(SOURCES, &[Address, Protocol, Port, Address]) },
        set(NODE_ADDRESSES, &[Address]),
        set(CLUSTER_IPS, &[Address]),
        SetSpec { interval: true, ..set(SERVICE_CIDRS, &[Address]) },
        SetSpec { interval: true, ..set(POD_CIDRS, &[Address]) },
        set(POD_INTERFACES, &[Interface]),
        set(ACTIONS, &[Word]).holding(Holds::Verdicts),
        set(MASQUERADE, &[Word]).holding(Holds::Verdicts),
    ]
}

fn set(name: &'static str, key: &'static [Field]) -> SetSpec {
    SetSpec { name, key, holds: Holds::Nothing, interval: false, learned: None }
}

impl SetSpec {
    fn holding(self, holds: Holds) -> Self {
        Self { holds, ..self }
    }
}
