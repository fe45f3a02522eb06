//! Which servers are asked: those of the file, read again when it changes, and never ourselves.

use std::time::{Duration, Instant, SystemTime};

use super::{LOOK_EVERY, Servers};
use crate::Upstream;

fn servers(source: Upstream) -> Servers {
    Servers { source, known: Vec::new(), modified: None, looked: None }
}

fn shown(servers: &mut Servers, now: Instant, own: &[&str]) -> Vec<String> {
    let own: Vec<_> = own.iter().map(|address| address.parse().unwrap()).collect();
    servers.look(now, &own).iter().map(ToString::to_string).collect()
}

#[test]
fn the_file_is_read_again_when_it_changed() {
    let path = std::env::temp_dir().join(format!("kelson-resolv-{}", std::process::id()));
    let write = |text: &str, age: u64| {
        std::fs::write(&path, text).unwrap();
        let modified = SystemTime::now() - Duration::from_secs(age);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    };
    write("nameserver 192.0.2.1", 100);
    let (mut servers, start) = (servers(Upstream::ResolvConf(path.clone())), Instant::now());
    assert_eq!(shown(&mut servers, start, &[]), ["192.0.2.1:53"]);
    write("nameserver 192.0.2.2", 50);
    assert_eq!(shown(&mut servers, start, &[]), ["192.0.2.1:53"], "not looked at every time");
    assert_eq!(shown(&mut servers, start + LOOK_EVERY, &[]), ["192.0.2.2:53"]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(shown(&mut servers, start + 2 * LOOK_EVERY, &[]), ["192.0.2.2:53"], "what was known is kept");
}

#[test]
fn never_ourselves() {
    let all = ["10.96.0.10:53", "127.0.0.1:53", "192.0.2.1:53"].map(|address| address.parse().unwrap());
    let check = |own: &[&str], expected: &[&str]| {
        assert_eq!(
            shown(&mut servers(Upstream::Servers(all.into())), Instant::now(), own),
            expected,
            "{own:?}"
        );
    };
    check(&["10.96.0.10:53"], &["127.0.0.1:53", "192.0.2.1:53"]);
    check(&["0.0.0.0:53"], &["10.96.0.10:53", "192.0.2.1:53"]);
    check(&["10.96.0.10:5353"], &["10.96.0.10:53", "127.0.0.1:53", "192.0.2.1:53"]);
}
