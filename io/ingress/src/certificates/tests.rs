//! Secrets, good and bad, and what is said of the bad ones.

use k8s_openapi::ByteString;

use super::*;

fn pair(host: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
    (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn check(values: &[(&str, &str)], expected: Result<usize, &str>) {
    let value = |(key, value): &(&str, &str)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()));
    let secret = Secret { data: Some(values.iter().map(value).collect()), ..Secret::default() };
    let read = read(&secret).map(|pair| pair.cert.len()).map_err(|error| error.to_string());
    assert_eq!(read, expected.map_err(str::to_owned));
}

#[test]
fn secrets_are_read() {
    let (chain, key) = pair("a.example");
    let (other, other_key) = pair("b.example");
    check(&[("tls.crt", &chain), ("tls.key", &key)], Ok(1));
    check(&[("tls.crt", &format!("{chain}{other}")), ("tls.key", &key)], Ok(2));
    check(&[("tls.key", &key)], Err("has no tls.crt"));
    check(&[("tls.crt", &chain)], Err("has no tls.key"));
    check(&[("tls.crt", "nonsense"), ("tls.key", &key)], Err("its tls.crt holds no certificate"));
    let cut = &chain[..chain.len() - 40];
    check(&[("tls.crt", cut), ("tls.key", &key)], Err("its tls.crt is no PEM certificate chain"));
    check(&[("tls.crt", &chain), ("tls.key", "nonsense")], Err("its tls.key is no PEM private key"));
    let mismatch = "its tls.key does not belong to its tls.crt, or cannot be used";
    check(&[("tls.crt", &chain), ("tls.key", &other_key)], Err(mismatch));
}

#[test]
fn there_is_a_fallback() {
    assert_eq!(fallback().unwrap().cert.len(), 1);
}
