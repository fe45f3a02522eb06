//! What `Accept` headers get.

use super::*;

fn check(header: &str, expected: Option<(Shape, Encoding)>) {
    let seen = Accept::negotiate(Some(header));
    assert_eq!(seen.as_ref().ok().map(|accept| (accept.shape, accept.encoding)), expected, "{header}");
    if let Err(status) = seen {
        let text = "only the following media types are accepted: application/json, application/yaml";
        assert_eq!((status.code, status.message.as_str()), (406, text));
    }
}

#[test]
fn the_first_form_we_have_is_taken() {
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
    check(table, Some((Shape::Table(MetaVersion::V1), Encoding::Json)));
    check(
        "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
        Some((Shape::Table(MetaVersion::V1Beta1), Encoding::Json)),
    );
    check(
        "application/json;as=Table;v=v2;g=meta.k8s.io, application/json",
        Some((Shape::Whole, Encoding::Json)),
    );
    check(
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        Some((Shape::Metadata(MetaVersion::V1), Encoding::Json)),
    );
    check("application/vnd.kubernetes.protobuf, application/json", Some((Shape::Whole, Encoding::Json)));
    check("application/yaml", Some((Shape::Whole, Encoding::Yaml)));
    check("text/html;q=0.9, */*;q=0.8", Some((Shape::Whole, Encoding::Json)));
    check("application/json;stream=watch", Some((Shape::Whole, Encoding::Json)));
    check("", Some((Shape::Whole, Encoding::Json)));
}

#[test]
fn unknown_forms_are_refused() {
    check("application/vnd.kubernetes.protobuf", None);
    check("text/plain", None);
    check("application/json;as=Table;v=v1;g=example.com", None);
    check("application/json;as=Chart;v=v1;g=meta.k8s.io", None);
    assert_eq!(Accept::negotiate(None), Ok(Accept::default()));
}
