//! What was acknowledged is still there after kelson was killed in the middle of it.

use crate::harness::Cluster;

#[test]
fn acknowledged_writes_survive_kill() {
    let mut cluster = Cluster::start_with("durable", &["--disable-agent"]);
    let mut acknowledged = Vec::new();
    for round in 0..5 {
        let writer = cluster.shell_in_background(
            "for i in $(seq 200); do kubectl create configmap r$ROUND-$i || exit; done",
            round,
        );
        cluster.eventually("some writes", || (writer.lines() >= 8).then_some(()));
        cluster.kill();
        acknowledged.extend(writer.finish());
        cluster.up();
    }
    let listed = cluster.kubectl("get configmaps -o name").text;
    for name in &acknowledged {
        assert!(listed.contains(&format!("{name}\n")), "{name} was acknowledged and is lost");
    }
    assert!(acknowledged.len() >= 40);
}
