//! JSON patch (RFC 6902).
//!
//! Operations are applied to a copy, so that a patch that fails halfway changes nothing. Every visit of an element is
//! paid from a budget, so that no patch costs more than its bounds say.

use serde_json::Value;

use super::pointer::{Pointer, get_mut, index};
use super::{COPY_BYTES_MAX, DEPTH_MAX, OPERATIONS_MAX, PatchError, WORK_MAX};

/// Applies `patch`, a list of operations. On error `target` is as it was.
pub fn json_patch(target: &mut Value, patch: &Value) -> Result<(), PatchError> {
    let Value::Array(operations) = patch else {
        return Err(PatchError::Malformed("a JSON patch must be a list of operations".to_owned()));
    };
    if operations.len() > OPERATIONS_MAX {
        let message = format!(
            "The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {}",
            operations.len()
        );
        return Err(PatchError::TooLarge(message));
    }
    let mut run = Run { document: target.clone(), copied: 0, work: 0 };
    for operation in operations {
        run.apply(operation)?;
    }
    *target = run.document;
    Ok(())
}

/// A patch under way.
struct Run {
    document: Value,
    copied: usize,
    work: usize,
}

impl Run {
    fn apply(&mut self, operation: &Value) -> Result<(), PatchError> {
        let path = Pointer::parse(text(operation, "path")?)?;
        match text(operation, "op")? {
            "add" => self.add(&path, value(operation)?.clone()),
            "remove" => self.remove(&path).map(drop),
            "replace" => self.replace(&path, value(operation)?.clone()),
            "move" => self.relocate(&from(operation)?, &path),
            "copy" => self.copy(&from(operation)?, &path),
            "test" => self.test(&path, operation.get("value").unwrap_or(&Value::Null)),
            other => Err(PatchError::Unfit(format!("Unexpected kind: {other}"))),
        }
    }

    fn add(&mut self, path: &Pointer, value: Value) -> Result<(), PatchError> {
        self.check_depth(path, &value)?;
        let Some((parents, last)) = path.split() else {
            self.document = value;
            return Ok(());
        };
        let parent = get_mut(&mut self.document, parents).ok_or_else(|| missing("add", last))?;
        match parent {
            Value::Object(map) => drop(map.insert(last.to_owned(), value)),
            Value::Array(list) => {
                let at = insertion(last, list.len()).ok_or_else(|| missing("add", last))?;
                spend(&mut self.work, list.len() - at)?;
                list.insert(at, value);
            }
            _ => return Err(missing("add", last)),
        }
        Ok(())
    }

    fn remove(&mut self, path: &Pointer) -> Result<Value, PatchError> {
        let Some((parents, last)) = path.split() else {
            return Err(PatchError::Unfit(
                "remove operation does not apply to the whole document".to_owned(),
            ));
        };
        let parent = get_mut(&mut self.document, parents).ok_or_else(|| missing("remove", last))?;
        match parent {
            Value::Object(map) => map.remove(last).ok_or_else(|| missing("remove", last)),
            Value::Array(list) => {
                let at = index(last, list.len()).ok_or_else(|| missing("remove", last))?;
                spend(&mut self.work, list.len() - at)?;
                Ok(list.remove(at))
            }
            _ => Err(missing("remove", last)),
        }
    }

    fn replace(&mut self, path: &Pointer, value: Value) -> Result<(), PatchError> {
        self.check_depth(path, &value)?;
        let Some((parents, last)) = path.split() else {
            self.document = value;
            return Ok(());
        };
        let parent = get_mut(&mut self.document, parents).ok_or_else(|| missing("replace", last))?;
        let place = get_mut(parent, &[last.to_owned()]).ok_or_else(|| missing("replace", last))?;
        *place = value;
        Ok(())
    }

