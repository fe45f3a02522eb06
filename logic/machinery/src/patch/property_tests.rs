//! Properties of patches over generated documents: the same seed, the same documents.

use serde_json::{Map, Value, json};

use super::*;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }

    fn scalar(&mut self) -> Value {
        match self.below(4) {
            0 => Value::Null,
            1 => json!(self.below(3)),
            2 => json!(self.pick(&["a", "b", ""])),
            _ => json!(self.below(2) == 0),
        }
    }

    /// Maps and scalars only.
    fn tree(&mut self, depth: u64) -> Value {
        if depth == 0 || self.below(4) == 0 {
            return self.scalar();
        }
        let members =
            (0..self.below(4)).map(|_| (self.pick(&["a", "b", "c", "m"]).to_owned(), self.tree(depth - 1)));
        Value::Object(members.collect())
    }

    /// Anything, directives and nonsense included.
    fn wild(&mut self, depth: u64) -> Value {
        const KEYS: &[&str] = &[
            "a",
            "name",
            "containers",
            "ports",
            "finalizers",
            "whole",
            "$patch",
            "$retainKeys",
            "$setElementOrder/containers",
            "$setElementOrder/finalizers",
            "$deleteFromPrimitiveList/finalizers",
            "op",
            "path",
        ];
        match self.below(if depth == 0 { 2 } else { 5 }) {
            0 => self.scalar(),
            1 => json!(self.pick(&["replace", "delete", "merge", "a", "/a", "/containers/0", "add"])),
            2 => (0..self.below(4)).map(|_| self.wild(depth - 1)).collect(),
            _ => {
                let members = (0..self.below(5)).map(|_| (self.pick(KEYS).to_owned(), self.wild(depth - 1)));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    /// A list that merges by key: names once each, some with a value.
    fn containers(&mut self) -> Value {
        let names = ["a", "b", "c", "d"]
            .into_iter()
            .filter(|_| !self.0.rotate_left(7).is_multiple_of(3))
            .collect::<Vec<_>>();
        let start = self.below(4) as usize;
        let turned = names.iter().cycle().skip(start).take(names.len());
        let list = turned.map(|name| json!({"name": name, "image": self.below(3)}));
        json!({"containers": list.collect::<Vec<_>>()})
    }
}

fn facts(path: &[&str]) -> Merge {
    match path.last() {
        Some(&"containers") => Merge::ByKey("name"),
        Some(&"ports") => Merge::ByKey("port"),
        Some(&"finalizers") => Merge::Set,
        Some(&"whole") => Merge::Replace,
        _ => Merge::Default,
    }
}

fn merged(document: &Value, patch: &Value) -> Value {
    let mut document = document.clone();
    strategic_merge(&mut document, patch.clone(), &facts).unwrap();
    document
}

#[test]
fn without_lists_strategic_merge_is_merge_patch() {
    let mut random = Random(1);
    for _ in 0..2000 {
        let (document, patch) = (random.tree(4), random.tree(4));
        if !document.is_object() || !patch.is_object() {
            continue;
        }
        let mut expected = document.clone();
        merge_patch(&mut expected, &patch);
        assert_eq!(merged(&document, &patch), expected, "{document} patched by {patch}");
    }
}

#[test]
fn merging_by_key_keeps_every_name_once_and_is_idempotent() {
    let names = |value: &Value| -> Vec<String> {
        let list = value["containers"].as_array().unwrap();
        list.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    let mut random = Random(7);
    for _ in 0..2000 {
        let (document, patch) = (random.containers(), random.containers());
        let once = merged(&document, &patch);
        assert_eq!(merged(&once, &patch), once, "{document} patched twice by {patch}");
        let (mut found, mut expected) = (names(&once), [names(&document), names(&patch)].concat());
        found.sort();
        expected.sort();
        expected.dedup();
        assert_eq!(found, expected);
        let wanted: Vec<String> =
            names(&once).into_iter().filter(|name| names(&patch).contains(name)).collect();
        assert_eq!(wanted, names(&patch), "the patch's own order holds");
    }
}

#[test]
fn wild_patches_never_panic_and_fail_without_a_trace() {
    let mut random = Random(13);
    let mut fitting = 0;
    for _ in 0..5000 {
        let (document, patch) = (random.wild(4), random.wild(4));
        let mut target = document.clone();
        match strategic_merge(&mut target, patch.clone(), &facts) {
            Ok(()) => fitting += 1,
            Err(_) => assert_eq!(target, document),
        }
        let mut target = document.clone();
        if json_patch(&mut target, &patch).is_err() {
            assert_eq!(target, document);
        }
        merge_patch(&mut target, &patch);
    }
    assert!(fitting > 100, "some of them fit: {fitting}");
}

#[test]
fn json_patches_of_valid_paths_undo() {
    let mut random = Random(29);
    for _ in 0..1000 {
        let document = json!({"a": random.tree(3), "l": [random.scalar(), random.scalar()]});
        let value = random.tree(2);
        for path in ["/new", "/l/0", "/l/-", "/l/1"] {
            let undo = if path == "/l/-" { "/l/-1" } else { path };
            let mut target = document.clone();
            let there_and_back =
                json!([{"op": "add", "path": path, "value": value}, {"op": "remove", "path": undo}]);
            json_patch(&mut target, &there_and_back).unwrap();
            assert_eq!(target, document);
        }
    }
}
