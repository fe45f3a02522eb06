//! The messages of `schema.txt`, parsed once. A line that does not parse is a bug that a test finds.

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The table of messages; its head says how it is written.
const TEXT: &str = include_str!("schema.txt");

/// One message.
#[derive(Debug)]
pub(super) struct Message {
    pub fields: Vec<Field>,
}

/// One field of a message.
#[derive(Debug)]
pub(super) struct Field {
    /// Its JSON name; `<` when the held message's fields are its holder's.
    pub name: String,
    pub number: u32,
    pub kind: Type,
}

/// What a field holds.
#[derive(Debug)]
pub(super) enum Type {
    Text,
    Bool,
    Int,
    Double,
    Bytes,
    Time,
    MicroTime,
    Duration,
    Quantity,
    IntOrString,
    Raw,
    /// May be absent, so a zero is a value.
    Present(Box<Type>),
    List(Box<Type>),
    Map(Box<Type>),
    /// A message that is nothing but a list.
    Items(Box<Type>),
    Message(String),
}

static MESSAGES: OnceLock<BTreeMap<&'static str, Message>> = OnceLock::new();

/// The message of this name, for example `core.v1.Pod`.
pub(super) fn find(name: &str) -> Option<&'static Message> {
    messages().get(name)
}

/// All messages.
pub(super) fn messages() -> &'static BTreeMap<&'static str, Message> {
    MESSAGES.get_or_init(|| TEXT.lines().filter(|line| !line.starts_with('#')).filter_map(message).collect())
}

fn message(line: &'static str) -> Option<(&'static str, Message)> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    let fields = words.filter_map(field).collect();
    Some((name, Message { fields }))
}

fn field(word: &str) -> Option<Field> {
    let (name, rest) = word.split_once('=')?;
    let (number, kind) = rest.split_once(':')?;
    Some(Field { name: name.to_owned(), number: number.parse().ok()?, kind: parse(kind) })
}

fn parse(text: &str) -> Type {
    let inner = |text: &str| Box::new(parse(text));
    if let Some(rest) = text.strip_prefix('?') {
        return Type::Present(inner(rest));
    }
    if let Some(rest) = text.strip_prefix('*') {
        return Type::List(inner(rest));
    }
    if let Some(rest) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        return Type::Map(inner(rest));
    }
    if let Some(rest) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Type::Items(inner(rest));
    }
    match text {
        "s" => Type::Text,
        "b" => Type::Bool,
        "i" => Type::Int,
        "d" => Type::Double,
        "y" => Type::Bytes,
        "T" => Type::Time,
        "M" => Type::MicroTime,
        "D" => Type::Duration,
        "Q" => Type::Quantity,
        "I" => Type::IntOrString,
        "R" | "F" => Type::Raw,
        message => Type::Message(message.to_owned()),
    }
}
