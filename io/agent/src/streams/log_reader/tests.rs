//! Logs from files: tails, rotation, following.

use super::*;
use http_body_util::BodyExt;
use std::io::Write;
use tokio::sync::watch;

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("kelson-log-reader-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn path(&self) -> PathBuf {
        self.0.join("0.log")
    }

    fn append(&self, lines: &[&str]) {
        let mut file = File::options().create(true).append(true).open(self.path()).unwrap();
        lines.iter().for_each(|line| file.write_all(entry(line).as_bytes()).unwrap());
    }

    fn rotate(&self) {
        std::fs::rename(self.path(), rotated_path(&self.path())).unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn entry(text: &str) -> String {
    format!("2026-01-01T00:00:00.000000000Z stdout F {text}\n")
}

async fn check(place: &Place, options: LogOptions, expected: &str) {
    let log = Log { path: place.path(), running: watch::channel(false).1 };
    let body = body(log, options.clone()).unwrap();
    let bytes = body.collect().await.unwrap().to_bytes();
    assert_eq!(String::from_utf8_lossy(&bytes), expected, "{options:?}");
}

fn tail(lines: u64) -> LogOptions {
    LogOptions { tail_lines: Some(lines), ..LogOptions::default() }
}

#[tokio::test]
async fn i24_tails_reach_into_the_rotated_file() {
    let place = Place::new("tail");
    check(&place, LogOptions::default(), "").await;
    place.append(&["a", "b"]);
    check(&place, LogOptions::default(), "a\nb\n").await;
    place.rotate();
    check(&place, tail(1), "b\n").await;
    place.append(&["c", "d"]);
    for (lines, expected) in
        [(0, ""), (1, "d\n"), (2, "c\nd\n"), (3, "b\nc\nd\n"), (4, "a\nb\nc\nd\n"), (9, "a\nb\nc\nd\n")]
    {
        check(&place, tail(lines), expected).await;
    }
    check(&place, LogOptions { limit_bytes: Some(3), ..LogOptions::default() }, "a\nb").await;
}

#[tokio::test]
async fn i24_tails_across_blocks() {
    let place = Place::new("blocks");
    let long = "x".repeat(CHUNK - 7);
    place.append(&["first", &long, &long, "last"]);
    check(&place, tail(3), &format!("{long}\n{long}\nlast\n")).await;
    check(&place, tail(4), &format!("first\n{long}\n{long}\nlast\n")).await;
}

#[tokio::test]
async fn i24_following_through_rotation_to_the_end() {
    let place = Place::new("follow");
    place.append(&["one"]);
    let (running, watch) = watch::channel(true);
    let log = Log { path: place.path(), running: watch };
    let options = LogOptions { follow: true, ..LogOptions::default() };
    let mut body = body(log, options).unwrap();
    let mut next = async || {
        String::from_utf8(body.frame().await.unwrap().unwrap().into_data().unwrap().to_vec()).unwrap()
    };
    assert_eq!(next().await, "one\n");
    place.append(&["two"]);
    assert_eq!(next().await, "two\n");
    place.append(&["three"]);
    place.rotate();
    place.append(&["four"]);
    let mut rest = String::new();
    while !rest.contains("four") {
        rest += &next().await;
    }
    assert_eq!(rest, "three\nfour\n");
    place.append(&["last words"]);
    running.send_replace(false);
    let rest = body.collect().await.unwrap().to_bytes();
    assert_eq!(&rest[..], b"last words\n");
}
