//! JSON pointers (RFC 6901), with the one thing upstream adds: negative list indexes count from the end.

use serde_json::Value;

use super::PatchError;

/// A parsed pointer: its unescaped tokens.
pub(super) struct Pointer {
    tokens: Vec<String>,
}

impl Pointer {
    /// Parses `/a/b~1c/0`; the empty text is the whole document.
    pub(super) fn parse(text: &str) -> Result<Self, PatchError> {
        if text.is_empty() {
            return Ok(Self { tokens: Vec::new() });
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(PatchError::Unfit(format!("path {text:?} must start with '/' or be empty")));
        };
        Ok(Self {
            tokens: rest.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect(),
        })
    }

    /// How many steps it takes.
    pub(super) fn depth(&self) -> usize {
        self.tokens.len()
    }

    /// Whether it names this very place or one below.
    pub(super) fn starts_with(&self, other: &Self) -> bool {
        self.tokens.starts_with(&other.tokens)
    }

    /// The parent and the last token; `None` for the whole document.
    pub(super) fn split(&self) -> Option<(&[String], &str)> {
        self.tokens.split_last().map(|(last, parents)| (parents, last.as_str()))
    }

    /// The value it names.
    pub(super) fn get<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        self.tokens.iter().try_fold(document, |value, token| match value {
            Value::Object(map) => map.get(token),
            Value::Array(list) => list.get(index(token, list.len())?),
            _ => None,
        })
    }
}

/// The value `tokens` lead to.
pub(super) fn get_mut<'a>(document: &'a mut Value, tokens: &[String]) -> Option<&'a mut Value> {
    tokens.iter().try_fold(document, |value, token| match value {
        Value::Object(map) => map.get_mut(token),
        Value::Array(list) => {
            let at = index(token, list.len())?;
            list.get_mut(at)
        }
        _ => None,
    })
}

/// The index a token names in a list of `length`: no leading zeros or signs but the minus that counts from the end.
pub(super) fn index(token: &str, length: usize) -> Option<usize> {
    let (digits, from_end) = token.strip_prefix('-').map_or((token, false), |digits| (digits, true));
    let canonical =
        digits == "0" || (!digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number: usize = digits.parse().ok().filter(|_| canonical)?;
    match from_end {
        false => (number < length).then_some(number),
        true => (number > 0).then(|| length.checked_sub(number)).flatten(),
    }
}
