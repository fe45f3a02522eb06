//! Strategic merge: merge patch that knows which lists are maps by a key, with upstream's directives.
//!
//! `$patch: replace|delete|merge`, `$retainKeys`, `$deleteFromPrimitiveList/x`, `$setElementOrder/x`. Linear but for a
//! factor log n: list elements are found through a map from their key.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Merge, MergeKeys, PatchError};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_PREFIX: &str = "$deleteFromPrimitiveList/";
const ORDER_PREFIX: &str = "$setElementOrder/";

/// Applies `patch` (consumed) to `target`. On error `target` is as it was.
pub fn strategic_merge(target: &mut Value, patch: Value, keys: &dyn MergeKeys) -> Result<(), PatchError> {
    let Value::Object(patch) = patch else {
        return Err(PatchError::Malformed("a strategic merge patch must be a JSON object".to_owned()));
    };
    let original = match target.clone() {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    let mut merger = Merger { keys, path: Vec::new() };
    *target = Value::Object(merger.maps(original, patch)?);
    Ok(())
}

struct Merger<'k> {
    keys: &'k dyn MergeKeys,
    path: Vec<String>,
}

impl Merger<'_> {
    fn fact(&self, member: &str) -> Merge {
        let mut path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        path.push(member);
        self.keys.merge(&path)
    }

    fn maps(
        &mut self,
        mut original: Map<String, Value>,
        mut patch: Map<String, Value>,
    ) -> Result<Map<String, Value>, PatchError> {
        if let Some(directive) = patch.remove(DIRECTIVE) {
            match directive.as_str() {
                Some("replace") => return Ok(plain_map(patch)),
                Some("delete") => return Ok(Map::new()),
                Some("merge") => {}
                _ => return Err(unknown_directive(&directive, &patch)),
            }
        }
        retain_keys(&mut original, &mut patch)?;
        let orders = take_prefixed(&mut patch, ORDER_PREFIX, "$setElementOrder")?;
        let deletions = take_prefixed(&mut patch, DELETE_PREFIX, "$deleteFromPrimitiveList")?;
        let lists = Lists { deletions, orders };
        for (member, value) in lists.members(&original, patch) {
            self.member(&mut original, &member, value, &lists)?;
        }
        Ok(original)
    }

    /// One member: `value` is what the patch says about it, if anything besides directives.
    fn member(
        &mut self,
        original: &mut Map<String, Value>,
        member: &str,
        value: Option<Value>,
        lists: &Lists,
    ) -> Result<(), PatchError> {
        if value == Some(Value::Null) {
            original.remove(member);
            return Ok(());
        }
        let fact = self.fact(member);
        let merged = match (original.remove(member), value) {
            (Some(Value::Object(old)), Some(Value::Object(new))) if fact != Merge::Replace => {
                self.path.push(member.to_owned());
                let merged = self.maps(old, new);
                self.path.pop();
                Some(Value::Object(merged?))
            }
            (Some(Value::Array(old)), new @ (Some(Value::Array(_)) | None)) => {
                let new = new.map(|new| if let Value::Array(new) = new { new } else { Vec::new() });
                Some(Value::Array(self.list(member, fact, old, new, lists)?))
            }
            (old, None) => old,
            (_, Some(new)) => Some(plain(new)),
        };
        if let Some(merged) = merged {
            original.insert(member.to_owned(), merged);
        }
        Ok(())
    }

    fn list(
        &mut self,
        member: &str,
        fact: Merge,
        old: Vec<Value>,
        new: Option<Vec<Value>>,
        lists: &Lists,
    ) -> Result<Vec<Value>, PatchError> {
        let old = match lists.deletions.get(member) {
            Some(gone) => without(old, gone),
            None => old,
        };
        let order = lists.orders.get(member);
        match fact {
            Merge::ByKey(key) => self.keyed(member, key, old, new, order),
            Merge::Set => Ok(set(old, new, order)),
            Merge::Default | Merge::Replace => Ok(new.map_or(old, plain_list)),
        }
    }

    fn keyed(
        &mut self,
        member: &str,
        key: &str,
        old: Vec<Value>,
        new: Option<Vec<Value>>,
        order: Option<&Vec<Value>>,
    ) -> Result<Vec<Value>, PatchError> {
        let server_order = ranks(&old, key)?;
        let new = new.unwrap_or_default();
        let replace = new.iter().any(|item| directive(item) == Some("replace"));
        let mut merged = if replace { Vec::new() } else { old };
        let mut patch_order = Vec::with_capacity(new.len());
        let mut gone = BTreeSet::new();
        let mut kept = Vec::with_capacity(new.len());
        for item in new {
            match directive(&item) {
                Some("delete") => drop(gone.insert(key_of(&item, key)?)),
                Some("replace") => {}
                Some("merge") | None => kept.push(item),
                Some(_) => return Err(unknown_item_directive(&item)),
            }
        }
        if !gone.is_empty() {
            merged.retain(|item| key_of(item, key).is_ok_and(|found| !gone.contains(&found)));
        }
        let mut places = ranks(&merged, key)?;
        self.path.push(member.to_owned());
        let outcome = kept.into_iter().try_for_each(|item| {
            let id = key_of(&item, key)?;
            self.item(&mut merged, &mut places, &id, item)?;
            patch_order.push(id);
            Ok(())
        });
        self.path.pop();
        outcome?;
        let wanted = match order {
            Some(order) => checked_order(order, key, &patch_order)?,
            None => patch_order,
        };
        let ids = merged.iter().map(|item| key_of(item, key)).collect::<Result<Vec<_>, _>>()?;
        Ok(arrange(merged, ids, &wanted, &server_order))
    }

    fn item(
        &mut self,
        merged: &mut Vec<Value>,
        places: &mut BTreeMap<String, usize>,
        id: &str,
        item: Value,
    ) -> Result<(), PatchError> {
        let Value::Object(new) = item else {
            return Err(not_a_map(&item));
        };
        match places.get(id) {
            Some(at) => {
                let old = match merged[*at].take() {
                    Value::Object(old) => old,
                    other => return Err(not_a_map(&other)),
                };
                merged[*at] = Value::Object(self.maps(old, new)?);
            }
            None => {
                places.insert(id.to_owned(), merged.len());
                merged.push(Value::Object(plain_map(new)));
            }
        }
        Ok(())
    }
}

