//! Go's spellings of values, which upstream's messages are made of.
//!
//! Pure leaf: every message with a quoted value goes through here, so that it matches upstream to the byte.

use std::fmt::Write;

/// Quotes as Go's `%q` does: double quotes, backslash escapes for what does not print.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        push_escaped(&mut out, c);
    }
    out.push('"');
    out
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        c if c.is_control() || is_odd_space(c) => push_code(out, c as u32),
        c => out.push(c),
    }
}

/// Spaces other than U+0020 and format characters do not count as printable in Go.
fn is_odd_space(c: char) -> bool {
    (c != ' ' && c.is_whitespace())
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}')
}

fn push_code(out: &mut String, code: u32) {
    let written = match code {
        0..=0x7f => write!(out, "\\x{code:02x}"),
        0x80..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
    written.expect("writing to a String cannot fail");
}

/// `"a", "b"`: quoted and joined, as upstream lists supported values.
pub fn quote_list<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    values.into_iter().map(quote).collect::<Vec<_>>().join(", ")
}

/// Joins messages as Go's aggregate error does: the one as it is, several as `[a, b]`, each only once.
pub fn aggregate(messages: impl IntoIterator<Item = String>) -> String {
    let mut seen: Vec<String> = Vec::new();
    for message in messages {
        if !seen.contains(&message) {
            seen.push(message);
        }
    }
    match seen.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: &str) {
        assert_eq!(quote(input), expected);
    }

    #[test]
    fn quotes_as_go_does() {
        check("pods", r#""pods""#);
        check("a\"b\\", r#""a\"b\\""#);
        check("\n\t\u{0}\u{7f}", r#""\n\t\x00\x7f""#);
        check("ä\u{a0}", "\"ä\\u00a0\"");
    }

    #[test]
    fn aggregates_say_each_message_once() {
        assert_eq!(aggregate(["a".to_owned(), "a".to_owned()]), "a");
        assert_eq!(aggregate(["a".to_owned(), "b".to_owned()]), "[a, b]");
    }
}
