//! Bodies as kubectl sends them, and as nobody should.

use super::*;

/// Protobuf by hand: a field of bytes, a number.
fn bytes(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    assert!(content.len() < 128);
    [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
}

fn varint(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn body(api_version: &str, kind: &str, object: &[u8]) -> Vec<u8> {
    let type_meta = [bytes(1, api_version), bytes(2, kind)].concat();
    [MAGIC, &bytes(1, type_meta), &bytes(2, object), &bytes(3, ""), &bytes(4, "")].concat()
}

fn check(body: &[u8], expected: Result<Value, Error>) {
    assert_eq!(decode(body), expected);
}

#[test]
fn what_kubectl_create_configmap_sends() {
    let sent = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x1b\x0a\x11\x0a\x01a\x12\0\x1a\0\x22\0\x2a\x002\x008\0B\0\x12\x06\x0a\x01k\x12\x01v\x1a\0\x22\0";
    check(
        sent,
        Ok(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}})),
    );
}

#[test]
fn zeros_count_only_where_a_field_may_be_absent() {
    let spec = [varint(1, 0), varint(5, 0), varint(7, 0)].concat();
    let seen = decode(&body("apps/v1", "Deployment", &bytes(2, spec))).unwrap();
    assert_eq!(seen["spec"], json!({"replicas": 0}));
}

#[test]
fn every_shape_of_field() {
    let port = [bytes(1, "http"), varint(3, 80), bytes(4, [varint(1, 1), bytes(3, "web")].concat())].concat();
    let other = [varint(3, 81), bytes(4, [varint(1, 0), varint(2, 8)].concat())].concat();
    let selector = bytes(2, [bytes(1, "app"), bytes(2, "x")].concat());
    let spec = [bytes(1, port), bytes(1, other), selector].concat();
    let meta = bytes(1, [bytes(8, varint(1, 60)), bytes(14, "a/b"), bytes(14, "c/d")].concat());
    let seen = decode(&body("v1", "Service", &[meta, bytes(2, spec)].concat())).unwrap();
    assert_eq!(
        seen["metadata"],
        json!({"creationTimestamp": "1970-01-01T00:01:00Z", "finalizers": ["a/b", "c/d"]})
    );
    let ports = json!([{"name": "http", "port": 80, "targetPort": "web"}, {"port": 81, "targetPort": 8}]);
    assert_eq!(seen["spec"], json!({"ports": ports, "selector": {"app": "x"}}));
    let secret = bytes(2, [bytes(1, "k"), bytes(2, b"\xff\0")].concat());
    assert_eq!(decode(&body("v1", "Secret", &secret)).unwrap()["data"], json!({"k": "/wA="}));
    let options = [varint(1, 0), bytes(2, bytes(1, "u"))].concat();
    let seen = decode(&body("v1", "DeleteOptions", &options)).unwrap();
    assert_eq!((&seen["gracePeriodSeconds"], &seen["preconditions"]["uid"]), (&json!(0), &json!("u")));
}

#[test]
fn held_messages_belong_to_their_holder() {
    let volume = [bytes(1, "v"), bytes(2, bytes(2, []))].concat();
    let container =
        [bytes(1, "c"), bytes(8, bytes(1, [bytes(1, "cpu"), bytes(2, bytes(1, "10m"))].concat()))].concat();
    let spec = [bytes(1, volume), bytes(2, container)].concat();
    let seen = decode(&body("v1", "Pod", &bytes(2, spec))).unwrap();
    assert_eq!(seen["spec"]["volumes"], json!([{"name": "v", "emptyDir": {}}]));
    assert_eq!(seen["spec"]["containers"][0]["resources"], json!({"limits": {"cpu": "10m"}}));
}

#[test]
fn rubbish_is_an_error() {
    check(b"{}", Err(Error::Prefix));
    check(b"k8s\0", Err(Error::Type(" ".into())));
    check(&body("example.com/v1", "Gadget", &[]), Err(Error::Type("example.com/v1 Gadget".into())));
    check(&body("v1", "ConfigMap", &[0x0a, 0x7f]), Err(Error::Malformed("unexpected end")));
    check(&body("v1", "ConfigMap", &[0xff; 12]), Err(Error::Malformed("a number is too long")));
    check(
        &body("v1", "ConfigMap", &varint(1, 1)),
        Err(Error::Malformed("a field has another wire type than its own")),
    );
    let whole = body("apps/v1", "Deployment", &bytes(2, bytes(3, bytes(2, bytes(2, bytes(1, "c"))))));
    for end in 0..whole.len() {
        let _ = decode(&whole[..end]);
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[end] ^= 1 << bit;
            let _ = decode(&flipped);
        }
    }
}

#[test]
fn the_schema_is_whole() {
    let messages = schema::messages();
    assert!(messages.len() > 400);
    fn held(kind: &Type) -> Option<&str> {
        match kind {
            Type::Message(name) => Some(name),
            Type::Present(of) | Type::List(of) | Type::Map(of) | Type::Items(of) => held(of),
            _ => None,
        }
    }
    for (name, message) in messages {
        for field in &message.fields {
            assert!(field.number > 0 && !field.name.is_empty(), "{name} {field:?}");
            assert!(held(&field.kind).is_none_or(|held| messages.contains_key(held)), "{name} {field:?}");
        }
    }
    for kind in kelson_registry::kinds() {
        assert!(message_of(&kind.api_version(), kind.kind).is_ok(), "{kind:?}");
    }
}
