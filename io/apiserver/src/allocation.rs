//! What a Service must hold alone: its cluster IPs and node ports, as keys of their own in the Service's commit.
//!
//! Invariant: a claim's key is written with `Expect::Absent` in the commit that stores its Service, and removed in the
//! commit that removes or changes it. So no address is handed out twice, whatever crashes when. A plan is made knowing
//! nothing of what is taken; what it picked is then looked up, key by key, and picked anew where it is taken: a write
//! costs the same however many Services there are. Only a range nearly full is read as a whole.

use std::collections::BTreeSet;
use std::net::IpAddr;

use kelson_machinery::status::Status;
use kelson_machinery::{Object, meta};
use kelson_registry::Kind;
use kelson_registry::allocate::{self, Claim, Plan, Ranges};
use kelson_store::{Change, Entry, Expect, StoreError};

use crate::config::Config;
use crate::objects::{self, Encoded};
use crate::state::Core;

/// Below this lie the claims; each key's value names its holder.
const PREFIX: &str = "/allocations/";
/// Plans made of what is taken key by key before all of it is read: with nine in ten taken, a thousandth of writes.
const PLANS_MAX: usize = 64;

/// The ranges of a configuration, and the first Service address.
pub(crate) fn ranges(config: &Config) -> Result<(Ranges, IpAddr), crate::Error> {
    let (first, last) = config.node_port_range;
    if first == 0 || first > last {
        return Err(crate::Error::NodePorts(first, last));
    }
    let given = config.service_cidr.clone();
    let unusable = |detail: String| crate::Error::ServiceCidr { given: given.clone(), detail };
    let ranges =
        Ranges::parse(&config.service_cidr, config.node_port_range).map_err(|e| unusable(e.to_string()))?;
    let primary = ranges.service_cidrs.first().ok_or_else(|| unusable("it is empty".into()))?.first_address();
    Ok((ranges, primary))
}

/// The claims that go with one write.
pub(crate) struct Claims<'a> {
    core: &'a Core,
    kind: &'a Kind,
    taken: BTreeSet<String>,
}

impl<'a> Claims<'a> {
    /// Knowing nothing of what is taken.
    pub fn new(core: &'a Core, kind: &'a Kind) -> Self {
        Self { core, kind, taken: BTreeSet::new() }
    }

    fn concerns(&self) -> bool {
        self.kind.group.is_empty() && self.kind.plural == "services"
    }

    /// Remembers what a commit found to be taken.
    pub fn heed(&mut self, current: Option<&Entry>) {
        let key = current.and_then(|entry| entry.key.strip_prefix(PREFIX));
        self.taken.extend(key.map(str::to_owned));
    }

    /// Fills in a new object; the changes that claim what it got.
    pub async fn create(&mut self, object: &mut Object) -> Result<Vec<Change>, Status> {
        self.settle(object, |object, ranges, taken| {
            allocate::plan_create(object, ranges, taken, kelson_process::random_u64())
        })
        .await
    }

    /// Fills in a changed object; the changes that claim what is new and release what is gone.
    pub async fn update(&mut self, new: &mut Object, old: &Object) -> Result<Vec<Change>, Status> {
        self.settle(new, |new, ranges, taken| {
            allocate::plan_update(new, old, ranges, taken, kelson_process::random_u64())
        })
        .await
    }

    /// Plans until nothing of the plan is taken.
    async fn settle(
        &mut self,
        object: &mut Object,
        plan: impl Fn(&mut Object, &Ranges, &dyn Fn(&Claim) -> bool) -> Result<Plan, Status>,
    ) -> Result<Vec<Change>, Status> {
        if !self.concerns() {
            return Ok(Vec::new());
        }
        for _ in 0..PLANS_MAX {
            let mut filled = object.clone();
            let plan = plan(&mut filled, &self.core.ranges, &|claim| self.knows(claim))?;
            if !self.look_up(&plan).await? {
                *object = filled;
                return Ok(changes(&plan, object));
            }
        }
        self.learn().await?;
        let plan = plan(object, &self.core.ranges, &|claim| self.knows(claim))?;
        Ok(changes(&plan, object))
    }

    fn knows(&self, claim: &Claim) -> bool {
        self.taken.contains(&claim.key())
    }

    /// Whether something that a plan claims is taken, which is known from now on.
    async fn look_up(&mut self, plan: &Plan) -> Result<bool, Status> {
        let known = self.taken.len();
        for claim in &plan.claims {
            let key = format!("{PREFIX}{}", claim.key());
            let holder = self.core.store.get(&key).await.map_err(objects::store_failure)?;
            self.heed(holder.as_deref());
        }
        Ok(self.taken.len() > known)
    }

    /// Reads all that is taken.
    async fn learn(&mut self) -> Result<(), Status> {
        let listing = self.core.store.list(PREFIX, None, 0).await.map_err(objects::store_failure)?;
        listing.entries.iter().for_each(|entry| self.heed(Some(entry)));
        Ok(())
    }

    /// The changes that give back what a removed object held.
    pub fn release(&self, object: &Object) -> Vec<Change> {
        match self.concerns() {
            true => allocate::plan_delete(object).iter().map(release).collect(),
            false => Vec::new(),
        }
    }

    /// What is deleted together with an object: a Service's Endpoints of the same name (spec A1.14).
    pub async fn company(&self, object: &Object) -> Result<Vec<Change>, StoreError> {
        let endpoints = kelson_registry::resolve("", "v1", "endpoints").filter(|_| self.concerns());
        let Some((endpoints, _)) = endpoints else { return Ok(Vec::new()) };
        let key = objects::key(endpoints, meta::namespace(object), meta::name(object));
        let Some(entry) = self.core.store.get(&key).await? else { return Ok(Vec::new()) };
        let Ok(last) = objects::decode(&entry) else { return Ok(Vec::new()) };
        let tombstone = Encoded::new(&last).encode();
        let expect = Expect::Revision(entry.mod_revision);
        Ok(vec![Change { key, expect, op: kelson_store::Op::Delete(tombstone) }])
    }
}

fn changes(plan: &Plan, object: &Object) -> Vec<Change> {
    let holder = format!("{}/{}", meta::namespace(object), meta::name(object));
    let claim =
        |claim: &Claim| Change::put(format!("{PREFIX}{}", claim.key()), Expect::Absent, holder.clone());
    plan.claims.iter().map(claim).chain(plan.releases.iter().map(release)).collect()
}

fn release(claim: &Claim) -> Change {
    Change::delete(format!("{PREFIX}{}", claim.key()), Expect::Any, "")
}