    fn relocate(&mut self, from: &Pointer, path: &Pointer) -> Result<(), PatchError> {
        if path.starts_with(from) && path.depth() > from.depth() {
            return Err(PatchError::Unfit("move operation cannot move a value into itself".to_owned()));
        }
        if path.depth() == 0 {
            let value = from.get(&self.document).ok_or_else(|| missing("move", "from"))?.clone();
            return self.add(path, value);
        }
        let value = self.remove(from)?;
        self.add(path, value)
    }

    fn copy(&mut self, from: &Pointer, path: &Pointer) -> Result<(), PatchError> {
        let source = from.get(&self.document).ok_or_else(|| missing("copy", "from"))?;
        self.copied += weight(source);
        if self.copied > COPY_BYTES_MAX {
            let message = format!(
                "unable to copy, the accumulated size increase of copy operations is {}, exceeding the limit {COPY_BYTES_MAX}",
                self.copied
            );
            return Err(PatchError::TooLarge(message));
        }
        let value = source.clone();
        self.add(path, value)
    }

    fn test(&mut self, path: &Pointer, expected: &Value) -> Result<(), PatchError> {
        let found = path.get(&self.document).unwrap_or(&Value::Null);
        match equal(found, expected) {
            true => Ok(()),
            false => Err(PatchError::Unfit("testing value failed".to_owned())),
        }
    }

    /// Nothing may end up nested deeper than the parser would take.
    fn check_depth(&mut self, path: &Pointer, value: &Value) -> Result<(), PatchError> {
        match path.depth() + depth(value, &mut self.work)? > DEPTH_MAX {
            true => Err(PatchError::TooLarge(format!(
                "the result of the patch is nested deeper than {DEPTH_MAX}"
            ))),
            false => Ok(()),
        }
    }
}

fn text<'a>(operation: &'a Value, key: &str) -> Result<&'a str, PatchError> {
    let found = operation.get(key).and_then(Value::as_str);
    found.ok_or_else(|| {
        PatchError::Malformed(format!("each operation of a JSON patch needs the text {key:?}"))
    })
}

fn value(operation: &Value) -> Result<&Value, PatchError> {
    let missing =
        || PatchError::Malformed("operations add and replace of a JSON patch need a \"value\"".to_owned());
    operation.get("value").ok_or_else(missing)
}

fn from(operation: &Value) -> Result<Pointer, PatchError> {
    Pointer::parse(text(operation, "from")?)
}

fn missing(operation: &str, token: &str) -> PatchError {
    PatchError::Unfit(format!(
        "{operation} operation does not apply: doc is missing path: {token:?}: missing value"
    ))
}

/// Where an added element goes: before an index, or at the end for `-`.
fn insertion(token: &str, length: usize) -> Option<usize> {
    match token {
        "-" => Some(length),
        token => index(token, length + 1),
    }
}

fn spend(work: &mut usize, amount: usize) -> Result<(), PatchError> {
    *work += amount;
    match *work > WORK_MAX {
        true => Err(PatchError::TooLarge(format!("the patch takes more than {WORK_MAX} steps to apply"))),
        false => Ok(()),
    }
}

/// How deep `value` is nested; a scalar is 0.
fn depth(value: &Value, work: &mut usize) -> Result<usize, PatchError> {
    spend(work, 1)?;
    let mut deepest = 0;
    match value {
        Value::Array(list) => {
            for element in list {
                deepest = deepest.max(1 + depth(element, work)?);
            }
            Ok(deepest.max(1))
        }
        Value::Object(map) => {
            for member in map.values() {
                deepest = deepest.max(1 + depth(member, work)?);
            }
            Ok(deepest.max(1))
        }
        _ => Ok(0),
    }
}

/// About as many bytes as `value` has in memory and on the wire.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(list) => 2 + list.iter().map(|value| weight(value) + 1).sum::<usize>(),
        Value::Object(map) => 2 + map.iter().map(|(key, value)| key.len() + 4 + weight(value)).sum::<usize>(),
        _ => 8,
    }
}

/// Equality as JSON: numbers by value.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| equal(value, other)))
        }
        (left, right) => left == right,
    }
}
