//! Bodies within their bounds.

use super::*;
use axum::http::HeaderValue;

fn media(value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))])
}

#[tokio::test]
async fn a_body_over_the_bound_is_413() {
    let limits = Limits { body_bytes: 10, ..Limits::default() };
    assert_eq!(read(Body::from("0123456789"), &limits).await.unwrap().len(), 10);
    let status = read(Body::from("0123456789a"), &limits).await.unwrap_err();
    assert_eq!((status.code, status.message.as_str()), (413, "Request entity too large: limit is 10"));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let limits = Limits { body_timeout: Duration::from_millis(20), ..Limits::default() };
    assert_eq!(read(never, &limits).await.unwrap_err().code, 504);
}

#[test]
fn media_types() {
    assert_eq!(form(&HeaderMap::new()), Ok(Form::Json));
    assert_eq!(form(&media("application/json; charset=utf-8")), Ok(Form::Json));
    assert_eq!(form(&media("application/yaml")), Ok(Form::Yaml));
    assert_eq!(form(&media("text/plain")).unwrap_err().code, 415);
}

#[test]
fn hostile_bodies_are_errors() {
    let deep = "[".repeat(100_000);
    let aliases: String =
        (1..30).map(|i| format!("a{i}: &a{i} [*a{p},*a{p},*a{p},*a{p}]\n", p = i - 1)).collect();
    let bomb = format!("a0: &a0 [x,x,x,x]\n{aliases}");
    for (text, form) in
        [(deep.as_str(), Form::Json), (&deep, Form::Yaml), (&bomb, Form::Yaml), ("{", Form::Json)]
    {
        assert!(parse(text.as_bytes(), form).is_err());
    }
    assert_eq!(parse(b"a: [1, \"2\"]", Form::Yaml).unwrap(), serde_json::json!({"a": [1, "2"]}));
}
