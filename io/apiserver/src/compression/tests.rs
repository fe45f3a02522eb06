//! What is compressed comes out as it went in; what is small or not asked for is left alone.

use std::io::Read;

use super::*;
use crate::response::json_bytes;

fn request(method: &str, uri: &str, encoding: &str) -> Request {
    Request::builder()
        .method(method)
        .uri(uri)
        .header("accept-encoding", encoding)
        .body(Body::empty())
        .unwrap()
}

#[test]
fn only_reads_that_ask_for_it() {
    assert!(is_wanted(&request("GET", "/api/v1/pods", "gzip")));
    assert!(is_wanted(&request("GET", "/api/v1/pods", "br, gzip")));
    assert!(!is_wanted(&request("GET", "/api/v1/pods?watch=true", "gzip")));
    assert!(!is_wanted(&request("POST", "/api/v1/pods", "gzip")));
    assert!(!is_wanted(&request("GET", "/api/v1/pods", "identity")));
}

#[tokio::test]
async fn large_answers_are_compressed_and_small_ones_are_not() {
    let text: String = (0..60_000).map(|n| n.to_string()).collect();
    let pieces =
        text.as_bytes().chunks(1000).map(|piece| Ok::<_, axum::Error>(Bytes::copy_from_slice(piece)));
    let body = Body::from_stream(stream::iter(pieces.collect::<Vec<_>>()));
    let mut answer = json_bytes(axum::http::StatusCode::OK, Bytes::new());
    *answer.body_mut() = body;
    let answer = compress(answer).await;
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(bytes.len() < text.len());
    let mut back = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut back).unwrap();
    assert_eq!(back, text);

    let small = compress(json_bytes(axum::http::StatusCode::OK, Bytes::from_static(b"{}"))).await;
    assert!(!small.headers().contains_key("content-encoding"));
    assert_eq!(small.into_body().collect().await.unwrap().to_bytes(), "{}");
}
