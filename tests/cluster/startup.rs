//! What a user meets first: the report, the kubeconfig, who gets in, and what is said when something is wrong.

use std::os::unix::fs::PermissionsExt;

use crate::harness::Cluster;

#[test]
fn the_report_is_short_and_the_kubeconfig_private() {
    let mut cluster = Cluster::prepare("report", &[]);
    let report = cluster.up();
    assert!(report.lines().count() <= 8, "{report}");
    assert!(report.contains("https://127.0.0.1:6443") && report.contains(" ms"), "{report}");
    let kubeconfig = cluster.data_dir().join("kubeconfig");
    assert!(report.contains(&format!("export KUBECONFIG={}", kubeconfig.display())), "{report}");
    let mode = |path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!(mode(kubeconfig), 0o600);
    assert_eq!(mode(cluster.data_dir()), 0o700);
    cluster
        .kubectl("wait --for=condition=Ready node/node-1 --timeout=30s")
        .prints("node/node-1 condition met");
}

#[test]
fn what_a_cluster_starts_with_is_there() {
    let cluster = Cluster::start("bootstrap");
    let namespaces = cluster
        .kubectl("get namespaces --no-headers -o custom-columns=N:.metadata.name,S:.status.phase")
        .rows();
    let names: Vec<&str> = namespaces.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(names, ["default", "kube-node-lease", "kube-public", "kube-system"]);
    assert!(namespaces.iter().all(|row| row[1] == "Active"));
    let kubernetes = cluster.kubectl("get svc kubernetes --no-headers").rows();
    assert_eq!(kubernetes[0][..5], ["kubernetes", "ClusterIP", "10.96.0.1", "<none>", "443/TCP"]);
    let dns = cluster.kubectl("get svc -n kube-system kube-dns --no-headers").rows();
    assert_eq!(dns[0][..5], ["kube-dns", "ClusterIP", "10.96.0.10", "<none>", "53/UDP,53/TCP,9153/TCP"]);
    assert!(cluster.kubectl("cluster-info").text.contains("is running at"));
}

#[test]
fn strangers_stay_outside() {
    let tokens = "secret-of-root,root,1,\"system:masters\"\nsecret-of-jane,jane,2\n";
    let mut cluster = Cluster::prepare("access", &[]);
    let file = cluster.scratch().join("tokens.csv");
    std::fs::write(&file, tokens).expect("the token file is written");
    let mut with_tokens = Cluster::prepare("tokens", &["--token-auth-file", file.to_str().expect("UTF-8")]);
    with_tokens.up();
    cluster.up();

    let ask = |cluster: &Cluster, path: &str, token: &str| {
        let header =
            if token.is_empty() { String::new() } else { format!("-H 'Authorization: Bearer {token}'") };
        cluster.shell(&format!("curl -sk -w ' %{{http_code}}' {header} https://127.0.0.1:6443{path}")).text
    };
    assert_eq!(ask(&cluster, "/healthz", ""), "ok 200");
    assert_eq!(ask(&cluster, "/readyz", ""), "ok 200");
    let anonymous = ask(&cluster, "/api/v1/namespaces/default/pods", "");
    assert!(anonymous.contains("pods is forbidden: User \\\"system:anonymous\\\" cannot list resource \\\"pods\\\" in API group \\\"\\\" in the namespace \\\"default\\\""), "{anonymous}");
    assert!(anonymous.ends_with(" 403"));
    let wrong = ask(&with_tokens, "/api/v1/pods", "guess");
    assert!(
        wrong.contains("\"message\":\"Unauthorized\"") || wrong.contains("\"message\": \"Unauthorized\""),
        "{wrong}"
    );
    assert!(wrong.ends_with(" 401"));
    assert!(ask(&with_tokens, "/api/v1/pods", "secret-of-root").ends_with(" 200"));
    let jane = ask(&with_tokens, "/api/v1/secrets", "secret-of-jane");
    assert!(
        jane.contains("User \\\"jane\\\" cannot list resource \\\"secrets\\\"") && jane.ends_with(" 403"),
        "{jane}"
    );
}

#[test]
fn without_an_agent_there_is_an_api_and_no_node() {
    let cluster = Cluster::start_with("agentless", &["--disable-agent"]);
    assert!(cluster.kubectl("get nodes").errors.contains("No resources found"));
    cluster.kubectl("create deployment d --image=x").prints("deployment.apps/d created");
    cluster.until("get rs --no-headers", |text| text.contains("d-"));
    cluster.until("describe pods", |text| text.contains("no nodes available to schedule pods"));
}

#[test]
fn what_is_wrong_is_said_with_its_remedy() {
    let cluster = Cluster::start("refusals");
    let taken = cluster.shell(&format!(
        "{} up --data-dir {}/other",
        env!("CARGO_BIN_EXE_kelson"),
        cluster.scratch().display()
    ));
    assert_eq!(taken.code, 1);
    assert!(
        taken.errors.contains("port 6443 is in use") && taken.errors.contains("--https-listen-port"),
        "{}",
        taken.errors
    );
    let held = cluster.shell(&format!(
        "{} up --data-dir {}",
        env!("CARGO_BIN_EXE_kelson"),
        cluster.data_dir().display()
    ));
    assert!(
        held.errors.contains("is in use by process") && held.errors.contains("--data-dir"),
        "{}",
        held.errors
    );
    let flag = cluster.shell(&format!("{} up --service-cidr 10.96.0.0", env!("CARGO_BIN_EXE_kelson")));
    assert_eq!(flag.code, 64);
    assert!(flag.errors.contains("--service-cidr"), "{}", flag.errors);
}
