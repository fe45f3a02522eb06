//! Reflection against a scripted API in process: a tower service that answers one request after the other.
//!
//! Time stands still unless everything waits, so a stream that asked in a loop would exhaust its script.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use super::{Change, Selection, reflect};

/// What the scripted API answers to one request.
enum Answer {
    Json(StatusCode, Value),
    /// The lines of a watch; it stays open after them if the flag says so.
    Lines(Vec<String>, bool),
}

/// Every request seen, with its time, and what is left to answer.
#[derive(Default)]
struct Script {
    seen: Vec<(String, Instant)>,
    answers: VecDeque<Answer>,
}

type Shared = Arc<Mutex<Script>>;

fn client(script: &Shared) -> Client {
    let script = script.clone();
    let answers = move |request: Request<Body>| {
        let answer = answer(&script, request.uri().to_string());
        async move { answer }
    };
    Client::new(axum::Router::new().fallback(answers), "default")
}

fn answer(script: &Shared, uri: String) -> Response<Body> {
    let mut script = script.lock().unwrap();
    script.seen.push((uri, Instant::now()));
    match script.answers.pop_front() {
        Some(Answer::Json(status, value)) => {
            (status, axum::body::Bytes::from(value.to_string())).into_response()
        }
        Some(Answer::Lines(lines, open)) => {
            let lines = stream::iter(lines).map(|line| Ok::<_, Infallible>(Bytes::from(line + "\n")));
            let rest = stream::pending().take(usize::from(open));
            Response::new(Body::from_stream(lines.chain(rest)))
        }
        None => Response::new(Body::from_stream(stream::pending::<Result<Bytes, Infallible>>())),
    }
}

fn map(name: &str, version: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "resourceVersion": version}})
}

fn list(version: &str, items: Vec<Value>) -> Answer {
    page(version, items, "")
}

fn page(version: &str, items: Vec<Value>, token: &str) -> Answer {
    let metadata = json!({"resourceVersion": version, "continue": token});
    let list = json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": metadata, "items": items});
    Answer::Json(StatusCode::OK, list)
}

fn event(kind: &str, object: &Value) -> String {
    json!({"type": kind, "object": object}).to_string()
}

fn bookmark(version: &str) -> String {
    event(
        "BOOKMARK",
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"resourceVersion": version}}),
    )
}

fn status(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "reason": reason, "code": code})
}

fn watch(lines: Vec<String>) -> Answer {
    Answer::Lines(lines, true)
}

fn ended(lines: Vec<String>) -> Answer {
    Answer::Lines(lines, false)
}

/// A change in few words.
fn words(change: Change<ConfigMap>) -> String {
    let name = |map: &Arc<ConfigMap>| map.metadata.name.clone().unwrap();
    match change {
        Change::Reset(maps) => format!("reset {}", maps.iter().map(name).collect::<Vec<_>>().join(" ")),
        Change::Applied(map) => format!("applied {}", name(&map)),
        Change::Deleted(map) => format!("deleted {}", name(&map)),
    }
}

/// What is told for a script, and what was asked: the version a watch began at, `list` or `more`.
async fn check(answers: Vec<Answer>, told: &[&str], asked: &[&str]) -> Vec<Instant> {
    let script = Shared::default();
    script.lock().unwrap().answers = answers.into();
    let api = Api::<ConfigMap>::namespaced(client(&script), "default");
    let mut changes = pin!(reflect(api, Selection::default()));
    for expected in told {
        let change = tokio::time::timeout(Duration::from_secs(600), changes.next()).await;
        assert_eq!(words(change.expect("something is told").unwrap()), *expected);
    }
    let quiet = tokio::time::timeout(Duration::from_secs(60), changes.next()).await;
    assert!(quiet.is_err(), "more was told: {quiet:?}");
    let script = script.lock().unwrap();
    let parameter = |uri: &str, name: &str| {
        let query = uri.split_once('?').map_or("", |(_, query)| query).to_owned();
        query.split('&').find_map(|pair| pair.strip_prefix(name).map(str::to_owned))
    };
    let short = |uri: &String| match parameter(uri, "watch=") {
        Some(_) => parameter(uri, "resourceVersion=").unwrap(),
        None if parameter(uri, "continue=").is_some() => "more".to_owned(),
        None => "list".to_owned(),
    };
    assert_eq!(script.seen.iter().map(|(uri, _)| short(uri)).collect::<Vec<_>>(), asked);
    script.seen.iter().map(|(_, at)| *at).collect()
}

