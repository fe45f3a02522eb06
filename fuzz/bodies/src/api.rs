//! What anybody sends who may write: objects of every kind, patches, applied configurations, selectors, credentials.
//!
//! Objects come on lines of their own, as JSON; the first names the kind.

use jiff::Timestamp;
use kelson_apiserver::fuzz;
use kelson_machinery::apply::{self, Set, Writer};
use kelson_machinery::patch::{Merge, json_patch, merge_patch, strategic_merge};
use kelson_machinery::{FieldSelector, LabelSelector, Object, meta, strict};
use kelson_registry::{Kind, by_kind, kinds, schema};

/// When printed tables are made.
const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// The first two lines.
fn lines(bytes: &[u8]) -> (&[u8], &[u8]) {
    let cut = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (first, second) = bytes.split_at(cut);
    (first, second.strip_prefix(b"\n").unwrap_or(second))
}

/// A line as a request's body is read: refused at its end, or strict errors with it.
fn body(line: &[u8]) -> Option<Object> {
    strict::parse(line).ok().map(|(object, _)| object)
}

/// The kind an object says it is of; any other says nothing, and is taken for some kind.
fn kind_of(object: &Object) -> &'static Kind {
    let (group, version) = meta::split_api_version(meta::api_version(object));
    let some = kinds()[meta::kind(object).len() % kinds().len()];
    by_kind(group, version, meta::kind(object)).map_or(some, |(kind, _)| kind)
}

/// A body decoded and defaulted. Both are fixed points.
fn taken(kind: &Kind, value: Object) -> Option<Object> {
    let mut object = (kind.decode)(value).ok()?.object;
    let again = (kind.decode)(object.clone()).expect("what was decoded is decoded again");
    assert_eq!(again.object, object, "{kind:?} decodes to another object the second time");
    assert_eq!(again.unknown, [""; 0], "{kind:?} keeps what it does not know");
    (kind.default)(&mut object);
    let mut twice = object.clone();
    (kind.default)(&mut twice);
    assert_eq!(twice, object, "{kind:?} is defaulted differently the second time");
    Some(object)
}

/// All that is asked of an object by itself.
fn looked_at(kind: &Kind, object: &Object) {
    let _ = (kind.validate)(object);
    let _ = (kind.warnings)(object, None);
    assert_eq!((kind.cells)(object, NOW).len(), kind.columns.len(), "{kind:?} has a cell a column");
    for field in kind.selectable {
        assert!((kind.select)(object, field).is_some(), "{kind:?} cannot be selected by {field}");
    }
    for older in kind.older {
        let mut shown = object.clone();
        (older.from_current)(&mut shown);
        (older.to_current)(&mut shown);
        let _ = (kind.decode)(shown);
    }
}

/// An object as the body of a request, and a second one that is stored under its name.
pub fn object(bytes: &[u8]) {
    let (new, old) = lines(bytes);
    let Some(value) = body(new) else { return };
    let kind = kind_of(&value);
    for older in kind.older {
        let mut value = value.clone();
        (older.to_current)(&mut value);
        let _ = taken(kind, value);
    }
    let Some(mut object) = taken(kind, value) else { return };
    looked_at(kind, &object);
    match body(old).and_then(|value| taken(kind, value)) {
        None => (kind.prepare_create)(&mut object),
        Some(old) => {
            let mut status = object.clone();
            (kind.prepare_update)(&mut object, &old);
            (kind.prepare_status_update)(&mut status, &old);
            let _ = (kind.validate_update)(&object, &old);
            let _ = (kind.validate_status_update)(&status, &old);
            let _ = (kind.warnings)(&object, Some(&old));
        }
    }
    looked_at(kind, &object);
}

/// An object and a patch of each form.
pub fn patch(bytes: &[u8]) {
    let (object, patch) = lines(bytes);
    let (Some(object), Some(patch)) = (body(object), body(patch)) else { return };
    let facts = |path: &[&str]| match path.last() {
        Some(&"containers" | &"ports") => Merge::ByKey("name"),
        Some(&"finalizers") => Merge::Set,
        _ => Merge::Default,
    };
    let _ = json_patch(&mut object.clone(), &patch);
    merge_patch(&mut object.clone(), &patch);
    let _ = strategic_merge(&mut object.clone(), patch.clone(), &facts);
    let kind = kind_of(&object);
    let _ = strategic_merge(&mut object.clone(), patch, &kind.merge);
}

/// A stored object, whoever owns its fields, and a configuration that is applied to it. What two applied alike is applied
/// again without a change.
pub fn apply(bytes: &[u8]) {
    let (live, config) = lines(bytes);
    let (Some(live), Some(config)) = (body(live), body(config)) else { return };
    if !live.is_object() || !config.is_object() {
        return;
    }
    let kind = kind_of(&config);
    let (types, shape) = schema::shape(kind);
    let (api_version, ignored) = (kind.api_version(), Set::of_fields(&[&["status"]]));
    let writer = |name| Writer {
        name,
        api_version: &api_version,
        subresource: "",
        now: "2026-01-01T00:00:00Z",
        ignored: &ignored,
    };
    let _ = apply::apply(types, &shape, &live, &config, &writer("kubectl"), false);
    if let Ok(applied) = apply::apply(types, &shape, &live, &config, &writer("one"), true) {
        let again = apply::apply(types, &shape, &applied, &config, &writer("one"), false);
        assert_eq!(again.as_ref(), Ok(&applied), "{kind:?} applied twice");
    }
    apply::update(types, &shape, &live, &mut config.clone(), &writer("two"));
}

/// A protobuf body; what it says is looked at as an object.
pub fn protobuf(bytes: &[u8]) {
    if let Some(value) = fuzz::protobuf(bytes) {
        let kind = kind_of(&value);
        if let Some(object) = taken(kind, value) {
            looked_at(kind, &object);
        }
    }
}

/// A YAML body.
pub fn yaml(bytes: &[u8]) {
    if let Some(value) = fuzz::yaml(bytes) {
        let _ = taken(kind_of(&value), value);
    }
}

/// A selector, as a query has it and as objects do.
pub fn selector(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let labels =
        |key: &str| [("app", "a"), ("tier", "")].into_iter().find(|(k, _)| *k == key).map(|(_, v)| v);
    if let Ok(selector) = LabelSelector::parse(text) {
        let _ = selector.matches_by(labels);
    }
    if let Ok(selector) = FieldSelector::parse(text) {
        let _ = selector.matches_by(|field| field.to_owned());
        let _ = selector.exact("metadata.name");
    }
    if let Some(Ok(selector)) = body(bytes).map(|value| LabelSelector::from_json(&value)) {
        let _ = selector.matches_by(labels);
    }
}

/// A token file, an `Authorization` header, a certificate: whichever these bytes are.
pub fn credentials(bytes: &[u8]) {
    fuzz::certificate(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        fuzz::token_file(text);
        fuzz::authorization(text);
    }
}
