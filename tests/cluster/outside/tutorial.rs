//! The networking tutorial's other kinds, line by line with its manifests as printed: targetPort, NodePort, external IP
//! and load balancer.

use crate::harness::Cluster;

use super::{NODE, from_client, from_everywhere, from_node, from_pod, pods, row};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/networking");

/// Applies one of the tutorial's pairs and checks what kubectl says.
fn applied(cluster: &Cluster, file: &str, name: &str) {
    let said = cluster.kubectl(&format!("apply -f {file}"));
    said.prints(&format!("service/{name}-svc created\ndeployment.extensions/{name}-deployment created"));
}

fn address_of(cluster: &Cluster, name: &str) -> String {
    cluster.kubectl(&format!("get services/{name} -o go-template='{{{{(index .spec.clusterIP)}}}}'")).text
}

#[test]
fn target_ports_are_translated() {
    let (cluster, _client) = super::cluster("targetport", &[]);
    let name = "webapp1-clusterip-targetport";
    applied(&cluster, &format!("{EXAMPLES}/clusterip-target.yaml"), name);
    let servers = pods(&cluster, name, 2);
    let service = format!("{name}-svc");
    let address = address_of(&cluster, &service);
    assert_eq!(row(&cluster, &service), [&service, "ClusterIP", &address, "<none>", "8080/TCP"]);
    let described = cluster.kubectl(&format!("describe svc/{service}"));
    assert_eq!(described.field("Port"), "<unset>  8080/TCP");
    assert_eq!(described.field("TargetPort"), "80/TCP");
    assert!(described.field("Endpoints").split(',').all(|endpoint| endpoint.ends_with(":80")));
    from_node(&cluster, &format!("http://{address}:8080"), &servers);
    from_pod(&cluster, &format!("http://{address}:8080"), &servers);
    assert_eq!(cluster.curl(&format!("http://{address}:80")), Err(super::REFUSED), "not the Service's port");
}

#[test]
fn a_node_port_is_open_on_every_address_of_the_node() {
    let (cluster, client) = super::cluster("nodeport", &[]);
    let name = "webapp1-nodeport";
    applied(&cluster, &format!("{EXAMPLES}/nodeport.yaml"), name);
    let servers = pods(&cluster, name, 2);
    let service = format!("{name}-svc");
    let address = address_of(&cluster, &service);
    assert_eq!(row(&cluster, &service), [&service, "NodePort", &address, "<none>", "80:30080/TCP"]);
    let described = cluster.kubectl(&format!("describe svc/{service}"));
    assert_eq!(described.field("Type"), "NodePort");
    assert_eq!(described.field("Port"), "<unset>  80/TCP");
    assert_eq!(described.field("TargetPort"), "80/TCP");
    assert_eq!(described.field("NodePort"), "<unset>  30080/TCP");
    assert_eq!(described.field("Session Affinity"), "None");
    assert_eq!(described.field("External Traffic Policy"), "Cluster");
    assert_eq!(described.field("Events"), "<none>");

    from_everywhere(&cluster, &client, &format!("http://{NODE}:30080"), &servers);
    // The pod bridge's address is the node's, too.
    from_node(&cluster, "http://10.244.0.1:30080", &servers);
    from_pod(&cluster, "http://10.244.0.1:30080", &servers);
    // As kube-proxy's nftables mode: loopback is no address that NodePorts are served on (C5.2).
    assert_eq!(cluster.curl("http://127.0.0.1:30080"), Err(super::REFUSED));
    addresses_that_come_and_go_are_followed(&cluster, &client, &servers);
}

fn addresses_that_come_and_go_are_followed(
    cluster: &Cluster,
    client: &crate::harness::Client,
    servers: &std::collections::BTreeSet<String>,
) {
    cluster.shell("ip addr add 172.17.0.32/16 dev uplink").succeeded(|| cluster.log());
    from_everywhere(cluster, client, "http://172.17.0.32:30080", servers);
    cluster.shell("ip addr del 172.17.0.32/16 dev uplink").succeeded(|| cluster.log());
    // Somebody else's address now: nothing here answers for it.
    assert!(client.curl("http://172.17.0.32:30080").is_err());
    from_client(cluster, client, &format!("http://{NODE}:30080"), servers);
}

