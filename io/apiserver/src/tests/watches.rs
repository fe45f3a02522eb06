//! Watches: what is there, every change, and in what shape.

use super::*;
use axum::body::BodyDataStream;
use futures_util::StreamExt;

/// The frames of one watch.
struct Frames {
    body: BodyDataStream,
    rest: Vec<u8>,
}

impl Frames {
    async fn open(harness: &Harness, path: &str, accept: &str) -> Self {
        let request = Request::builder().uri(path).header("accept", accept).body(Body::empty()).unwrap();
        let response = harness.raw(admin(), request).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        Self { body: response.into_body().into_data_stream(), rest: Vec::new() }
    }

    /// The next frame; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let piece = tokio::time::timeout(std::time::Duration::from_secs(10), self.body.next()).await;
            self.rest.extend_from_slice(&piece.expect("a frame in time")?.unwrap());
        }
    }

    /// Asserts the type and name of the next frame and passes its object on.
    async fn expect(&mut self, kind: &str, name: &str) -> Value {
        let frame = self.next().await.expect("another frame");
        assert_eq!(
            (frame["type"].as_str(), frame["object"]["metadata"]["name"].as_str()),
            (Some(kind), Some(name)),
            "{frame}"
        );
        frame["object"].clone()
    }
}

const JSON: &str = "application/json";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

fn labelled(name: &str, label: &str) -> Value {
    let mut map = config_map(name);
    map["metadata"]["labels"] = json!({"l": label});
    map
}

