//! Balancer addresses over a Service's life: asked for, refused, exhausted, taken back, given again, kept across restarts
//! (spec A10); the range lies in the client's own network, so the client has nothing configured.

use super::{apply, cluster_ip, from_client, from_everywhere, from_pod, row, web};
use crate::harness::Cluster;

const RANGE: &str = "172.17.0.240/30";
const FIRST: &str = "172.17.0.241";
const SECOND: &str = "172.17.0.242";

fn balancer(cluster: &Cluster, name: &str, further: &str) {
    apply(
        cluster,
        &format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  type: LoadBalancer\n  \
             selector: {{app: web}}\n  ports: [{{port: 80}}]\n{further}"
        ),
    );
}

/// Waits until `kubectl get svc` shows `address` for `name`.
fn shows(cluster: &Cluster, name: &str, address: &str) {
    cluster.eventually(&format!("{name} has {address}"), || (row(cluster, name)[3] == address).then_some(()));
}

/// Waits until an event of `name` has this reason; its message.
fn told(cluster: &Cluster, name: &str, reason: &str) -> String {
    let fields = format!("involvedObject.kind=Service,involvedObject.name={name},reason={reason}");
    let line = format!("get events --field-selector {fields} -o jsonpath='{{.items[*].message}}'");
    cluster.until(&line, |text| !text.is_empty())
}

fn finalizers(cluster: &Cluster, name: &str) -> String {
    cluster.kubectl(&format!("get svc {name} -o jsonpath='{{.metadata.finalizers}}'")).text
}

#[test]
fn addresses_are_asked_for_refused_and_given_again() {
    let (mut cluster, client) = super::cluster("addresses", &["--load-balancer-cidr", RANGE]);
    let servers = web(&cluster);
    balancer(&cluster, "asks", &format!("  loadBalancerIP: {SECOND}\n"));
    shows(&cluster, "asks", SECOND);
    balancer(&cluster, "first", "");
    shows(&cluster, "first", FIRST);
    assert_eq!(finalizers(&cluster, "first"), "[\"service.kubernetes.io/load-balancer-cleanup\"]");
    from_everywhere(&cluster, &client, &format!("http://{FIRST}"), &servers);
    from_client(&cluster, &client, &format!("http://{SECOND}"), &servers);
    assert_eq!(client.curl(&format!("http://{FIRST}:81")), Err(super::REFUSED), "no port of the Service");

    // The range is exhausted, and it is said.
    balancer(&cluster, "late", "");
    let message = told(&cluster, "late", "SyncLoadBalancerFailed");
    let expected = format!("failed to ensure load balancer: no address is left in {RANGE}");
    assert_eq!(message, format!("Error syncing load balancer: {expected}"));
    assert_eq!(row(&cluster, "late")[3], "<pending>");
    // Another balancer's Service is left alone.
    balancer(&cluster, "other", "  loadBalancerClass: example.com/other\n");
    assert_eq!(
        (row(&cluster, "other")[3].as_str(), finalizers(&cluster, "other").as_str()),
        ("<pending>", "")
    );

    nothing_moves_when_kelson_restarts(&mut cluster);
    from_client(&cluster, &client, &format!("http://{FIRST}"), &servers);

    cluster.kubectl("patch svc first -p '{\"spec\":{\"type\":\"ClusterIP\"}}'");
    assert_eq!(told(&cluster, "first", "DeletingLoadBalancer"), "Deleting load balancer");
    assert_eq!(told(&cluster, "first", "DeletedLoadBalancer"), "Deleted load balancer");
    assert_eq!((row(&cluster, "first")[3].as_str(), finalizers(&cluster, "first").as_str()), ("<none>", ""));
    shows(&cluster, "late", FIRST);
    from_client(&cluster, &client, &format!("http://{FIRST}"), &servers);
    a_deleted_service_lets_go(&cluster, &client);
}

fn nothing_moves_when_kelson_restarts(cluster: &mut Cluster) {
    let addresses =
        "get svc -o jsonpath='{range .items[*]}{.metadata.name}={.status.loadBalancer.ingress[0].ip} {end}'";
    let before = cluster.kubectl(addresses).text;
    cluster.stop();
    cluster.up();
    assert_eq!(cluster.kubectl(addresses).text, before);
    cluster.kill();
    cluster.up();
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(cluster.kubectl(addresses).text, before);
}

