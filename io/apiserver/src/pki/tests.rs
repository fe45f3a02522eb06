//! Certificates: made once, kept, renewed in time, never overwritten when damaged.

use super::*;
use crate::tests::Scratch;
use std::os::unix::fs::PermissionsExt;

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn later(days: i64) -> Timestamp {
    kelson_process::now() + SignedDuration::from_hours(24 * days)
}

#[test]
fn everything_is_kept_across_restarts_and_private() {
    let dir = Scratch::new();
    let first = Pki::open(dir.path(), &names(&["localhost", "10.96.0.1"]), later(0)).unwrap();
    let second = Pki::open(dir.path(), &names(&["localhost", "10.96.0.1"]), later(1)).unwrap();
    assert_eq!(first.server.certificate, second.server.certificate);
    assert_eq!(first.admin.key, second.admin.key);
    assert_eq!(first.service_account_key, second.service_account_key);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.path().join("pki")), 0o700);
    for entry in fs::read_dir(dir.path().join("pki")).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn certificates_are_renewed_in_time_by_the_same_authority() {
    let dir = Scratch::new();
    let first = Pki::open(dir.path(), &names(&["localhost"]), later(0)).unwrap();
    let kept = Pki::open(dir.path(), &names(&["localhost"]), later(200)).unwrap();
    assert_eq!(first.server.certificate, kept.server.certificate);
    let renewed = Pki::open(dir.path(), &names(&["localhost"]), later(300)).unwrap();
    assert_ne!(first.server.certificate, renewed.server.certificate);
    assert_ne!(first.admin.certificate, renewed.admin.certificate);
    assert_eq!(first.authority.certificate, renewed.authority.certificate);
}

#[test]
fn other_names_make_another_server_certificate_alone() {
    let dir = Scratch::new();
    let first = Pki::open(dir.path(), &names(&["localhost", "127.0.0.1"]), later(0)).unwrap();
    let wanted = names(&["localhost", "127.0.0.1", "fd00::1", "10.0.0.7"]);
    let second = Pki::open(dir.path(), &wanted, later(0)).unwrap();
    assert_ne!(first.server.certificate, second.server.certificate);
    assert_eq!(first.admin.certificate, second.admin.certificate);
    let seen = parse(&second.server.certificate, dir.path(), names_of).unwrap();
    assert_eq!(seen, wanted);
}

#[test]
fn half_a_leaf_is_made_anew_and_half_an_authority_is_an_error() {
    let dir = Scratch::new();
    let first = Pki::open(dir.path(), &names(&["localhost"]), later(0)).unwrap();
    let pki = dir.path().join("pki");
    fs::write(pki.join("admin.key"), &first.server.key).unwrap();
    fs::write(pki.join("apiserver.crt"), "nonsense").unwrap();
    let second = Pki::open(dir.path(), &names(&["localhost"]), later(0)).unwrap();
    assert_ne!(first.admin.certificate, second.admin.certificate);
    assert_ne!(first.server.certificate, second.server.certificate);
    for damage in [None, Some(first.admin.key.as_str()), Some("nonsense")] {
        let _ = fs::remove_file(pki.join("ca.key"));
        if let Some(text) = damage {
            fs::write(pki.join("ca.key"), text).unwrap();
        }
        let error = Pki::open(dir.path(), &names(&["localhost"]), later(0)).err().unwrap();
        assert!(error.to_string().contains("ca.key"), "{error}");
    }
}

#[test]
fn a_kubeconfig_holds_all_it_takes() {
    let dir = Scratch::new();
    let pki = Pki::open(dir.path(), &names(&["localhost"]), later(0)).unwrap();
    let config: serde_json::Value =
        serde_yaml_ng::from_str(&pki.kubeconfig("https://127.0.0.1:6443")).unwrap();
    assert_eq!(config["clusters"][0]["cluster"]["server"], "https://127.0.0.1:6443");
    assert_eq!(config["users"][0]["name"], ADMIN_NAME);
    assert_eq!(config["current-context"], config["contexts"][0]["name"]);
}

#[test]
fn server_names_leave_out_what_is_no_address() {
    let addresses = ["0.0.0.0".parse().unwrap(), "10.0.0.1".parse().unwrap()];
    let seen = server_names("host", "", "example.org", &addresses, &["extra".into()]);
    assert!(
        seen.contains("kubernetes.default.svc.example.org")
            && seen.contains("10.0.0.1")
            && seen.contains("extra")
    );
    assert!(!seen.contains("0.0.0.0") && !seen.contains(""));
}
