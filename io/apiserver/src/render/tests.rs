//! What is made from the stored text is what reading and writing the objects would give.

use kelson_registry::{kinds, resolve};

use super::*;
use crate::negotiate::MetaVersion;
use crate::objects::Encoded;

const NOW: &str = "2026-01-02T03:04:05Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn view(kind: &'static Kind, older: Option<&'static OlderVersion>, shape: Shape, include: Include) -> View {
    View { kind, older, shape, encoding: Encoding::Json, include, now: now() }
}

/// An object with something in most places that cells look at.
fn object(kind: &Kind) -> Object {
    let container = json!({"name": "c", "image": "i", "env": [{"name": "A", "value": "\u{e9}\"\\"}],
        "restartPolicy": "Always", "ready": true, "restartCount": 2, "state": {"running": {"startedAt": NOW}}});
    let metadata = json!({"name": "a", "namespace": "n", "creationTimestamp": "2026-01-01T03:04:05Z",
        "labels": {"app": "x"}, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}]});
    json!({"kind": kind.kind, "apiVersion": kind.api_version(), "metadata": metadata,
        "spec": {"containers": [container], "nodeName": "n", "type": "ClusterIP", "clusterIP": "10.0.0.1",
            "replicas": 3, "selector": {"matchLabels": {"app": "x"}}, "template": {"spec": {"containers": [container]}},
            "ports": [{"port": 80, "protocol": "TCP"}], "rules": [{"host": "h"}]},
        "status": {"phase": "Running", "podIPs": [{"ip": "10.1.0.1"}], "containerStatuses": [container],
            "conditions": [{"type": "Ready", "status": "True"}], "replicas": 3, "readyReplicas": 2},
        "data": {"k": "v"}, "type": "Opaque", "reason": "r", "message": "m", "provisioner": "p"})
}

fn stored(object: &Object, revision: u64) -> Bytes {
    Encoded::new(object).at(revision)
}

/// A row as it is when all of the object is read.
fn row(view: &View, stored: &Bytes) -> Value {
    let object = objects::parse(stored).unwrap();
    let cells = (view.kind.cells)(&object, view.now);
    let partial = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]});
    let carried = match view.include {
        Include::None => Value::Null,
        Include::Metadata => partial,
        Include::Object => view.converted(object),
    };
    json!({"cells": cells, "object": carried})
}

fn entry(value: Bytes) -> Arc<Entry> {
    Arc::new(Entry { key: "k".into(), value, create_revision: 1, mod_revision: 1 })
}

/// A page of these, put together from pieces that small.
fn page(view: View, values: &[Bytes], piece_bytes: usize) -> Value {
    let entries = values.iter().cloned().map(entry).collect();
    let page = Page { entries, revision: 9, continue_token: "t".into(), remaining: Some(1) };
    let pieces: Result<Vec<Bytes>, Status> = Pieces::new(view, page, piece_bytes).collect();
    serde_json::from_slice(&pieces.unwrap().concat()).unwrap()
}

#[test]
fn rows_are_the_same_as_from_whole_objects() {
    let table = Shape::Table(MetaVersion::V1Beta1);
    for kind in kinds() {
        let older = kind.older.iter().map(Some).chain([None]);
        for (older, include) in older.flat_map(|older| {
            [Include::None, Include::Metadata, Include::Object].map(|include| (older, include))
        }) {
            let view = view(kind, older, table, include);
            let values = [stored(&object(kind), 7), stored(&object(kind), 8)];
            let rows: Vec<Value> = values.iter().map(|value| row(&view, value)).collect();
            let list = page(view, &values, 100);
            assert_eq!(list["rows"], json!(rows), "{}", kind.kind);
            assert_eq!(
                list["metadata"],
                json!({"resourceVersion": "9", "continue": "t", "remainingItemCount": 1})
            );
            assert_eq!(
                (&list["kind"], &list["apiVersion"]),
                (&json!("Table"), &json!("meta.k8s.io/v1beta1"))
            );
            assert_eq!(list["columnDefinitions"].as_array().unwrap().len(), view.columns(true).len());
            let one: Value = serde_json::from_slice(&view.bytes(&values[0], false).unwrap()).unwrap();
            assert_eq!((&one["rows"], &one["columnDefinitions"]), (&json!([rows[0]]), &Value::Null));
            assert_eq!(one["metadata"], json!({"resourceVersion": "7"}));
        }
    }
}

#[test]
fn lists_of_objects_and_of_metadata() {
    let (kind, older) = resolve("extensions", "v1beta1", "deployments").unwrap();
    let values = [stored(&object(kind), 7), stored(&object(kind), 8)];
    let whole: Vec<Value> = values.iter().map(|value| objects::parse(value).unwrap()).collect();
    for piece_bytes in [1, 1000, 1 << 20] {
        let list = page(view(kind, None, Shape::Whole, Include::default()), &values, piece_bytes);
        assert_eq!((&list["kind"], &list["items"]), (&json!("DeploymentList"), &json!(whole)));
        let old = view(kind, older, Shape::Whole, Include::default());
        let list = page(old, &values, piece_bytes);
        assert_eq!(
            (&list["apiVersion"], &list["items"][1]["apiVersion"]),
            (&json!("extensions/v1beta1"), &json!("extensions/v1beta1"))
        );
        assert_eq!(list["items"][1], old.converted(whole[1].clone()));
        let list = page(
            view(kind, None, Shape::Metadata(MetaVersion::V1), Include::default()),
            &values,
            piece_bytes,
        );
        let metadata = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": whole[0]["metadata"]});
        assert_eq!((&list["kind"], &list["items"][0]), (&json!("PartialObjectMetadataList"), &metadata));
    }
    let none = page(view(kind, None, Shape::Whole, Include::default()), &[], 10);
    assert_eq!(none["items"], json!([]));
}

#[test]
fn what_cannot_be_read_ends_the_list_with_an_error() {
    let (kind, _) = resolve("", "v1", "pods").unwrap();
    let entries = vec![entry(Bytes::from_static(b"{\"metadata\":"))];
    let page = Page { entries, revision: 9, continue_token: String::new(), remaining: None };
    let view = view(kind, None, Shape::Table(MetaVersion::V1), Include::default());
    let pieces: Vec<Result<Bytes, Status>> = Pieces::new(view, page, 10_000).collect();
    assert!(matches!(pieces.as_slice(), [Err(status)] if status.code == 500));
}
