//! Users of an image, and the ways out of its root that must lead nowhere.

use super::*;

const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv:/bin/false\nbroken line\n1000:x:7:8::/odd:\n";
const GROUP: &str = "root:x:0:\nwww:x:34:\nlog:x:40:web,other\nwebster:x:41:webby\nbad:x:no:\n";

fn check(user: User, expected: Result<(u32, u32, &[u32], &str), &str>) {
    let got = identify(&user, PASSWD, GROUP);
    let got =
        got.as_ref().map(|id| (id.uid, id.gid, &id.groups[..], id.home.as_str())).map_err(String::as_str);
    assert_eq!(got, expected, "{user:?}");
}

fn image(text: &str) -> User {
    User { image: text.into(), ..User::default() }
}

#[test]
fn users_of_the_image() {
    check(image(""), Ok((0, 0, &[0], "/root")));
    check(image("web"), Ok((33, 34, &[34, 40], "/srv")));
    check(image("33"), Ok((33, 34, &[34, 40], "/srv")));
    check(image("web:log"), Ok((33, 40, &[40], "/srv")));
    check(image("web:0"), Ok((33, 0, &[0, 40], "/srv")));
    check(image("5000"), Ok((5000, 0, &[0], "/")));
    check(image("5000:6000"), Ok((5000, 6000, &[6000], "/")));
    check(image("1000"), Ok((7, 8, &[8], "/odd")));
    check(image("nobody"), Err("unable to find user nobody: no matching entries in passwd file"));
    check(image("web:nogroup"), Err("unable to find group nogroup: no matching entries in group file"));
    check(image("-1"), Err("unable to find user -1: no matching entries in passwd file"));
}

#[test]
fn users_of_the_pod() {
    check(User { uid: Some(33), ..User::default() }, Ok((33, 34, &[34, 40], "/srv")));
    check(User { uid: Some(1000), ..image("web:log") }, Ok((1000, 0, &[0], "/")));
    check(
        User { uid: Some(1000), gid: Some(3000), groups: vec![2000], ..image("web") },
        Ok((1000, 3000, &[2000, 3000], "/")),
    );
    check(User { groups: vec![9], strict: true, ..image("web") }, Ok((33, 34, &[9, 34], "/srv")));
}

#[test]
fn no_way_out_of_the_root() {
    let dir = std::env::temp_dir().join(format!("kelson-users-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("etc")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.join("etc/passwd")).unwrap();
    std::os::unix::fs::symlink("../../../../etc/group", dir.join("etc/group")).unwrap();
    let looped = resolve_user(&dir, &image("root"));
    std::fs::remove_file(dir.join("etc/passwd")).unwrap();
    std::fs::remove_file(dir.join("etc/group")).unwrap();
    let absent = resolve_user(&dir, &image("root"));
    let empty = resolve_user(&dir, &image(""));
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(looped.unwrap_err().contains("of the image"));
    assert_eq!(absent.unwrap_err(), "unable to find user root: no matching entries in passwd file");
    assert_eq!(empty.unwrap(), Identity { uid: 0, gid: 0, groups: vec![0], home: "/".into() });
}
