//! What becomes of kubeconfigs as they are found in the world.

use std::fs;

use super::read;

/// Reads a file with that text in a directory of its own; `{dir}` in what is expected stands for the directory.
fn check(text: &str, expected: Result<&str, &str>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    fs::write(&path, text).unwrap();
    let place = dir.path().to_str().unwrap();
    match (read(&path), expected) {
        (Ok(kubeconfig), Ok(expected)) => {
            let user = kubeconfig.auth_infos[0].auth_info.clone().unwrap();
            let cluster = kubeconfig.clusters[0].cluster.clone().unwrap();
            let exec = user.exec.and_then(|exec| exec.command);
            let found = [cluster.certificate_authority, user.client_certificate, user.token_file, exec];
            let found: Vec<String> = found.into_iter().flatten().collect();
            assert_eq!(found.join(" "), expected.replace("{dir}", place));
        }
        (Err(error), Err(expected)) => {
            let error = format!("{error:#}");
            assert!(error.contains(expected), "{error}");
        }
        (outcome, expected) => panic!("{outcome:?}, not {expected:?}"),
    }
}

fn kubeconfig(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\npreferences: {{}}\n\
         clusters:\n- name: c\n  cluster: {{server: 'https://192.0.2.1:6443', {cluster}}}\n\
         contexts:\n- name: c\n  context: {{cluster: c, user: u}}\nusers:\n- name: u\n  user: {{{user}}}\n"
    )
}

#[test]
fn paths_are_relative_to_the_file() {
    let text = kubeconfig(
        "certificate-authority: pki/ca.crt",
        "client-certificate: ../u.crt, tokenFile: /run/token",
    );
    check(&text, Ok("{dir}/pki/ca.crt {dir}/../u.crt /run/token"));
    let exec =
        |command: &str| format!("exec: {{apiVersion: client.authentication.k8s.io/v1, command: {command}}}");
    check(&kubeconfig("insecure-skip-tls-verify: true", &exec("aws")), Ok("aws"));
    check(&kubeconfig("insecure-skip-tls-verify: true", &exec("./bin/login")), Ok("{dir}/./bin/login"));
}

#[test]
fn what_is_no_kubeconfig_is_told() {
    check("clusters: yes", Err("it is no kubeconfig"));
    check("\tclusters: []", Err("it is no kubeconfig"));
}

#[test]
fn a_file_that_is_not_there_is_told_once() {
    let error = format!("{:#}", read(std::path::Path::new("/nowhere/config")).unwrap_err());
    assert_eq!(error, "No such file or directory (os error 2)");
}