#[tokio::test]
async fn a_watch_without_a_version_begins_with_what_is_there() {
    let harness = Harness::new().await;
    harness.post(CONFIG_MAPS, config_map("a")).await.expect(201);
    let mut frames = Frames::open(&harness, &format!("{CONFIG_MAPS}?watch=true"), JSON).await;
    frames.expect("ADDED", "a").await;
    let b = harness.post(CONFIG_MAPS, config_map("b")).await.expect(201);
    assert_eq!(frames.expect("ADDED", "b").await, b);
    let b = harness
        .patch(&format!("{CONFIG_MAPS}/b"), "merge-patch", json!({"data": {"k": "w"}}))
        .await
        .expect(200);
    assert_eq!(frames.expect("MODIFIED", "b").await, b);
    harness.delete(&format!("{CONFIG_MAPS}/b"), Value::Null).await.expect(200);
    let gone = frames.expect("DELETED", "b").await;
    let version =
        |object: &Value| object["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(version(&gone) > version(&b) && gone["data"] == b["data"]);
}

#[tokio::test]
async fn a_watch_from_a_version_replays_what_came_after() {
    let harness = Harness::new().await;
    let a = harness.post(CONFIG_MAPS, config_map("a")).await.expect(201);
    harness.post(CONFIG_MAPS, config_map("b")).await.expect(201);
    harness.post("/api/v1/namespaces/kube-public/configmaps", config_map("elsewhere")).await.expect(201);
    let version = a["metadata"]["resourceVersion"].as_str().unwrap();
    let mut frames =
        Frames::open(&harness, &format!("{CONFIG_MAPS}?watch=true&resourceVersion={version}"), JSON).await;
    frames.expect("ADDED", "b").await;
    let mut all =
        Frames::open(&harness, &format!("/api/v1/configmaps?watch=1&resourceVersion={version}"), JSON).await;
    all.expect("ADDED", "b").await;
    all.expect("ADDED", "elsewhere").await;
}

#[tokio::test]
async fn entering_a_selection_is_added_and_leaving_it_deleted() {
    let harness = Harness::new().await;
    let mut frames =
        Frames::open(&harness, &format!("{CONFIG_MAPS}?watch=true&labelSelector=l%3Dx"), JSON).await;
    harness.post(CONFIG_MAPS, labelled("a", "y")).await.expect(201);
    let path = format!("{CONFIG_MAPS}/a");
    let label = |value: &'static str| json!({"metadata": {"labels": {"l": value}}});
    harness.patch(&path, "merge-patch", label("x")).await.expect(200);
    frames.expect("ADDED", "a").await;
    harness.patch(&path, "merge-patch", json!({"data": {"k": "w"}})).await.expect(200);
    frames.expect("MODIFIED", "a").await;
    let left = harness.patch(&path, "merge-patch", label("z")).await.expect(200);
    let seen = frames.expect("DELETED", "a").await;
    assert_eq!(seen["metadata"]["labels"]["l"], "x");
    assert_eq!(seen["metadata"]["resourceVersion"], left["metadata"]["resourceVersion"]);
    harness.delete(&path, Value::Null).await.expect(200);
    harness.post(CONFIG_MAPS, labelled("b", "x")).await.expect(201);
    frames.expect("ADDED", "b").await;
}

#[tokio::test]
async fn one_object_is_watched_by_name() {
    let harness = Harness::new().await;
    let mut frames =
        Frames::open(&harness, &format!("{CONFIG_MAPS}?watch=true&fieldSelector=metadata.name%3Da"), JSON)
            .await;
    harness.post(CONFIG_MAPS, config_map("ab")).await.expect(201);
    harness.post(CONFIG_MAPS, config_map("a")).await.expect(201);
    frames.expect("ADDED", "a").await;
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark() {
    let harness = Harness::new().await;
    let a = harness.post(CONFIG_MAPS, config_map("a")).await.expect(201);
    let query =
        "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
    let mut frames = Frames::open(&harness, &format!("{CONFIG_MAPS}?{query}"), JSON).await;
    frames.expect("ADDED", "a").await;
    let bookmark = frames.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(
        (&bookmark["object"]["kind"], &bookmark["object"]["apiVersion"]),
        (&json!("ConfigMap"), &json!("v1"))
    );
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(bookmark["object"]["metadata"]["resourceVersion"], a["metadata"]["resourceVersion"]);
    harness.post(CONFIG_MAPS, config_map("b")).await.expect(201);
    frames.expect("ADDED", "b").await;
    let wrong = harness.get(&format!("{CONFIG_MAPS}?watch=true&sendInitialEvents=true")).await;
    assert_eq!(wrong.status().0, 422);
}

#[tokio::test]
async fn bookmarks_come_when_nothing_else_does() {
    let harness =
        Harness::with(|config| config.limits.bookmark_interval = std::time::Duration::from_millis(20)).await;
    let mut frames =
        Frames::open(&harness, &format!("{CONFIG_MAPS}?watch=true&allowWatchBookmarks=true"), JSON).await;
    let other = harness.post(PODS, pod("p")).await.expect(201);
    let written = other["metadata"]["resourceVersion"].as_str().unwrap();
    loop {
        let frame = frames.next().await.unwrap();
        assert_eq!(frame["type"], "BOOKMARK");
        if frame["object"]["metadata"]["resourceVersion"] == written {
            break;
        }
    }
}

#[tokio::test]
async fn what_is_no_longer_kept_is_410_in_a_frame() {
    let dir = Scratch::new();
    let config = kelson_store::Config { events_max: 2, ..kelson_store::Config::default() };
    let store = Arc::new(Embedded::open(dir.path().join("store"), config).unwrap());
    let settings = Config::new(dir.path(), "127.0.0.1:1".parse().unwrap(), "192.0.2.1".parse().unwrap());
    let harness = Harness { server: Arc::new(ApiServer::open(settings, store).await.unwrap()), dir };
    let mut frames =
        Frames::open(&harness, &format!("{CONFIG_MAPS}?watch=true&resourceVersion=1"), JSON).await;
    let frame = frames.next().await.unwrap();
    assert_eq!(
        (&frame["type"], &frame["object"]["code"], &frame["object"]["reason"]),
        (&json!("ERROR"), &json!(410), &json!("Expired"))
    );
    assert!(frame["object"]["message"].as_str().unwrap().starts_with("too old resource version: 1 ("));
    assert_eq!(frames.next().await, None);
}

#[tokio::test]
async fn tables_name_their_columns_once() {
    let harness = Harness::new().await;
    harness.post(PODS, pod("a")).await.expect(201);
    let mut frames = Frames::open(&harness, &format!("{PODS}?watch=true"), TABLE).await;
    let first = frames.next().await.unwrap();
    assert_eq!((&first["type"], &first["object"]["kind"]), (&json!("ADDED"), &json!("Table")));
    assert_eq!(first["object"]["columnDefinitions"][0]["name"], "Name");
    assert_eq!(first["object"]["rows"][0]["cells"][0], "a");
    assert_eq!(first["object"]["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    harness.post(PODS, pod("b")).await.expect(201);
    let second = frames.next().await.unwrap();
    assert_eq!(second["object"]["columnDefinitions"], Value::Null);
    assert_eq!(second["object"]["rows"][0]["cells"][0], "b");
}

#[tokio::test]
async fn old_versions_and_metadata_are_watched_too() {
    let harness = Harness::new().await;
    harness.post(DEPLOYMENTS, deployment("d")).await.expect(201);
    let old = "/apis/extensions/v1beta1/deployments?watch=true";
    let mut frames = Frames::open(&harness, old, JSON).await;
    assert_eq!(frames.expect("ADDED", "d").await["apiVersion"], "extensions/v1beta1");
    let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let mut frames = Frames::open(&harness, &format!("{DEPLOYMENTS}?watch=true"), accept).await;
    let seen = frames.expect("ADDED", "d").await;
    assert_eq!((&seen["kind"], seen.get("spec")), (&json!("PartialObjectMetadata"), None));
}

#[tokio::test]
async fn a_watch_ends_when_it_said_it_would() {
    let harness = Harness::new().await;
    let mut frames =
        Frames::open(&harness, &format!("{CONFIG_MAPS}?watch=true&timeoutSeconds=1"), JSON).await;
    assert_eq!(frames.next().await, None);
}

#[tokio::test]
async fn watches_are_counted_against_their_limit() {
    let harness = Harness::with(|config| config.limits.watches = 1).await;
    let open = Frames::open(&harness, &format!("{CONFIG_MAPS}?watch=true"), JSON).await;
    assert_eq!(harness.get(&format!("{CONFIG_MAPS}?watch=true")).await.code, 429);
    drop(open);
    Frames::open(&harness, &format!("{CONFIG_MAPS}?watch=true"), JSON).await;
}

#[tokio::test]
async fn a_watch_may_begin_now_without_what_is_there() {
    let harness = Harness::new().await;
    harness.post(CONFIG_MAPS, config_map("a")).await.expect(201);
    let query = "watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
    let mut frames = Frames::open(&harness, &format!("{CONFIG_MAPS}?{query}"), JSON).await;
    harness.post(CONFIG_MAPS, config_map("b")).await.expect(201);
    frames.expect("ADDED", "b").await;
}
