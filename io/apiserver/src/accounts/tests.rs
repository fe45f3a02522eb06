//! Tokens against a store: good, tampered with, foreign, too old, and outlived by what they are bound to.

use super::*;
use crate::tests::Scratch;
use kelson_store::{Change, Embedded, Expect};

struct World {
    _scratch: Scratch,
    store: Arc<dyn Store>,
    accounts: Accounts,
}

fn key() -> String {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem()
}

impl World {
    async fn new() -> Self {
        let scratch = Scratch::new();
        let store = Embedded::open(scratch.path().join("store"), kelson_store::Config::default()).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let accounts = Accounts::new(&key(), "cluster.local", store.clone()).unwrap();
        let world = Self { _scratch: scratch, store, accounts };
        world.put("serviceaccounts/n/bot", &account()).await;
        world.put("pods/n/p", &pod()).await;
        world
    }

    async fn put(&self, key: &str, object: &Object) {
        let change = Change::put(format!("/registry/core/{key}"), Expect::Any, object.to_string());
        self.store.commit(vec![change]).await.unwrap();
    }

    async fn delete(&self, key: &str) {
        let change = Change::delete(format!("/registry/core/{key}"), Expect::Any, "{}");
        self.store.commit(vec![change]).await.unwrap();
    }

    fn issue(&self, seconds: i64, bound: Option<&Bound>) -> String {
        let audiences = self.accounts.audiences();
        let now = kelson_process::now();
        let request = Request { audiences: &audiences, seconds, warn_after: None, bound, now, id: "id" };
        self.accounts.issue(&account(), &request)
    }

    async fn judge(&self, token: &str) -> Option<Result<Bearer, String>> {
        self.accounts.judge(token, &self.accounts.audiences()).await
    }

    #[track_caller]
    fn refused(judged: Option<Result<Bearer, String>>, why: &str) {
        assert_eq!(judged.expect("a token of ours").expect_err("not a good one"), why);
    }
}

fn account() -> Object {
    json!({"metadata": {"namespace": "n", "name": "bot", "uid": "u1"}})
}

fn pod() -> Object {
    json!({"metadata": {"namespace": "n", "name": "p", "uid": "u2"}})
}

#[tokio::test]
async fn a_good_token_makes_its_account() {
    let world = World::new().await;
    let node = json!({"metadata": {"name": "n1", "uid": "u3"}});
    let token = world.issue(600, Some(&Bound::Pod(pod(), Some(node))));
    let bearer = world.judge(&token).await.unwrap().unwrap();
    assert_eq!(bearer.user.name, "system:serviceaccount:n:bot");
    let groups = ["system:serviceaccounts", "system:serviceaccounts:n", "system:authenticated"];
    assert_eq!(bearer.user.groups, groups);
    assert_eq!(bearer.user.uid, "u1");
    let extra: Vec<(&str, &str)> = bearer
        .user
        .extra
        .iter()
        .map(|(key, values)| (key.rsplit('/').next().unwrap(), values[0].as_str()))
        .collect();
    let expected = [
        ("credential-id", "JTI=id"),
        ("node-name", "n1"),
        ("node-uid", "u3"),
        ("pod-name", "p"),
        ("pod-uid", "u2"),
    ];
    assert_eq!(extra, expected);
    assert_eq!(bearer.audiences, ["https://kubernetes.default.svc.cluster.local"]);
}

#[tokio::test]
async fn tokens_that_are_not_ours_are_nobodys() {
    let world = World::new().await;
    let token = world.issue(600, None);
    let foreign = Accounts::new(&key(), "cluster.local", world.store.clone()).unwrap();
    assert!(foreign.judge(&token, &foreign.audiences()).await.is_none());
    let (head, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = head.split_once('.').unwrap();
    let swapped = format!("{header}.{}.{signature}", claims.chars().rev().collect::<String>());
    for wrong in [
        "",
        ".",
        "..",
        "a.b.c",
        &token[1..],
        &format!("{token}A"),
        &swapped,
        &format!("{head}."),
        &"x".repeat(99_999),
    ] {
        assert!(world.judge(wrong).await.is_none(), "{wrong}");
    }
    // A header that asks for no signature.
    use base64::Engine;
    let none = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    assert!(world.judge(&format!("{none}.{claims}.")).await.is_none());
    assert!(Accounts::new("nonsense", "x", world.store.clone()).is_err());
}

#[tokio::test]
async fn tokens_end() {
    let world = World::new().await;
    World::refused(world.judge(&world.issue(-61, None)).await, "service account token has expired");
    assert!(world.judge(&world.issue(-30, None)).await.unwrap().is_ok(), "clocks may differ a little");
    let token = world.issue(600, None);
    let judged = world.accounts.judge(&token, &["vault".to_owned()]).await;
    let why = "token audiences [\"https://kubernetes.default.svc.cluster.local\"] is invalid for the target audiences [\"vault\"]";
    World::refused(judged, why);
}

#[tokio::test]
async fn a_token_dies_with_what_it_is_bound_to() {
    let world = World::new().await;
    let token = world.issue(600, Some(&Bound::Pod(pod(), None)));
    let mut leaving = pod();
    meta::set_deletion_timestamp(&mut leaving, &kelson_machinery::time::seconds(kelson_process::now()));
    world.put("pods/n/p", &leaving).await;
    assert!(world.judge(&token).await.unwrap().is_ok(), "a pod may say good-bye");
    meta::set_deletion_timestamp(&mut leaving, "2020-01-01T00:00:00Z");
    world.put("pods/n/p", &leaving).await;
    World::refused(world.judge(&token).await, "service account token has been invalidated");
    let mut other = pod();
    meta::set_uid(&mut other, "u9");
    world.put("pods/n/p", &other).await;
    World::refused(
        world.judge(&token).await,
        "pod UID (u9) does not match service account pod ref claim (u2)",
    );
    world.delete("pods/n/p").await;
    World::refused(world.judge(&token).await, "service account token has been invalidated");
}

#[tokio::test]
async fn a_token_dies_with_its_account() {
    let world = World::new().await;
    let token = world.issue(600, None);
    let mut again = account();
    meta::set_uid(&mut again, "u9");
    world.put("serviceaccounts/n/bot", &again).await;
    World::refused(world.judge(&token).await, "service account UID (u9) does not match claim (u1)");
    world.delete("serviceaccounts/n/bot").await;
    World::refused(world.judge(&token).await, "serviceaccounts \"bot\" not found");
}

#[tokio::test]
async fn a_secrets_token_is_good_while_the_secret_holds_it() {
    use base64::Engine;
    let world = World::new().await;
    let token = world.accounts.issue_legacy(&account(), "s");
    let held = base64::engine::general_purpose::STANDARD.encode(&token);
    let secret = json!({"metadata": {"namespace": "n", "name": "s"}, "data": {"token": held}});
    World::refused(world.judge(&token).await, "service account token has been invalidated");
    world.put("secrets/n/s", &secret).await;
    assert_eq!(world.judge(&token).await.unwrap().unwrap().user.name, "system:serviceaccount:n:bot");
    world
        .put("secrets/n/s", &json!({"metadata": {"namespace": "n", "name": "s"}, "data": {"token": "eA=="}}))
        .await;
    World::refused(world.judge(&token).await, "service account token has been invalidated");
}

#[test]
fn the_key_is_published() {
    let pem = key();
    let signer = jwt::Signer::new(&pem).unwrap();
    let public = signer.public_key();
    assert_eq!(public["alg"], "ES256");
    for coordinate in ["x", "y"] {
        assert_eq!(public[coordinate].as_str().unwrap().len(), 43, "32 bytes without padding");
    }
}
