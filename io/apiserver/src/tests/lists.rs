//! Lists: pages of one revision, selectors, exact and minimum revisions.

use super::*;

async fn with_maps(count: usize) -> Harness {
    let harness = Harness::new().await;
    for i in 0..count {
        harness.post(CONFIG_MAPS, config_map(&format!("m{i:02}"))).await.expect(201);
    }
    harness
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_list_is_what_was_stored() {
    let harness = with_maps(3).await;
    let list = harness.get(CONFIG_MAPS).await.expect(200);
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("ConfigMapList"), &json!("v1")));
    assert_eq!(names(&list), ["m00", "m01", "m02"]);
    let one = harness.get(&format!("{CONFIG_MAPS}/m01")).await.expect(200);
    assert_eq!(list["items"][1], one);
    assert_eq!(list["metadata"]["resourceVersion"], list["items"][2]["metadata"]["resourceVersion"]);
    assert_eq!(names(&harness.get("/api/v1/configmaps").await.expect(200)).len(), 3);
    let empty = harness.get("/api/v1/namespaces/kube-public/configmaps").await.expect(200);
    assert_eq!(empty["items"], json!([]));
}

#[tokio::test]
async fn large_lists_come_whole() {
    let harness = Harness::new().await;
    for i in 0..40 {
        let mut map = config_map(&format!("m{i:02}"));
        map["data"]["k"] = "x".repeat(10_000).into();
        harness.post(CONFIG_MAPS, map).await.expect(201);
    }
    assert_eq!(names(&harness.get(CONFIG_MAPS).await.expect(200)).len(), 40);
}

#[tokio::test]
async fn pages_are_all_of_the_first_ones_revision() {
    let harness = with_maps(5).await;
    let first = harness.get(&format!("{CONFIG_MAPS}?limit=2")).await.expect(200);
    assert_eq!((names(&first), &first["metadata"]["remainingItemCount"]), (vec!["m00", "m01"], &json!(3)));
    harness.delete(&format!("{CONFIG_MAPS}/m02"), Value::Null).await.expect(200);
    harness.post(CONFIG_MAPS, config_map("m025")).await.expect(201);
    harness
        .patch(&format!("{CONFIG_MAPS}/m03"), "merge-patch", json!({"data": {"k": "new"}}))
        .await
        .expect(200);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = harness.get(&format!("{CONFIG_MAPS}?limit=2&continue={token}")).await.expect(200);
    assert_eq!(names(&second), ["m02", "m03"]);
    assert_eq!(second["items"][1]["data"]["k"], "v");
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let token = second["metadata"]["continue"].as_str().unwrap();
    let third = harness.get(&format!("{CONFIG_MAPS}?limit=2&continue={token}")).await.expect(200);
    assert_eq!((names(&third), third["metadata"].get("continue")), (vec!["m04"], None));
}

#[tokio::test]
async fn exact_revisions_show_the_past() {
    let harness = with_maps(2).await;
    let then = harness.get(CONFIG_MAPS).await.expect(200);
    let revision = then["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    harness.delete(&format!("{CONFIG_MAPS}/m00"), Value::Null).await.expect(200);
    let get = |rest: String| {
        let harness = &harness;
        async move { harness.get(&format!("{CONFIG_MAPS}?{rest}")).await }
    };
    assert_eq!(get(format!("resourceVersion={revision}&resourceVersionMatch=Exact")).await.expect(200), then);
    assert_eq!(
        names(
            &get(format!("resourceVersion={revision}&resourceVersionMatch=NotOlderThan")).await.expect(200)
        ),
        ["m01"]
    );
    assert_eq!(names(&get("resourceVersion=0".into()).await.expect(200)), ["m01"]);
    let future = get("resourceVersion=999999".into()).await;
    assert_eq!((future.status().0, future.status().1), (504, "Timeout"));
    assert!(future.status().2.starts_with("Timeout: Too large resource version: 999999, current: "));
}

#[tokio::test]
async fn options_that_do_not_go_together_are_refused() {
    let harness = with_maps(1).await;
    let check = |query: &'static str, code: u16, text: &'static str| {
        let harness = &harness;
        async move {
            let answer = harness.get(&format!("{CONFIG_MAPS}?{query}")).await;
            assert_eq!((answer.code, answer.status().2.contains(text)), (code, true), "{query}: {answer:?}");
        }
    };
    check(
        "resourceVersionMatch=Exact",
        422,
        "resourceVersionMatch is forbidden unless resourceVersion is provided",
    )
    .await;
    check("resourceVersionMatch=Exact&resourceVersion=0", 422, "is forbidden for resourceVersion \"0\"")
        .await;
    check("resourceVersionMatch=Nearly&resourceVersion=1", 422, "Unsupported value: \"Nearly\"").await;
    check("resourceVersion=abc", 400, "strconv.ParseUint: parsing \"abc\": invalid syntax").await;
    check("limit=x", 400, "limit").await;
    check("continue=x", 400, "continue key is not valid").await;
    check(
        "continue=e30&resourceVersion=7",
        400,
        "specifying resource version is not allowed when using continue",
    )
    .await;
    check(
        "fieldSelector=data.k%3Dv",
        400,
        "\"data.k\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
    )
    .await;
    check("labelSelector=a+b+c", 400, "").await;
}

#[tokio::test]
async fn tokens_older_than_the_store_remembers_go_on_without_consistency() {
    let dir = Scratch::new();
    let config = kelson_store::Config { events_max: 4, ..kelson_store::Config::default() };
    let store = Arc::new(Embedded::open(dir.path().join("store"), config).unwrap());
    let settings = Config::new(dir.path(), "127.0.0.1:1".parse().unwrap(), "192.0.2.1".parse().unwrap());
    let harness = Harness { server: Arc::new(ApiServer::open(settings, store).await.unwrap()), dir };
    for i in 0..3 {
        harness.post(CONFIG_MAPS, config_map(&format!("m{i}"))).await.expect(201);
    }
    let first = harness.get(&format!("{CONFIG_MAPS}?limit=1")).await.expect(200);
    for i in 0..20 {
        harness
            .patch(&format!("{CONFIG_MAPS}/m0"), "merge-patch", json!({"data": {"k": i.to_string()}}))
            .await
            .expect(200);
    }
    let token = first["metadata"]["continue"].as_str().unwrap();
    let gone = harness.get(&format!("{CONFIG_MAPS}?limit=1&continue={token}")).await;
    assert_eq!((gone.status().0, gone.status().1), (410, "Expired"));
    let token = gone.body["metadata"]["continue"].as_str().unwrap();
    let rest = harness.get(&format!("{CONFIG_MAPS}?continue={token}")).await.expect(200);
    assert_eq!(names(&rest), ["m1", "m2"]);
}