/// The directives a map's members have, by member.
struct Lists {
    deletions: BTreeMap<String, Vec<Value>>,
    orders: BTreeMap<String, Vec<Value>>,
}

impl Lists {
    /// What the patch touches: its members, and lists only directives speak of.
    fn members(
        &self,
        original: &Map<String, Value>,
        patch: Map<String, Value>,
    ) -> Vec<(String, Option<Value>)> {
        let only_directed = self.deletions.keys().chain(self.orders.keys()).collect::<BTreeSet<_>>();
        let directed = only_directed
            .into_iter()
            .filter(|member| original.contains_key(*member) && !patch.contains_key(*member));
        let mut members: Vec<_> = directed.map(|member| (member.clone(), None)).collect();
        members.extend(patch.into_iter().map(|(member, value)| (member, Some(value))));
        members
    }
}

/// `$retainKeys`: the union of fields that may stay.
fn retain_keys(original: &mut Map<String, Value>, patch: &mut Map<String, Value>) -> Result<(), PatchError> {
    let Some(list) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let bad = || PatchError::Malformed("invalid patch format of retainKeys".to_owned());
    let keep: BTreeSet<&str> = list.as_array().ok_or_else(bad)?.iter().filter_map(Value::as_str).collect();
    let named = |(key, value): (&String, &Value)| {
        value.is_null() || key.starts_with('$') || keep.contains(key.as_str())
    };
    if !patch.iter().all(named) {
        return Err(bad());
    }
    original.retain(|key, _| keep.contains(key.as_str()));
    Ok(())
}

fn take_prefixed(
    patch: &mut Map<String, Value>,
    prefix: &str,
    name: &str,
) -> Result<BTreeMap<String, Vec<Value>>, PatchError> {
    let keys: Vec<String> = patch.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
    let mut taken = BTreeMap::new();
    for key in keys {
        match patch.remove(&key) {
            Some(Value::Array(list)) => drop(taken.insert(key[prefix.len()..].to_owned(), list)),
            _ => return Err(PatchError::Malformed(format!("invalid patch format of {name} list"))),
        }
    }
    Ok(taken)
}

/// Merges a set: what was there, then what is new, each once.
fn set(old: Vec<Value>, new: Option<Vec<Value>>, order: Option<&Vec<Value>>) -> Vec<Value> {
    let server_order = rank(old.iter().map(Value::to_string));
    let new = new.unwrap_or_default();
    let wanted: Vec<String> = order.unwrap_or(&new).iter().map(Value::to_string).collect();
    let mut seen = BTreeSet::new();
    let merged: Vec<Value> =
        old.into_iter().chain(new).filter(|value| seen.insert(value.to_string())).collect();
    let ids = merged.iter().map(Value::to_string).collect();
    arrange(merged, ids, &wanted, &server_order)
}

fn without(list: Vec<Value>, gone: &[Value]) -> Vec<Value> {
    let gone: BTreeSet<String> = gone.iter().map(Value::to_string).collect();
    list.into_iter().filter(|value| !gone.contains(&value.to_string())).collect()
}

