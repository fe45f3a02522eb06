//! Tokens, and who they name.

use super::*;

/// Token, name, uid, groups.
type Line<'a> = (&'a str, &'a str, &'a str, &'a [&'a str]);

fn check(text: &str, expected: Result<&[Line<'_>], (usize, &str)>) {
    match (Tokens::parse(text), expected) {
        (Ok(tokens), Ok(expected)) => {
            assert_eq!(tokens.entries.len(), expected.len());
            for (token, name, uid, groups) in expected {
                let user = tokens.user(token).unwrap();
                assert_eq!((user.name.as_str(), user.uid.as_str()), (*name, *uid));
                assert_eq!(user.groups, *groups);
            }
            assert_eq!(tokens.user("no such token"), None);
            assert_eq!(tokens.user(""), None);
        }
        (Err((line, detail)), Err((at, part))) => {
            assert_eq!(line, at);
            assert!(detail.contains(part), "{detail}");
        }
        (Ok(_), Err(_)) => panic!("parsed: {text}"),
        (Err(error), Ok(_)) => panic!("{error:?}"),
    }
}

#[test]
fn reads_upstreams_format() {
    check(
        "t1,jane,7,\"dev,ops\"\n\n# nobody\nt2,joe,8\n",
        Ok(&[
            ("t1", "jane", "7", &["dev", "ops", "system:authenticated"]),
            ("t2", "joe", "8", &["system:authenticated"]),
        ]),
    );
    check("t,admin,,system:masters", Ok(&[("t", "admin", "", &["system:masters", "system:authenticated"])]));
    check("t,\"a \"\"quoted\"\" name\",1", Ok(&[("t", "a \"quoted\" name", "1", &["system:authenticated"])]));
    check("", Ok(&[]));
}

#[test]
fn names_the_line_that_is_wrong() {
    check("t1,jane,7\nonly-a-token", Err((2, "1 of at least 3 fields")));
    check(",jane,7", Err((1, "the token is empty")));
    check("t,,7", Err((1, "the user name is empty")));
    check("t,jane,7,\"dev", Err((1, "not closed")));
    check("t,jane,7\nt,joe,8", Err((2, "given to another user")));
    check("t,ja\"ne,7", Err((1, "quote inside")));
}

#[test]
fn a_bearer_header_is_a_token_or_an_error() {
    assert_eq!(bearer(None), Ok(None));
    assert_eq!(bearer(Some("Bearer abc")), Ok(Some("abc")));
    assert_eq!(bearer(Some("bearer  abc ")), Ok(Some("abc")));
    for wrong in ["", "Bearer", "Bearer ", "Basic YTpi", "abc"] {
        assert_eq!(bearer(Some(wrong)), Err(()), "{wrong:?}");
    }
}
