//! Amounts of resources by name: what is asked for, used, and at most allowed.
//!
//! Pure leaf. A quantity that cannot be read is left out: the API stores none.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;
use kelson_machinery::quantity::Quantity;

/// Amounts by the resource's name.
pub type Amounts = BTreeMap<String, Quantity>;
/// Amounts as objects hold them.
pub type List = BTreeMap<String, Written>;

/// Reads the amounts of an object.
pub fn read(list: Option<&List>) -> Amounts {
    let parsed = list.into_iter().flatten();
    parsed.filter_map(|(name, written)| Some((name.clone(), Quantity::parse(&written.0).ok()?))).collect()
}

/// The amounts as objects hold them.
pub fn write(amounts: &Amounts) -> List {
    amounts.iter().map(|(name, amount)| (name.clone(), Written(amount.to_string()))).collect()
}

/// Adds `more`. What was nothing is written as what came.
pub fn add(to: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        to.entry(name.clone())
            .and_modify(|sum| *sum = if sum.is_zero() { *amount } else { sum.plus(amount) })
            .or_insert(*amount);
    }
}

/// Raises every amount to at least that of `least`.
pub fn raise(to: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        to.entry(name.clone()).and_modify(|held| *held = (*held).max(*amount)).or_insert(*amount);
    }
}

/// How much more `new` is than `old`, where it is more.
pub fn rise(new: &Amounts, old: &Amounts) -> Amounts {
    let by = |name: &str, amount: &Quantity| old.get(name).map_or(*amount, |before| amount.minus(before));
    let rises = new.iter().map(|(name, amount)| (name.clone(), by(name, amount)));
    rises.filter(|(_, by)| *by > Quantity::whole(0)).collect()
}

/// `cpu=1,pods=2`, those of `names` alone.
pub(crate) fn told(amounts: &Amounts, names: &[&str]) -> String {
    let told = amounts.iter().filter(|(name, _)| names.contains(&name.as_str()));
    told.map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(",")
}
