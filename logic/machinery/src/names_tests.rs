//! Names good and bad.

use super::*;

fn check(rule: fn(&str) -> Checked, good: &[&str], bad: &[(&str, &[&str])]) {
    for text in good {
        assert_eq!(rule(text), Ok(()), "{text:?}");
    }
    for (text, expected) in bad {
        let expected: Vec<String> = expected.iter().map(|message| (*message).to_owned()).collect();
        assert_eq!(rule(text), Err(expected), "{text:?}");
    }
}

#[test]
fn labels() {
    let long = "a".repeat(64);
    check(
        dns1123_label,
        &["a", "0", "a-b", &"a".repeat(63)],
        &[
            ("", &[LABEL_1123]),
            ("A", &[LABEL_1123]),
            ("-a", &[LABEL_1123]),
            ("a.b", &["must not contain dots"]),
            (&long, &["must be no more than 63 bytes"]),
        ],
    );
    check(dns1035_label, &["a", "a-1"], &[("1a", &[LABEL_1035]), ("a-", &[LABEL_1035]), ("", &[LABEL_1035])]);
}

#[test]
fn subdomains() {
    let long = "a".repeat(254);
    check(
        dns1123_subdomain,
        &["a", "a.b-c.0"],
        &[
            ("a..b", &[SUBDOMAIN_1123]),
            (".a", &[SUBDOMAIN_1123]),
            ("ä", &[SUBDOMAIN_1123]),
            (&long, &["must be no more than 253 bytes"]),
        ],
    );
    check(
        wildcard_dns1123_subdomain,
        &["*.a.b"],
        &[("*", &[WILDCARD]), ("*.*.a", &[WILDCARD]), ("f*.a", &[WILDCARD])],
    );
}

#[test]
fn qualified_names_and_label_values() {
    let name = format!("name part {QUALIFIED}");
    let prefix = format!("prefix part {SUBDOMAIN_1123}");
    check(
        qualified_name,
        &["app", "example.com/My_Name.1", "0"],
        &[
            ("", &["name part must be non-empty", &name]),
            ("/a", &["prefix part must be non-empty"]),
            ("A/b", &[&prefix]),
            ("-a", &[&name]),
        ],
    );
    assert!(qualified_name("a/b/c").unwrap_err()[0].ends_with("prefix and '/' (e.g. 'example.com/MyName')"));
    check(label_value, &["", "a", "A_b.c-1"], &[("a b", &[LABEL_VALUE]), ("_", &[LABEL_VALUE])]);
}

#[test]
fn keys_ports_and_the_rest() {
    check(
        config_map_key,
        &["a.b", ".x", "A_"],
        &[("..", &["must not be '..'"]), ("..a", &["must not start with '..'"]), ("", &[CONFIG_KEY])],
    );
    check(
        port_name,
        &["http", "a1"],
        &[
            ("80", &["must contain at least one letter (a-z)"]),
            ("a--b", &["must not contain consecutive hyphens"]),
        ],
    );
    check(
        env_var_name,
        &["A", "my.env-name", "1"],
        &[("a=b", &[ENV_NAME]), ("", &["environment variable name must be non-empty"])],
    );
    check(percent, &["1%", "093%"], &[("%", &[PERCENT]), ("1", &[PERCENT])]);
    check(c_identifier, &["_a1"], &[("1a", &[C_IDENTIFIER]), ("", &[C_IDENTIFIER])]);
    check(http_header_name, &["X-A"], &[("X A", &[HEADER_NAME])]);
    assert_eq!(port_number(0), Err(vec!["must be between 1 and 65535, inclusive".to_owned()]));
}

#[test]
fn generated_names_fit_a_label_and_use_the_alphabet() {
    for random in [0, 1, 26, 27, 14_348_906, u64::MAX] {
        let name = generate_name(&"a".repeat(80), random);
        assert_eq!(name.len(), LABEL_MAX);
        assert!(suffix(random).bytes().all(|byte| ALPHABET.contains(&byte)));
    }
    assert_eq!(generate_name("web-", 0), "web-bbbbb");
    assert_ne!(suffix(1), suffix(2));
    assert!(generate_name(&"ä".repeat(40), 0).is_char_boundary(58));
}
