//! Field selectors: `metadata.name=a,spec.nodeName!=b`, with `\` before `,`, `=` and `\` in values.

use crate::text::quote;

/// One condition on one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTerm {
    /// The field, as `spec.nodeName`.
    pub field: String,
    /// The text it must (or must not) have; absent fields are empty.
    pub value: String,
    /// Whether it must differ.
    pub negated: bool,
}

/// All of its terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<FieldTerm>,
}

impl FieldSelector {
    /// Matches every object.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Parses the query parameter `fieldSelector`. The error is upstream's message.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts: Vec<&str> = split(text);
        parts.sort_unstable();
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        let terms = parts.map(|part| term(text, part)).collect::<Result<_, _>>()?;
        Ok(Self { terms })
    }

    /// The conditions.
    pub fn terms(&self) -> &[FieldTerm] {
        &self.terms
    }

    /// Whether it selects everything.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// The one value `field` must have, if the selector says so.
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|term| !term.negated && term.field == field).map(|term| term.value.as_str())
    }

    /// Whether an object is selected whose fields `value` reads (empty when absent).
    pub fn matches_by<T: AsRef<str>>(&self, value: impl Fn(&str) -> T) -> bool {
        self.terms.iter().all(|term| (value(&term.field).as_ref() == term.value) != term.negated)
    }
}

/// Cuts at commas that are not escaped.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'\\' => escaped = !escaped,
            b',' if !escaped => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => escaped = false,
        }
    }
    parts.push(&text[start..]);
    parts
}

fn term(selector: &str, part: &str) -> Result<FieldTerm, String> {
    let Some((field, operator, value)) = cut(part) else {
        return Err(format!("invalid selector: '{selector}'; can't understand '{part}'"));
    };
    Ok(FieldTerm { field: field.to_owned(), value: unescape(value)?, negated: operator == "!=" })
}

/// At the first operator.
fn cut(part: &str) -> Option<(&str, &str, &str)> {
    part.char_indices().find_map(|(at, _)| {
        let rest = &part[at..];
        let operator = ["!=", "==", "="].into_iter().find(|operator| rest.starts_with(operator))?;
        Some((&part[..at], operator, &rest[operator.len()..]))
    })
}

fn unescape(value: &str) -> Result<String, String> {
    let mut out = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(special @ (',' | '=' | '\\')) => out.push(special),
                Some(other) => return Err(invalid_escape(&format!("\\{other}"))),
                None => return Err(invalid_escape("\\")),
            },
            '=' | ',' => return Err(format!("invalid field selector: unescaped character in value: {c}")),
            other => out.push(other),
        }
    }
    Ok(out)
}

fn invalid_escape(sequence: &str) -> String {
    format!("invalid field selector: invalid escape sequence: {}", quote(sequence).trim_matches('"'))
}
