//! The other kinds of Service: without selector, headless, ExternalName, with affinity, publishing what is not ready, and
//! from one type to another (spec A8, B5, B6, C7, D1).

use std::collections::BTreeSet;

use super::{apply, cluster_ip, from_client, from_everywhere, from_node, from_pod, pods, row, server, web};
use crate::harness::Cluster;

/// What cluster DNS answers, sorted.
fn ask(cluster: &Cluster, kind: &str, name: &str) -> Vec<String> {
    let line = format!("dig +short +tries=2 +time=2 @10.96.0.10 {kind} {name}.default.svc.cluster.local");
    let mut answers: Vec<String> = cluster.shell(&line).text.lines().map(str::to_owned).collect();
    answers.sort();
    answers
}

fn answers(cluster: &Cluster, kind: &str, name: &str, expected: &[String]) {
    cluster.eventually(&format!("{kind} of {name} is {expected:?}"), || {
        (ask(cluster, kind, name) == expected).then_some(())
    });
}

fn pod_addresses(cluster: &Cluster, app: &str) -> Vec<String> {
    let text =
        cluster.kubectl(&format!("get pods -l app={app} -o jsonpath='{{.items[*].status.podIP}}'")).text;
    let mut addresses: Vec<String> = text.split(' ').map(str::to_owned).collect();
    addresses.sort();
    addresses
}

fn hand_made(name: &str, addresses: &[String]) -> String {
    let addresses: Vec<String> = addresses.iter().map(|ip| format!("{{ip: {ip}}}")).collect();
    format!(
        "apiVersion: v1\nkind: Endpoints\nmetadata: {{name: {name}}}\nsubsets:\n- addresses: [{}]\n  ports: [{{port: 80}}]",
        addresses.join(", ")
    )
}

#[test]
fn hand_made_endpoints_are_mirrored_and_served() {
    let (cluster, client) = super::cluster("handmade", &[]);
    let servers = web(&cluster);
    let addresses = pod_addresses(&cluster, "web");
    apply(
        &cluster,
        "apiVersion: v1\nkind: Service\nmetadata: {name: hand}\nspec:\n  type: NodePort\n  ports: [{port: 80, nodePort: 30081}]",
    );
    let address = cluster_ip(&cluster, "hand");
    assert_eq!(cluster.curl(&format!("http://{address}")), Err(super::REFUSED), "nothing behind it (C3.1)");
    apply(&cluster, &hand_made("hand", &addresses));
    from_node(&cluster, &format!("http://{address}"), &servers);
    from_pod(&cluster, &format!("http://{address}"), &servers);
    from_everywhere(&cluster, &client, "http://172.17.0.31:30081", &servers);
    // B6.4
    let slices = "get endpointslices -l kubernetes.io/service-name=hand -o";
    let labels = cluster.kubectl(&format!("{slices} jsonpath='{{.items[*].metadata.labels}}'")).text;
    assert!(
        labels.contains(
            "\"endpointslice.kubernetes.io/managed-by\":\"endpointslicemirroring-controller.k8s.io\""
        )
    );
    let mirrored =
        cluster.kubectl(&format!("{slices} jsonpath='{{.items[*].endpoints[*].addresses[0]}}'")).text;
    assert_eq!(
        mirrored.split(' ').map(str::to_owned).collect::<BTreeSet<_>>(),
        addresses.iter().cloned().collect()
    );
    let described = cluster.kubectl("describe svc hand");
    assert_eq!(described.field("Selector"), "<none>");
    assert!(addresses.iter().all(|ip| described.field("Endpoints").contains(&format!("{ip}:80"))));

    apply(&cluster, &hand_made("hand", &addresses[..1]));
    cluster.until(&format!("{slices} jsonpath='{{.items[*].endpoints[*].addresses[0]}}'"), |text| {
        text == addresses[0]
    });
    cluster.kubectl("delete endpoints hand");
    cluster.until(&format!("{slices} name"), str::is_empty);
    cluster.eventually("nothing is behind it any more", || {
        (cluster.curl(&format!("http://{address}")) == Err(super::REFUSED)).then_some(())
    });
}