fn a_deleted_service_lets_go(cluster: &Cluster, client: &crate::harness::Client) {
    cluster.kubectl("delete svc late asks").prints("service \"late\" deleted\nservice \"asks\" deleted");
    cluster.eventually("nobody answers at the address", || {
        client.shell("ip neigh flush dev eth0");
        client.curl(&format!("http://{FIRST}")).is_err().then_some(())
    });
    balancer(cluster, "next", "");
    shows(cluster, "next", FIRST);
}

/// The Events that `kubectl describe` prints: type, reason, age, message.
fn events(described: &str) -> Vec<[String; 4]> {
    let table = described.split("\nEvents:").nth(1).unwrap_or_default();
    let rows = crate::harness::rows(table).into_iter().skip(3);
    rows.map(|row| [row[0].clone(), row[1].clone(), row[2].clone(), row[4].clone()]).collect()
}

/// A10.3, A10.4, A10.6: what `kubectl describe svc` shows over a balancer's life is what upstream's service controller tells.
#[test]
fn a_balancers_life_is_told_as_upstream_tells_it() {
    let (cluster, _client) = super::cluster("told", &["--load-balancer-cidr", RANGE]);
    cluster.kubectl("create service clusterip web --tcp=80");
    let typed = |kind: &str| {
        cluster.kubectl(&format!("patch svc web -p '{{\"spec\":{{\"type\":\"{kind}\"}}}}'"));
    };
    let described = |expected: &[[&str; 4]]| {
        let mut expected = expected.to_vec();
        expected.sort_unstable_by_key(|row| row[1]);
        cluster.eventually(&format!("{expected:?}"), || {
            let mut rows = events(&cluster.kubectl("describe svc web").text);
            rows.sort_unstable_by_key(|row| row[1].clone());
            let alike = |(row, wanted): (&[String; 4], &[&str; 4])| {
                row[0] == wanted[0]
                    && row[1] == wanted[1]
                    && row[2].contains(wanted[2])
                    && row[3] == wanted[3]
            };
            (rows.len() == expected.len() && rows.iter().zip(&expected).all(alike)).then_some(())
        });
    };
    let ensuring = |times| ["Normal", "EnsuringLoadBalancer", times, "Ensuring load balancer"];
    let ensured = |times| ["Normal", "EnsuredLoadBalancer", times, "Ensured load balancer"];
    typed("LoadBalancer");
    described(&[ensuring(""), ensured("")]);
    cluster.kubectl("annotate svc web colour=blue");
    described(&[ensuring("x2 over"), ensured("x2 over")]);
    let exclusion = "node.kubernetes.io/exclude-from-external-load-balancers";
    cluster.kubectl(&format!("label node node-1 {exclusion}="));
    let unavailable =
        ["Warning", "UnAvailableLoadBalancer", "", "There are no available nodes for LoadBalancer"];
    assert_eq!(told(&cluster, "web", unavailable[1]), unavailable[3]);
    cluster.kubectl(&format!("label node node-1 {exclusion}-"));
    assert_eq!(told(&cluster, "web", "UpdatedLoadBalancer"), "Updated load balancer with new hosts");
    typed("ClusterIP");
    assert_eq!(told(&cluster, "web", "DeletedLoadBalancer"), "Deleted load balancer");
    let updated = ["Normal", "UpdatedLoadBalancer", "", "Updated load balancer with new hosts"];
    let deleting = ["Normal", "DeletingLoadBalancer", "", "Deleting load balancer"];
    let deleted = ["Normal", "DeletedLoadBalancer", "", "Deleted load balancer"];
    described(&[ensuring(""), ensured(""), unavailable, updated, deleting, deleted]);
}

/// A2.8: no NodePort, and still reached at its address.
#[test]
fn node_ports_can_be_left_out() {
    let (cluster, client) = super::cluster("portless", &["--load-balancer-cidr", RANGE]);
    let servers = web(&cluster);
    balancer(&cluster, "portless", "  allocateLoadBalancerNodePorts: false\n");
    shows(&cluster, "portless", FIRST);
    let address = cluster_ip(&cluster, "portless");
    assert_eq!(row(&cluster, "portless"), ["portless", "LoadBalancer", &address, FIRST, "80/TCP"]);
    from_everywhere(&cluster, &client, &format!("http://{FIRST}"), &servers);
}

