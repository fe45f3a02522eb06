//! Which names, keys and values the API takes, and how it makes up names of its own.
//!
//! Invariant: the error texts are upstream's to the byte, regular expressions included. Input length is checked by the
//! rules themselves; nothing here is more than linear in it.

use crate::hash::ALPHABET;

/// The longest DNS label.
pub const LABEL_MAX: usize = 63;
/// The longest DNS subdomain.
pub const SUBDOMAIN_MAX: usize = 253;
/// Room a generated name's base may take: a label less the suffix.
pub const GENERATED_BASE_MAX: usize = LABEL_MAX - SUFFIX_LENGTH;
/// Letters in a generated name's suffix.
pub const SUFFIX_LENGTH: usize = 5;

/// Fine, or upstream's messages.
pub type Checked = Result<(), Vec<String>>;

const LABEL_1123: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_1123: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const WILDCARD: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const ENV_NAME: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";
const C_IDENTIFIER: &str = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')";
const HEADER_NAME: &str = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

fn too_long(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

/// Collects the messages whose condition holds.
fn verdict(checks: impl IntoIterator<Item = (bool, String)>) -> Checked {
    let errors: Vec<String> = checks.into_iter().filter(|(wrong, _)| *wrong).map(|(_, text)| text).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn lower_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// First, last and inner bytes each from their set; never empty.
fn framed(text: &str, first: fn(u8) -> bool, inner: fn(u8) -> bool, last: fn(u8) -> bool) -> bool {
    match text.as_bytes() {
        [] => false,
        [one] => first(*one) && last(*one),
        [start, middle @ .., end] => first(*start) && middle.iter().all(|byte| inner(*byte)) && last(*end),
    }
}

fn is_label_1123(text: &str) -> bool {
    framed(text, lower_or_digit, |byte| lower_or_digit(byte) || byte == b'-', lower_or_digit)
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label_1123)
}

fn is_qualified_part(text: &str) -> bool {
    let outer = |byte: u8| byte.is_ascii_alphanumeric();
    framed(text, outer, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'), outer)
}

/// A DNS label (RFC 1123), at most 63 bytes: most names of parts.
pub fn dns1123_label(text: &str) -> Checked {
    let wrong = !is_label_1123(text);
    let message = if is_subdomain(text) { "must not contain dots" } else { LABEL_1123 };
    verdict([(text.len() > LABEL_MAX, too_long(LABEL_MAX)), (wrong, message.to_owned())])
}

/// A DNS subdomain (RFC 1123), at most 253 bytes: most object names.
pub fn dns1123_subdomain(text: &str) -> Checked {
    verdict([
        (text.len() > SUBDOMAIN_MAX, too_long(SUBDOMAIN_MAX)),
        (!is_subdomain(text), SUBDOMAIN_1123.to_owned()),
    ])
}

/// A DNS label (RFC 1035): no leading digit (Service names before 1.36, spec A1.7).
pub fn dns1035_label(text: &str) -> Checked {
    let good = framed(
        text,
        |byte| byte.is_ascii_lowercase(),
        |byte| lower_or_digit(byte) || byte == b'-',
        lower_or_digit,
    );
    verdict([(text.len() > LABEL_MAX, too_long(LABEL_MAX)), (!good, LABEL_1035.to_owned())])
}

/// A subdomain whose first label is `*`: Ingress hosts.
pub fn wildcard_dns1123_subdomain(text: &str) -> Checked {
    let good = text.strip_prefix("*.").is_some_and(is_subdomain);
    verdict([(text.len() > SUBDOMAIN_MAX, too_long(SUBDOMAIN_MAX)), (!good, WILDCARD.to_owned())])
}

/// A label key or any other qualified name: `[prefix/]name`.
pub fn qualified_name(text: &str) -> Checked {
    let parts: Vec<&str> = text.split('/').collect();
    let (mut errors, name) = match parts.as_slice() {
        [name] => (Vec::new(), *name),
        [prefix, name] => (prefix_errors(prefix), *name),
        _ => {
            return Err(vec![format!(
                "a valid label key {QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )]);
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_MAX {
        errors.push(format!("name part {}", too_long(LABEL_MAX)));
    }
    if !is_qualified_part(name) {
        errors.push(format!("name part {QUALIFIED}"));
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn prefix_errors(prefix: &str) -> Vec<String> {
    if prefix.is_empty() {
        return vec!["prefix part must be non-empty".to_owned()];
    }
    let errors = dns1123_subdomain(prefix).err().unwrap_or_default();
    errors.into_iter().map(|error| format!("prefix part {error}")).collect()
}

/// A label's value: empty, or at most 63 bytes of letters, digits and `-_.`.
pub fn label_value(text: &str) -> Checked {
    let good = text.is_empty() || is_qualified_part(text);
    verdict([(text.len() > LABEL_MAX, too_long(LABEL_MAX)), (!good, LABEL_VALUE.to_owned())])
}

/// A key of a ConfigMap or Secret.
pub fn config_map_key(text: &str) -> Checked {
    let good = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    let dots = match text {
        "." => "must not be '.'",
        ".." => "must not be '..'",
        _ => "must not start with '..'",
    };
    verdict([
        (text.len() > SUBDOMAIN_MAX, too_long(SUBDOMAIN_MAX)),
        (!good, CONFIG_KEY.to_owned()),
        (text == "." || text.starts_with(".."), dots.to_owned()),
    ])
}

/// An environment variable's name, by today's relaxed rule.
pub fn env_var_name(text: &str) -> Checked {
    let good = text.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'=');
    verdict([
        (text.is_empty(), "environment variable name must be non-empty".to_owned()),
        (!good, ENV_NAME.to_owned()),
    ])
}

/// An identifier as C has them.
pub fn c_identifier(text: &str) -> Checked {
    let good = !text.is_empty()
        && !text.as_bytes()[0].is_ascii_digit()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    verdict([(!good, C_IDENTIFIER.to_owned())])
}

/// An HTTP header's name.
pub fn http_header_name(text: &str) -> Checked {
    let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    verdict([(!good, HEADER_NAME.to_owned())])
}

/// `25%`.
pub fn percent(text: &str) -> Checked {
    let digits = text.strip_suffix('%').unwrap_or("");
    let good = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    verdict([(!good, PERCENT.to_owned())])
}

/// A container port's name (RFC 6335): at most 15 of `[-a-z0-9]`, a letter among them.
pub fn port_name(text: &str) -> Checked {
    let charset = !text.is_empty() && text.bytes().all(|byte| lower_or_digit(byte) || byte == b'-');
    verdict([
        (text.len() > 15, too_long(15)),
        (!charset, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned()),
        (
            !text.bytes().any(|byte| byte.is_ascii_lowercase()),
            "must contain at least one letter (a-z)".to_owned(),
        ),
        (text.contains("--"), "must not contain consecutive hyphens".to_owned()),
        (text.starts_with('-') || text.ends_with('-'), "must not begin or end with a hyphen".to_owned()),
    ])
}

/// A port number.
pub fn port_number(port: i64) -> Checked {
    in_range(port, 1, 65_535)
}

/// A number between two bounds, both included.
pub fn in_range(value: i64, low: i64, high: i64) -> Checked {
    verdict([(value < low || value > high, format!("must be between {low} and {high}, inclusive"))])
}

/// Five letters made of `random`: what follows `generateName`.
pub fn suffix(random: u64) -> String {
    let base = ALPHABET.len() as u64;
    let letter = |position: u32| ALPHABET[(random / base.pow(position) % base) as usize];
    (0..SUFFIX_LENGTH as u32).map(|position| char::from(letter(position))).collect()
}

/// `base` cut to leave room, and a suffix.
pub fn generate_name(base: &str, random: u64) -> String {
    let mut end = base.len().min(GENERATED_BASE_MAX);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{}", &base[..end], suffix(random))
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