/// B5.2, in upstream's words.
#[test]
fn endpoints_that_lead_astray_are_refused() {
    let (cluster, _client) = super::cluster("astray", &[]);
    let check = |ip: &str, why: &str| {
        let manifest = hand_made("bad", &[ip.to_owned()]);
        let refused = cluster.try_kubectl(&format!("create -f - <<'END'\n{manifest}\nEND"));
        let path = "subsets[0].addresses[0].ip";
        let expected = format!("The Endpoints \"bad\" is invalid: {path}: Invalid value: \"{ip}\": {why}");
        assert_eq!((refused.code, refused.errors.lines().last().unwrap_or_default()), (1, expected.as_str()));
    };
    check("127.0.0.1", "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    check("169.254.169.254", "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    check("224.0.0.5", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    check("0.0.0.0", "may not be unspecified (0.0.0.0)");
}

#[test]
fn names_lead_elsewhere_or_straight_to_the_pods() {
    let (cluster, _client) = super::cluster("elsewhere", &[]);
    let servers = web(&cluster);
    cluster.kubectl("expose deployment web --port=80").prints("service/web exposed");
    let address = cluster_ip(&cluster, "web");
    cluster.kubectl("create service externalname alias --external-name web.default.svc.cluster.local");
    let target = "web.default.svc.cluster.local";
    assert_eq!(row(&cluster, "alias"), ["alias", "ExternalName", "<none>", target, "<none>"]);
    // D1.9: chased where the target is in the zone.
    answers(&cluster, "A", "alias", &[address.clone(), format!("{target}.")]);
    answers(&cluster, "CNAME", "alias", &[format!("{target}.")]);
    from_pod(&cluster, "http://alias", &servers);

    let addresses = pod_addresses(&cluster, "web");
    apply(
        &cluster,
        "apiVersion: v1\nkind: Service\nmetadata: {name: bare}\nspec:\n  clusterIP: None\n  selector: {app: web}\n  ports: [{port: 80}]",
    );
    assert_eq!(row(&cluster, "bare"), ["bare", "ClusterIP", "None", "<none>", "80/TCP"]);
    answers(&cluster, "A", "bare", &addresses);
    apply(
        &cluster,
        "apiVersion: v1\nkind: Service\nmetadata: {name: hand}\nspec:\n  clusterIP: None\n  ports: [{port: 80}]",
    );
    apply(&cluster, &hand_made("hand", &addresses[..1]));
    answers(&cluster, "A", "hand", &addresses[..1]);
}

/// C7: a client stays where it is until it has been away for the time-out; None spreads it again.
#[test]
fn a_client_keeps_its_pod_for_as_long_as_is_asked() {
    let (cluster, client) = super::cluster("affinity", &[]);
    let servers = web(&cluster);
    apply(
        &cluster,
        "apiVersion: v1\nkind: Service\nmetadata: {name: sticky}\nspec:\n  type: NodePort\n  selector: {app: web}\n  \
         ports: [{port: 80, nodePort: 30082}]\n  sessionAffinity: ClientIP\n  \
         sessionAffinityConfig: {clientIP: {timeoutSeconds: 2}}",
    );
    assert_eq!(cluster.kubectl("describe svc sticky").field("Session Affinity"), "ClientIP");
    let url = "http://172.17.0.31:30082";
    let served = || server(&client.curl(url).expect("an answer")).to_owned();
    cluster.eventually("it answers", || client.curl(url).ok());
    let mut seen = BTreeSet::new();
    // One of two is drawn each time: the other one in vain twenty times is one in a million.
    for _ in 0..20 {
        let first = served();
        (0..5).for_each(|_| assert_eq!(served(), first));
        seen.insert(first);
        if seen == servers {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(2600));
    }
    assert_eq!(seen, servers, "after the time-out it may be another");
    cluster.kubectl("patch svc sticky -p '{\"spec\":{\"sessionAffinity\":\"None\"}}'");
    cluster.eventually("it is spread again", || {
        let many: BTreeSet<String> = (0..20).map(|_| served()).collect();
        (many == servers).then_some(())
    });
}

#[test]
fn what_is_not_ready_is_published_where_that_is_asked() {
    let (cluster, _client) = super::cluster("notready", &[]);
    apply(
        &cluster,
        "apiVersion: v1\nkind: Pod\nmetadata: {name: shy, labels: {app: shy}}\nspec:\n  containers:\n  - name: web\n    \
         image: katacoda/docker-http-server:latest\n    readinessProbe: {exec: {command: ['false']}, periodSeconds: 1}",
    );
    cluster.until("get pod shy --no-headers", |text| text.contains("Running"));
    for (name, publish) in [("hidden", false), ("shown", true)] {
        apply(
            &cluster,
            &format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  selector: {{app: shy}}\n  \
                 ports: [{{port: 80}}]\n  publishNotReadyAddresses: {publish}"
            ),
        );
    }
    let shown = format!("http://{}", cluster_ip(&cluster, "shown"));
    from_node(&cluster, &shown, &["shy".to_owned()].into());
    assert_eq!(cluster.curl(&format!("http://{}", cluster_ip(&cluster, "hidden"))), Err(super::REFUSED));
    assert!(cluster.kubectl("get pod shy --no-headers").text.contains("0/1"));
}

/// A8, with packets after each step; A7.4 for what is wiped.
#[test]
fn a_service_changes_from_one_type_to_another() {
    let (cluster, client) = super::cluster("types", &["--load-balancer-cidr", "172.17.0.240/30"]);
    let servers = web(&cluster);
    let other = cluster.kubectl("create deployment other --image=katacoda/docker-http-server:latest");
    other.prints("deployment.apps/other created");
    pods(&cluster, "other", 1);
    cluster.kubectl("expose deployment web --port=80");
    let patch = |patch: &str| {
        cluster.kubectl(&format!("patch svc web --type=merge -p '{{\"spec\":{patch}}}'"));
    };
    let address = cluster_ip(&cluster, "web");
    from_node(&cluster, &format!("http://{address}"), &servers);

    patch("{\"type\":\"NodePort\"}");
    assert_eq!(cluster_ip(&cluster, "web"), address, "kept");
    let port = cluster.kubectl("get svc web -o jsonpath='{.spec.ports[0].nodePort}'").text;
    from_everywhere(&cluster, &client, &format!("http://172.17.0.31:{port}"), &servers);

    patch("{\"type\":\"LoadBalancer\"}");
    cluster.eventually("an address", || (row(&cluster, "web")[3] == "172.17.0.241").then_some(()));
    assert_eq!(row(&cluster, "web")[4], format!("80:{port}/TCP"), "kept");
    from_everywhere(&cluster, &client, "http://172.17.0.241", &servers);

    patch("{\"type\":\"ClusterIP\"}");
    assert_eq!(row(&cluster, "web"), ["web", "ClusterIP", &address, "<none>", "80/TCP"]);
    from_node(&cluster, &format!("http://{address}"), &servers);
    cluster.eventually("the NodePort is closed", || {
        (client.curl(&format!("http://172.17.0.31:{port}")) == Err(super::REFUSED)).then_some(())
    });
    assert!(client.curl("http://172.17.0.241").is_err());

    patch("{\"type\":\"ExternalName\",\"externalName\":\"other.example.com\"}");
    assert_eq!(row(&cluster, "web"), ["web", "ExternalName", "<none>", "other.example.com", "80/TCP"]);
    answers(&cluster, "CNAME", "web", &["other.example.com.".to_owned()]);
    cluster.eventually("the ClusterIP is nobody's", || {
        cluster.curl(&format!("http://{address}")).is_err().then_some(())
    });

    patch("{\"type\":\"ClusterIP\",\"externalName\":null}");
    let address = cluster_ip(&cluster, "web");
    from_node(&cluster, &format!("http://{address}"), &servers);
    answers(&cluster, "A", "web", std::slice::from_ref(&address));
    let refused = cluster.try_kubectl("patch svc web --type=merge -p '{\"spec\":{\"clusterIP\":\"None\"}}'");
    let expected = "spec.clusterIPs[0]: Invalid value: [\"None\"]: may not change once set";
    assert!(refused.errors.contains(expected), "{}", refused.errors);

    // Another selector: its pods alone answer.
    patch("{\"type\":\"NodePort\",\"selector\":{\"app\":\"other\"}}");
    let port = cluster.kubectl("get svc web -o jsonpath='{.spec.ports[0].nodePort}'").text;
    let others = pods(&cluster, "other", 1);
    cluster.eventually("the others answer", || {
        let page = client.curl(&format!("http://172.17.0.31:{port}")).ok()?;
        others.contains(server(&page)).then_some(())
    });
    from_client(&cluster, &client, &format!("http://172.17.0.31:{port}"), &others);
}