/// Without a range nothing is promised: as upstream without a cloud provider.
#[test]
fn without_a_range_a_service_stays_pending() {
    let (cluster, _client) = super::cluster("pending", &[]);
    balancer(&cluster, "waits", "");
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(row(&cluster, "waits")[3], "<pending>");
    assert_eq!(cluster.kubectl("describe svc waits").field("Events"), "<none>");
    cluster.kubectl("delete svc waits").prints("service \"waits\" deleted");
}

/// C6: who is not let in is not answered; NodePorts are not restricted.
#[test]
fn source_ranges_keep_others_out() {
    let (cluster, client) = super::cluster("sources", &["--load-balancer-cidr", RANGE]);
    let servers = web(&cluster);
    balancer(&cluster, "picky", "  loadBalancerSourceRanges: [172.17.0.98/32, 10.244.0.0/16]\n");
    shows(&cluster, "picky", FIRST);
    let url = format!("http://{FIRST}");
    from_pod(&cluster, &url, &servers);
    /// What curl says when nothing answers in time.
    const TIMED_OUT: i32 = 28;
    assert_eq!(client.curl(&url), Err(TIMED_OUT), "172.17.0.99 is not among them");
    let port = cluster.kubectl("get svc picky -o jsonpath='{.spec.ports[0].nodePort}'").text;
    from_client(&cluster, &client, &format!("http://172.17.0.31:{port}"), &servers);
    cluster.kubectl("patch svc picky -p '{\"spec\":{\"loadBalancerSourceRanges\":[\"172.17.0.99/32\"]}}'");
    from_client(&cluster, &client, &url, &servers);
}

/// A10.10: UDP and TCP at one port of one address; behind it a server on the node itself, cluster DNS.
#[test]
fn udp_and_tcp_share_an_address() {
    let (cluster, client) = super::cluster("mixed", &["--load-balancer-cidr", RANGE]);
    let ports = "[{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]";
    apply(
        &cluster,
        &format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: resolver}}\nspec:\n  type: LoadBalancer\n  ports: {ports}\n\
             ---\napiVersion: v1\nkind: Endpoints\nmetadata: {{name: resolver}}\nsubsets:\n\
             - addresses: [{{ip: 10.244.0.1}}]\n  ports: {ports}"
        ),
    );
    shows(&cluster, "resolver", FIRST);
    assert!(row(&cluster, "resolver")[4].contains("/UDP,53:"), "{:?}", row(&cluster, "resolver"));
    let name = "kubernetes.default.svc.cluster.local";
    for way in ["+notcp", "+tcp"] {
        let line = format!("dig +short +tries=1 +time=2 {way} @{FIRST} A {name}");
        cluster.eventually(&format!("{line} answers"), || {
            (client.shell(&line).text.trim() == "10.96.0.1").then_some(())
        });
    }
}

/// What no Service claims in the range is refused; a foreign address leaves, so the wire is watched.
#[test]
fn nothing_for_the_range_leaves_by_the_default_route() {
    let (cluster, client) = super::cluster("leaving", &["--load-balancer-cidr", "10.10.0.0/26"]);
    let servers = web(&cluster);
    balancer(&cluster, "web", "");
    shows(&cluster, "web", "10.10.0.1");
    cluster.shell("ip route add default via 172.17.0.99").succeeded(String::new);
    let watch =
        "timeout 6 tcpdump -nn -l -i eth0 'dst net 10.10.0.0/26 and not arp or dst host 198.51.100.1'";
    let seen = std::thread::scope(|scope| {
        let watching = scope.spawn(|| client.shell(watch).text);
        std::thread::sleep(std::time::Duration::from_secs(2));
        let pod = servers.first().expect("a pod");
        for target in ["10.10.0.1:81", "10.10.0.9:80", "10.10.0.63:80", "198.51.100.1:80"] {
            let line = format!("timeout 1 wget -qO- http://{target}");
            assert_ne!(cluster.try_kubectl(&format!("exec {pod} -- {line}")).code, 0);
            assert_ne!(cluster.shell(&format!("busybox {line}")).code, 0);
        }
        watching.join().expect("tcpdump ends")
    });
    assert!(seen.contains("198.51.100.1"), "{seen}");
    assert!(!seen.contains("10.10.0."), "left by the default route:\n{seen}");
}