/// Upstream's order: what `wanted` names comes in that order; the rest keeps the server's order and is woven in before
/// the first wanted element that stood behind it on the server.
fn arrange(
    items: Vec<Value>,
    ids: Vec<String>,
    wanted: &[String],
    server: &BTreeMap<String, usize>,
) -> Vec<Value> {
    let wanted = rank(wanted.iter().cloned());
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for (id, item) in ids.into_iter().zip(items) {
        let place = server.get(&id).copied();
        match wanted.get(&id) {
            Some(at) => first.push((*at, place, item)),
            None => rest.push((place.unwrap_or(usize::MAX), place, item)),
        }
    }
    first.sort_by_key(|(at, ..)| *at);
    rest.sort_by_key(|(at, ..)| *at);
    weave(rest, first)
}

type Placed = (usize, Option<usize>, Value);

fn weave(rest: Vec<Placed>, first: Vec<Placed>) -> Vec<Value> {
    let mut woven = Vec::with_capacity(rest.len() + first.len());
    let (mut rest, mut first) = (rest.into_iter().peekable(), first.into_iter().peekable());
    loop {
        let take_rest = match (rest.peek(), first.peek()) {
            (None, None) => return woven,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some((_, left, _)), Some((_, right, _))) => {
                matches!((left, right), (Some(left), Some(right)) if left < right)
            }
        };
        let next = if take_rest { rest.next() } else { first.next() };
        woven.extend(next.map(|(.., item)| item));
    }
}

/// The first place of each id.
fn rank(ids: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut ranks = BTreeMap::new();
    for (at, id) in ids.enumerate() {
        ranks.entry(id).or_insert(at);
    }
    ranks
}

fn ranks(items: &[Value], key: &str) -> Result<BTreeMap<String, usize>, PatchError> {
    let ids = items.iter().map(|item| key_of(item, key)).collect::<Result<Vec<_>, _>>()?;
    Ok(rank(ids.into_iter()))
}

/// `$setElementOrder` must name every element of the patch, in the patch's order.
fn checked_order(order: &[Value], key: &str, patch: &[String]) -> Result<Vec<String>, PatchError> {
    let ids = order.iter().map(|item| key_of(item, key)).collect::<Result<Vec<_>, _>>()?;
    let places = rank(ids.iter().cloned());
    let found: Option<Vec<usize>> = patch.iter().map(|id| places.get(id).copied()).collect();
    match found.is_some_and(|found| found.is_sorted()) || patch.is_empty() || order.is_empty() {
        true => Ok(ids),
        false => Err(PatchError::Malformed(format!(
            "The order in patch list:\n{patch:?}\n doesn't match $setElementOrder list:\n{ids:?}\n"
        ))),
    }
}

/// The merge key's value of one element, as JSON text.
fn key_of(item: &Value, key: &str) -> Result<String, PatchError> {
    let Value::Object(map) = item else { return Err(not_a_map(item)) };
    let found = map.get(key).map(Value::to_string);
    found.ok_or_else(|| {
        PatchError::Malformed(format!("map: {item} does not contain declared merge key: {key}"))
    })
}

fn directive(item: &Value) -> Option<&str> {
    item.get(DIRECTIVE).and_then(Value::as_str)
}

fn not_a_map(item: &Value) -> PatchError {
    PatchError::Malformed(format!("expected a map in a list that merges by key, but received {item}"))
}

fn unknown_directive(directive: &Value, patch: &Map<String, Value>) -> PatchError {
    PatchError::Malformed(format!("unknown patch type: {directive} in map: {}", Value::Object(patch.clone())))
}

fn unknown_item_directive(item: &Value) -> PatchError {
    PatchError::Malformed(format!("unknown patch type: {} in map: {item}", item[DIRECTIVE]))
}

/// A new value as it is stored: without directives and without nulls in maps.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(plain_map(map)),
        Value::Array(list) => Value::Array(plain_list(list)),
        other => other,
    }
}

fn plain_map(map: Map<String, Value>) -> Map<String, Value> {
    let stays = |(key, value): &(String, Value)| !value.is_null() && !is_directive(key);
    map.into_iter().filter(stays).map(|(key, value)| (key, plain(value))).collect()
}

fn plain_list(list: Vec<Value>) -> Vec<Value> {
    let stays = |item: &Value| !matches!(directive(item), Some("delete" | "replace"));
    list.into_iter().filter(stays).map(plain).collect()
}

fn is_directive(key: &str) -> bool {
    key == DIRECTIVE || key == RETAIN_KEYS || key.starts_with(DELETE_PREFIX) || key.starts_with(ORDER_PREFIX)
}