#[tokio::test(start_paused = true)]
async fn a_list_in_pages_then_what_changes() {
    let lines = vec![
        event("ADDED", &map("c", "6")),
        event("MODIFIED", &map("a", "7")),
        event("DELETED", &map("b", "8")),
    ];
    check(
        vec![page("5", vec![map("a", "1")], "token"), list("5", vec![map("b", "2")]), watch(lines)],
        &["reset a b", "applied c", "applied a", "deleted b"],
        &["list", "more", "5"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_goes_on_where_it_was_bookmarks_included() {
    let times = check(
        vec![
            list("5", vec![]),
            ended(vec![event("ADDED", &map("a", "6")), bookmark("9")]),
            ended(vec![bookmark("12")]),
            watch(vec![event("ADDED", &map("b", "13"))]),
        ],
        &["reset ", "applied a", "applied b"],
        &["list", "5", "9", "12"],
    )
    .await;
    assert_eq!(times[0], times[3], "an end that was to be expected needs no waiting");
}

#[tokio::test(start_paused = true)]
async fn a_version_too_old_is_listed_anew_at_once_whichever_way_it_is_said() {
    let times = check(
        vec![
            list("5", vec![map("a", "1")]),
            Answer::Json(StatusCode::GONE, status(410, "Expired")),
            list("50", vec![map("b", "40")]),
            watch(vec![bookmark("51"), event("ERROR", &status(410, "Expired"))]),
            list("90", vec![]),
            watch(vec![]),
        ],
        &["reset a", "reset b", "reset "],
        &["list", "5", "list", "50", "list", "90"],
    )
    .await;
    assert_eq!(times[0], times[2]);
}

#[tokio::test(start_paused = true)]
async fn every_version_too_old_is_not_asked_in_a_loop() {
    let gone = || Answer::Json(StatusCode::GONE, status(410, "Expired"));
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.extend([list("5", vec![]), gone()]);
    }
    answers.extend([list("6", vec![]), watch(vec![])]);
    let asked = ["list", "5", "list", "5", "list", "5", "list", "5", "list", "6"];
    let times = check(answers, &["reset "; 5], &asked).await;
    assert!(times[8] - times[2] >= Duration::from_millis(300), "{:?}", times[8] - times[2]);
}

#[tokio::test(start_paused = true)]
async fn an_api_that_is_away_is_asked_ever_more_slowly() {
    let away = || Answer::Json(StatusCode::SERVICE_UNAVAILABLE, status(503, "ServiceUnavailable"));
    let mut answers: Vec<Answer> = (0..8).map(|_| away()).collect();
    answers.extend([list("5", vec![]), watch(vec![])]);
    let asked = ["list", "list", "list", "list", "list", "list", "list", "list", "list", "5"];
    let times = check(answers, &["reset "], &asked).await;
    let first = times[1] - times[0];
    let last = times[8] - times[7];
    assert!(first >= Duration::from_millis(50) && first <= Duration::from_millis(150), "{first:?}");
    assert!(last >= Duration::from_secs(5) && last <= Duration::from_secs(15), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_as_soon_as_it_opens_is_not_opened_in_a_loop() {
    let mut answers = vec![list("5", vec![])];
    answers.extend((0..5).map(|_| ended(vec![])));
    answers.push(watch(vec![]));
    let times = check(answers, &["reset "], &["list", "5", "5", "5", "5", "5", "5"]).await;
    assert!(times[6] - times[1] >= Duration::from_millis(1500), "{:?}", times[6] - times[1]);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_decoded_is_left_out() {
    let mut broken = map("broken", "2");
    broken["data"] = "not a map".into();
    check(
        vec![
            list("5", vec![map("a", "1"), broken.clone(), map("c", "3")]),
            watch(vec![event("ADDED", &broken), event("ADDED", &map("d", "7"))]),
        ],
        &["reset a c", "applied d"],
        &["list", "5"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_has_gone_silent_for_good_is_opened_again() {
    let script = Shared::default();
    script.lock().unwrap().answers =
        vec![list("5", vec![]), watch(vec![]), watch(vec![event("ADDED", &map("a", "6"))])].into();
    let api = Api::<ConfigMap>::namespaced(client(&script), "default");
    let mut changes = pin!(reflect(api, Selection::fields("metadata.name=a")));
    assert_eq!(words(changes.next().await.unwrap()), "reset ");
    let started = Instant::now();
    assert_eq!(words(changes.next().await.unwrap()), "applied a");
    assert_eq!(started.elapsed().as_secs(), 320);
    let script = script.lock().unwrap();
    assert!(script.seen.iter().all(|(uri, _)| uri.contains("fieldSelector=metadata.name%3Da")));
}
