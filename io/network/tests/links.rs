//! The node's links followed and ranges held, in a real kernel: a network namespace plays the node.
//!
//! Every namespace is made here, has no uplink to the machine, and goes when its test ends, also when it fails.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kelson_model::Cidr;
use kelson_network::{Follower, NetworkConfig, NodeLinks, PodNetwork, hold, netns};
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(5);

/// A node: its namespace and its data directory.
struct Node {
    directory: PathBuf,
}

impl Node {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = PathBuf::from(format!("/run/kelson-links-test-{}-{count}", std::process::id()));
        let node = Self { directory };
        netns::create(&node.directory.join("node")).expect("tests need root");
        node
    }

    /// Runs `work` inside the node, on a runtime of its own.
    fn run<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> T {
        let inside = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(work())
        };
        netns::enter(&self.directory.join("node"), inside).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = netns::remove(&self.directory.join("node"));
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// What a shell line prints in the calling thread's namespace.
fn shell(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn until(links: &mut watch::Receiver<Arc<NodeLinks>>, accepts: impl FnMut(&Arc<NodeLinks>) -> bool) {
    let found = tokio::time::timeout(PATIENCE, links.wait_for(accepts)).await.map(drop);
    if found.is_err() {
        panic!("in vain; the last was {:?}", *links.borrow());
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn links_and_addresses_are_followed() {
    Node::new().run(async || {
        shell("ip link add early type veth peer name other && ip addr add 192.0.2.1/24 dev early");
        let (follower, mut links) = Follower::start().await.unwrap();
        let follower = tokio::spawn(follower.run());
        assert_eq!(links.borrow().addresses, [ip("192.0.2.1")].into(), "there from the start");
        let link = |links: &NodeLinks, name: &str| links.ethernet.values().find(|l| l.name == name).cloned();
        assert!(!link(&links.borrow(), "early").unwrap().carrier);

        shell("ip link set early up");
        assert!(!link(&links.borrow(), "early").unwrap().carrier, "its other end is down");
        shell("ip link set other up");
        until(&mut links, |now| link(now, "early").is_some_and(|link| link.carrier)).await;
        shell("ip link set other down");
        until(&mut links, |now| link(now, "early").is_some_and(|link| !link.carrier)).await;

        shell("ip addr add 198.51.100.7/32 dev lo && ip addr add 169.254.3.3/16 dev early");
        until(&mut links, |now| now.addresses == [ip("192.0.2.1"), ip("198.51.100.7")].into()).await;
        shell("ip addr del 192.0.2.1/24 dev early");
        until(&mut links, |now| now.addresses == [ip("198.51.100.7")].into()).await;

        shell("ip link add br0 type bridge && ip link set other master br0");
        until(&mut links, |now| link(now, "other").is_none() && link(now, "br0").is_some()).await;
        shell("ip link set other nomaster && ip link set early address 02:00:00:00:00:05");
        let hardware = [2, 0, 0, 0, 0, 5];
        until(&mut links, |now| {
            link(now, "other").is_some() && link(now, "early").is_some_and(|link| link.hardware == hardware)
        })
        .await;
        shell("ip addr add 203.0.113.1/24 dev early");
        until(&mut links, |now| now.addresses.contains(&ip("203.0.113.1"))).await;
        shell("ip link del early");
        until(&mut links, |now| link(now, "other").is_none()).await;
        until(&mut links, |now| !now.addresses.contains(&ip("203.0.113.1"))).await;
        drop(links);
        tokio::time::timeout(PATIENCE, follower).await.expect("nobody listens, nobody follows").unwrap();
    });
}

/// More announcements than the socket holds: what is published in the end is what there is.
#[test]
fn a_storm_of_changes_is_not_lost() {
    Node::new().run(async || {
        let (follower, mut links) = Follower::start().await.unwrap();
        // The follower does not run while the kernel announces.
        let line = "for i in $(seq 300); do echo link add d$i type veth peer name e$i; echo addr add 10.9.$((i / 250)).$((i % 250))/32 dev d$i; \
                    [ $((i % 3)) = 0 ] || echo link del d$i; done | ip -batch -";
        shell(line);
        tokio::spawn(follower.run());
        until(&mut links, |now| now.addresses.len() == 100 && now.ethernet.len() == 200).await;
    });
}

#[test]
fn ranges_are_held_on_the_bridge_and_let_go() {
    let node = Node::new();
    node.run(async || {
        let range = |text: &str| Cidr::parse(text).unwrap();
        let data = node.directory.join("data");
        let config = NetworkConfig::new(&data, range("10.244.0.0/16"), range("10.96.0.0/16"));
        drop(PodNetwork::open(config.clone()).await.unwrap());
        let routes = || shell("ip -4 route show dev kelson0");
        let before = routes();
        let check = async |ranges: &[&str]| {
            hold("kelson0", &ranges.iter().map(|text| range(text)).collect::<Vec<_>>()).await.unwrap();
            let now = routes();
            let held: Vec<&str> = now.lines().filter(|line| !before.contains(*line)).collect();
            assert_eq!(held.len(), ranges.len(), "{now}");
            for (line, range) in held.iter().zip(ranges) {
                assert!(line.starts_with(&format!("{range} ")) && line.contains("scope link"), "{now}");
            }
            assert!(before.lines().all(|line| now.contains(line)), "{now}");
        };
        check(&["10.10.0.0/26", "198.51.100.0/24"]).await;
        check(&["10.10.0.0/26", "198.51.100.0/24"]).await;
        check(&["10.10.0.0/24"]).await;
        // Opened again, as the agent does: they stay.
        drop(PodNetwork::open(config.clone()).await.unwrap());
        assert!(routes().contains("10.10.0.0/24"));
        check(&[]).await;

        shell("ip link add wan type bridge && ip link set wan up && ip route add 10.10.0.0/24 dev wan");
        let refused = hold("kelson0", &[range("10.10.0.0/24")]).await.unwrap_err().to_string();
        assert!(refused.contains("another link has a route to this very range"), "{refused}");
        assert!(shell("ip route show 10.10.0.0/24").contains("wan"), "nobody's route is replaced");
        PodNetwork::destroy(&config).await.unwrap();
    });
}
