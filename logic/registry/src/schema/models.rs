//! The types' text, read: one model a paragraph, one property a line.
//!
//! Nothing is kept but the text, which lies packed in the binary until it is first asked for: a model is read anew each
//! time. `tests/schemas` holds the text against the library it comes from, so its grammar is an invariant here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::LazyLock;

use flate2::read::ZlibDecoder;

/// `models.txt`, as `build.rs` packed it: a fifth of its size.
const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/models.zlib"));

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut text = String::new();
    ZlibDecoder::new(PACKED).read_to_string(&mut text).expect("it was packed when this was built");
    text
});

/// A type of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// For example `io.k8s.api.core.v1.ContainerPort`.
    pub name: &'static str,
    /// In words; may be empty.
    pub description: Cow<'static, str>,
    /// What it is, if it is no struct: `Time`, `Quantity`, `IntOrString` …
    pub alias: Option<Type>,
    /// Its fields.
    pub properties: Vec<Property>,
}

/// A field of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// In JSON.
    pub name: &'static str,
    /// In words; may be empty.
    pub description: Cow<'static, str>,
    /// What it holds.
    pub r#type: Type,
    /// Whether it must be there.
    pub required: bool,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// `string`, `integer`, `number`, `boolean`, `object`; and its format, or "".
    Plain(&'static str, &'static str),
    /// A number or a text.
    IntOrString,
    /// Anything.
    Any,
    /// Another model.
    Model(&'static str),
    /// A list.
    List(Box<Type>),
    /// A map from texts.
    Map(Box<Type>),
}

impl Type {
    fn parse(text: &'static str) -> Self {
        match text.as_bytes().first() {
            Some(b'@') => Self::Model(&text[1..]),
            Some(b'[') => Self::List(Box::new(Self::parse(&text[1..]))),
            Some(b'{') => Self::Map(Box::new(Self::parse(&text[1..]))),
            _ => match text {
                "any" => Self::Any,
                "int-or-string" => Self::IntOrString,
                _ => {
                    let (kind, format) = text.split_once(':').unwrap_or((text, ""));
                    Self::Plain(kind, format)
                }
            },
        }
    }
}

/// A number that changes with the types.
pub fn fingerprint() -> u32 {
    static NUMBER: LazyLock<u32> = LazyLock::new(|| kelson_machinery::hash::fnv32a(TEXT.as_bytes()));
    *NUMBER
}

/// Where each model's paragraph begins.
static PLACES: LazyLock<BTreeMap<&'static str, usize>> = LazyLock::new(|| {
    let mut places = BTreeMap::new();
    let mut at = 0;
    for line in TEXT.split_inclusive('\n') {
        if !line.starts_with([' ', '#']) {
            places.insert(first_word(line).0, at);
        }
        at += line.len();
    }
    places
});

/// The model of this name.
pub fn model(name: &str) -> Option<Model> {
    let mut lines = TEXT[*PLACES.get(name)?..].lines();
    let (name, rest) = first_word(lines.next()?);
    let (alias, description) = match rest.strip_prefix('=') {
        Some(rest) => {
            let (alias, words) = first_word(rest);
            (Some(Type::parse(alias)), words)
        }
        None => (None, rest),
    };
    let properties =
        lines.take_while(|line| line.starts_with(' ')).map(|line| property(&line[1..])).collect();
    Some(Model { name, description: words(description), alias, properties })
}

fn property(line: &'static str) -> Property {
    let (name, rest) = first_word(line);
    let (r#type, description) = first_word(rest);
    let (name, required) = match name.strip_suffix('!') {
        Some(name) => (name, true),
        None => (name, false),
    };
    Property { name, description: words(description), r#type: Type::parse(r#type), required }
}

fn first_word(line: &'static str) -> (&'static str, &'static str) {
    let line = line.trim_end_matches('\n');
    line.split_once(' ').unwrap_or((line, ""))
}

/// Line breaks and backslashes are escaped in the text.
fn words(text: &'static str) -> Cow<'static, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.push(if characters.next() == Some('n') { '\n' } else { '\\' }),
            other => plain.push(other),
        }
    }
    Cow::Owned(plain)
}
