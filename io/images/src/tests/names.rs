//! Names as people write them, and what they stand for.

use crate::{Name, normalize};

fn check(name: &str, expected: &str) {
    assert_eq!(normalize(name).unwrap(), expected, "{name}");
    assert_eq!(normalize(expected).unwrap(), expected, "{expected} is full already");
}

fn check_error(name: &str, expected: &str) {
    let error = normalize(name).unwrap_err().to_string();
    assert!(error.ends_with(expected), "{error}");
    assert!(
        error.starts_with(&format!("couldn't parse image name {name:?}: invalid reference format")),
        "{error}"
    );
}

#[test]
fn short_names_are_docker_hubs() {
    let digest = format!("sha256:{}", "a".repeat(64));
    check("nginx", "docker.io/library/nginx:latest");
    check("nginx:1.14.2", "docker.io/library/nginx:1.14.2");
    check("docker.io/nginx", "docker.io/library/nginx:latest");
    check("index.docker.io/library/nginx", "docker.io/library/nginx:latest");
    check("user/app:v1", "docker.io/user/app:v1");
    check("localhost/app", "localhost/app:latest");
    check("localhost:5000/app:x", "localhost:5000/app:x");
    check("10.0.0.1:5000/a/b/c", "10.0.0.1:5000/a/b/c:latest");
    check("[::1]:5000/app", "[::1]:5000/app:latest");
    check("registry.k8s.io/pause:3.9", "registry.k8s.io/pause:3.9");
    check("REGISTRY/app", "REGISTRY/app:latest");
    check(&format!("nginx@{digest}"), &format!("docker.io/library/nginx@{digest}"));
    check(&format!("nginx:1.14@{digest}"), &format!("docker.io/library/nginx@{digest}"));
    check("x/a--b__c.d_e/f", "docker.io/x/a--b__c.d_e/f:latest");
}

#[test]
fn bad_names_say_so_as_upstream_does() {
    for name in [
        "",
        "a b",
        "a:",
        "a:-x",
        "/a",
        "a/",
        "a//b",
        "a@sha256:abc",
        "a@",
        "-a",
        "a..b",
        "a___b",
        "a.b_c/d",
        "a:b:c",
        "http://a/b",
        "a/b:c/d",
        "ä",
    ] {
        check_error(name, "invalid reference format");
    }
    check_error("Nginx", "repository name (library/Nginx) must be lowercase");
    check_error("docker.io/My/App", "repository name (My/App) must be lowercase");
    assert!(normalize(&"a/".repeat(5000)).is_err());
    assert!(normalize(&"a".repeat(300)).is_err());
}

#[test]
fn the_parts_are_there() {
    let name = Name::parse("localhost:5000/a/b:c").unwrap();
    assert_eq!(
        (name.registry.as_str(), name.repository.as_str(), name.tag.as_deref()),
        ("localhost:5000", "a/b", Some("c"))
    );
    assert_eq!(name.with_digest("sha256:x"), "localhost:5000/a/b@sha256:x");
}
