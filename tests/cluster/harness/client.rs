//! A machine beside the node: a network namespace on the other end of a wire, with nothing of Kubernetes in it.

use super::{Cluster, Namespace, Output};

/// Its namespace goes when dropped, and the wire with it.
pub struct Client {
    namespace: Namespace,
}

impl Client {
    /// Lays a wire called `uplink` from the node, which gets the address `node`, to a new machine, which gets `own`; both
    /// with the length of the network's prefix.
    pub fn join(cluster: &Cluster, name: &str, node: &str, own: &str) -> Self {
        let client = Self { namespace: Namespace::create(&format!("{name}-client")) };
        let there = client.namespace.name();
        let lines = [
            format!("ip link add uplink type veth peer name eth0 netns {there}"),
            format!("ip addr add {node} dev uplink"),
            "ip link set uplink up".to_owned(),
        ];
        for line in &lines {
            cluster.shell(line).succeeded(String::new);
        }
        client.shell(&format!("ip addr add {own} dev eth0 && ip link set eth0 up")).succeeded(String::new);
        client
    }

    /// Runs a shell line on it.
    pub fn shell(&self, line: &str) -> Output {
        let mut command = self.namespace.command("sh");
        command.args(["-c", line]);
        Output::of(line, command)
    }

    /// One HTTP request from it; the body, or curl's exit code.
    pub fn curl(&self, url: &str) -> Result<String, i32> {
        let output = self.shell(&format!("curl --silent --max-time 5 {url}"));
        if output.code == 0 { Ok(output.text) } else { Err(output.code) }
    }
}