#[test]
fn external_addresses_lead_to_the_service() {
    let (cluster, client) = super::cluster("externalip", &[]);
    let name = "webapp1-externalip";
    let file = cluster.scratch().join("externalip.yaml");
    std::fs::copy(format!("{EXAMPLES}/externalip.yaml"), &file).expect("the example is there");
    let directory = cluster.scratch().display().to_string();
    cluster.shell(&format!("cd {directory} && sed -i 's/HOSTIP/{NODE}/g' externalip.yaml"));
    applied(&cluster, &file.display().to_string(), name);
    let servers = pods(&cluster, name, 2);
    let service = format!("{name}-svc");
    let address = address_of(&cluster, &service);
    assert_eq!(row(&cluster, &service), [&service, "ClusterIP", &address, NODE, "80/TCP"]);
    let described = cluster.kubectl(&format!("describe svc/{service}"));
    assert_eq!(described.field("Type"), "ClusterIP");
    assert_eq!(described.field("External IPs"), NODE);
    assert_eq!(described.field("Events"), "<none>");
    from_everywhere(&cluster, &client, &format!("http://{NODE}"), &servers);

    // C10.2: any address that is routed to the node will do.
    cluster.kubectl(&format!(
        "patch svc {service} --type=merge -p '{{\"spec\":{{\"externalIPs\":[\"198.51.100.9\"]}}}}'"
    ));
    client.shell(&format!("ip route add 198.51.100.0/24 via {NODE}")).succeeded(String::new);
    from_client(&cluster, &client, "http://198.51.100.9", &servers);
    from_pod(&cluster, "http://198.51.100.9", &servers);
    // No longer an external address: Ingress's port, where nothing is routed to these pods.
    let page = client.curl(&format!("http://{NODE}")).unwrap_or_default();
    assert!(!page.contains("processed by host"), "{page}");
}

#[test]
fn a_load_balancer_address_is_given_and_answers() {
    let (cluster, client) = super::cluster("balancer", &["--load-balancer-cidr", "10.10.0.0/26"]);
    the_cloud_provider_applies_as_printed(&cluster);
    let name = "webapp1-loadbalancer";
    applied(&cluster, &format!("{EXAMPLES}/loadbalancer.yaml"), name);
    let service = format!("{name}-svc");
    let template = "go-template='{{(index .status.loadBalancer.ingress 0).ip}}'";
    let given =
        cluster.until(&format!("get services/{service} -o {template}"), |text| text.starts_with("10.10.0."));
    let servers = pods(&cluster, name, 2);

    let shown = row(&cluster, &service);
    assert_eq!(shown[..2], [service.as_str(), "LoadBalancer"]);
    assert_eq!(shown[3], given);
    let port = shown[4].strip_prefix("80:").and_then(|rest| rest.strip_suffix("/TCP")).expect("a NodePort");
    assert!((30000..=32767).contains(&port.parse::<u16>().expect("a port")));
    let described = cluster.kubectl(&format!("describe svc/{service}"));
    assert_eq!(described.field("Type"), "LoadBalancer");
    assert_eq!(described.field("LoadBalancer Ingress").split(' ').next(), Some(given.as_str()));
    assert_eq!(described.field("NodePort"), format!("<unset>  {port}/TCP"));
    assert_eq!(described.field("External Traffic Policy"), "Cluster");
    let told = [
        ["EnsuringLoadBalancer", "Ensuring load balancer"],
        ["EnsuredLoadBalancer", "Ensured load balancer"],
    ];
    for [reason, message] in told {
        let rows = cluster.until(&format!("describe svc/{service}"), |text| text.contains(reason));
        let row =
            crate::harness::rows(&rows).into_iter().find(|row| row.get(1).is_some_and(|cell| cell == reason));
        let row = row.unwrap_or_else(|| panic!("no {reason} in\n{rows}"));
        assert_eq!([&row[0], &row[3], &row[4]], ["Normal", "service-controller", message]);
    }

    from_node(&cluster, &format!("http://{given}"), &servers);
    from_pod(&cluster, &format!("http://{given}"), &servers);
    // The client knows the range is on its link, and nothing else.
    client.shell("ip route add 10.10.0.0/26 dev eth0").succeeded(String::new);
    from_client(&cluster, &client, &format!("http://{given}"), &servers);
    from_everywhere(&cluster, &client, &format!("http://{NODE}:{port}"), &servers);
}

/// Nulls, comments and alpha annotations included.
fn the_cloud_provider_applies_as_printed(cluster: &Cluster) {
    let line = format!("apply -f {EXAMPLES}/cloudprovider.yaml");
    cluster.kubectl(&line).prints(
        "daemonset.extensions/kube-keepalived-vip created\nconfigmap/vip-configmap created\n\
         deployment.apps/keepalived-cloud-provider created",
    );
    let again = cluster.kubectl(&line).text;
    assert!(!again.contains("created"), "{again}");
    let annotations = "jsonpath='{.spec.template.metadata.annotations}'";
    let kept = cluster
        .kubectl(&format!("-n kube-system get deployment keepalived-cloud-provider -o {annotations}"))
        .text;
    assert!(kept.contains("\"scheduler.alpha.kubernetes.io/critical-pod\":\"\""), "{kept}");
    assert!(kept.contains("CriticalAddonsOnly"), "{kept}");
}
