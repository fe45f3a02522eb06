//! The label selector grammar of query parameters: `x in (foo,,baz),y,!z,a!=b,n>5`.
//!
//! Two steps: cut into tokens, then one requirement after the other. `in` and `notin` are operators after a key and
//! plain words among values. Linear in the input; no recursion.

use super::{Operator, Requirement};
use crate::field::Path;
use crate::names;

const BINARY_OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Open,
    Close,
    Comma,
    Not,
    Symbol(&'a str),
    Bad(String),
    End,
}

impl Token<'_> {
    fn literal(&self) -> &str {
        match self {
            Token::Word(text) | Token::Symbol(text) => text,
            Token::Bad(text) => text,
            Token::Open => "(",
            Token::Close => ")",
            Token::Comma => ",",
            Token::Not => "!",
            Token::End => "",
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'=' | b'!' | b'(' | b')' | b',' | b'>' | b'<')
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches(|c: char| c.is_ascii() && is_space(c as u8));
    while let Some(first) = rest.bytes().next() {
        let (token, length) = if is_special(first) { symbol(rest) } else { word(rest) };
        found.push(token);
        rest = rest[length..].trim_start_matches(|c: char| c.is_ascii() && is_space(c as u8));
    }
    found.push(Token::End);
    found
}

fn word(rest: &str) -> (Token<'_>, usize) {
    let end = rest.bytes().position(|byte| is_special(byte) || is_space(byte)).unwrap_or(rest.len());
    (Token::Word(&rest[..end]), end)
}

/// The longest symbol that starts here. Every single special byte but a lone one already is a symbol.
fn symbol(rest: &str) -> (Token<'_>, usize) {
    if let Some(two) = rest.get(..2).filter(|two| matches!(*two, "==" | "!=")) {
        return (Token::Symbol(two), 2);
    }
    let token = match &rest[..1] {
        "(" => Token::Open,
        ")" => Token::Close,
        "," => Token::Comma,
        "!" => Token::Not,
        one @ ("=" | ">" | "<") => Token::Symbol(one),
        other => Token::Bad(format!("error expected: keyword found '{other}'")),
    };
    (token, 1)
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
}

/// All requirements of `text`, in the order written.
pub(super) fn requirements(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser { tokens: tokens(text), at: 0 };
    let mut found = Vec::new();
    loop {
        match parser.peek() {
            Token::Word(_) | Token::Not => {
                let requirement =
                    parser.requirement().map_err(|error| format!("unable to parse requirement: {error}"))?;
                found.push(requirement);
            }
            Token::End => return Ok(found),
            other => {
                return Err(format!(
                    "found '{}', expected: !, identifier, or 'end of string'",
                    other.literal()
                ));
            }
        }
        if parser.ends()? {
            return Ok(found);
        }
    }
}

impl<'a> Parser<'a> {
    /// The current token; the end repeats for ever.
    fn peek(&self) -> &Token<'a> {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    /// After a requirement: the end, or a comma and another one.
    fn ends(&mut self) -> Result<bool, String> {
        match self.next() {
            Token::End => Ok(true),
            Token::Comma => match self.peek() {
                Token::Word(_) | Token::Not => Ok(false),
                other => Err(format!("found '{}', expected: identifier after ','", other.literal())),
            },
            other => Err(format!("found '{}', expected: ',' or 'end of string'", other.literal())),
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let (key, negated) = self.key()?;
        let bare = matches!(self.peek(), Token::End | Token::Comma);
        if negated || bare {
            let operator = if negated { Operator::DoesNotExist } else { Operator::Exists };
            return Requirement::new(key, operator, Vec::new(), &Path::default());
        }
        let operator = self.operator()?;
        let mut values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => vec![self.exact_value()?],
        };
        values.sort_unstable();
        values.dedup();
        let values = values.into_iter().map(str::to_owned).collect();
        Requirement::new(key, operator, values, &Path::default())
    }

    fn key(&mut self) -> Result<(&'a str, bool), String> {
        let mut token = self.next();
        let negated = token == Token::Not;
        if negated {
            token = self.next();
        }
        let Token::Word(key) = token else {
            return Err(format!("found '{}', expected: identifier", token.literal()));
        };
        // Upstream reports a bad key here already, without a path.
        match names::qualified_name(key) {
            Ok(()) => Ok((key, negated)),
            Err(errors) => {
                Err(crate::FieldError::invalid(&Path::new("<nil>"), key, errors.join("; ")).to_string())
            }
        }
    }

    fn operator(&mut self) -> Result<Operator, String> {
        let token = self.next();
        match token.literal() {
            "in" => Ok(Operator::In),
            "notin" => Ok(Operator::NotIn),
            "=" => Ok(Operator::Equals),
            "==" => Ok(Operator::DoubleEquals),
            "!=" => Ok(Operator::NotEquals),
            ">" => Ok(Operator::GreaterThan),
            "<" => Ok(Operator::LessThan),
            other => Err(format!("found '{other}', expected: {BINARY_OPERATORS}")),
        }
    }

    /// `(a,b)`; empty places are the empty value.
    fn values(&mut self) -> Result<Vec<&'a str>, String> {
        match self.next() {
            Token::Open => {}
            other => return Err(format!("found '{}' expected: '('", other.literal())),
        }
        let mut values = Vec::new();
        loop {
            match self.next() {
                Token::Word(value) => values.push(value),
                Token::Comma if matches!(self.peek(), Token::Comma | Token::Close) || values.is_empty() => {
                    values.push("")
                }
                Token::Comma => {}
                Token::Close => return Ok(if values.is_empty() { vec![""] } else { values }),
                other if values.is_empty() => {
                    return Err(format!("found '{}', expected: ',', ')' or identifier", other.literal()));
                }
                other => return Err(format!("found '{}', expected: ',', or identifier", other.literal())),
            }
            self.separated(values.last().is_some_and(|value| !value.is_empty()))?;
        }
    }

    /// After a value only a comma or the end of the list may follow.
    fn separated(&self, after_value: bool) -> Result<(), String> {
        let previous_is_word =
            matches!(self.at.checked_sub(1).and_then(|at| self.tokens.get(at)), Some(Token::Word(_)));
        match self.peek() {
            Token::Comma | Token::Close => Ok(()),
            other if after_value && previous_is_word => {
                Err(format!("found '{}', expected: ',' or ')'", other.literal()))
            }
            _ => Ok(()),
        }
    }

    fn exact_value(&mut self) -> Result<&'a str, String> {
        match self.peek() {
            Token::End | Token::Comma => Ok(""),
            _ => match self.next() {
                Token::Word(value) => Ok(value),
                other => Err(format!("found '{}', expected: identifier", other.literal())),
            },
        }
    }
}
