//! What a container may not do, and what a privileged one may.

use crate::world::{World, finish};
use kelson_runtime::{ContainerConfig, ExecConfig, Seccomp, User};

/// CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP.
const DEFAULT_CAPABILITIES: &str = "00000000a80425fb";

const STATUS: &str = "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; ";

fn status(lines: &[String]) -> Vec<String> {
    let words = |line: &String| line.split_whitespace().collect::<Vec<_>>().join("");
    lines.iter().map(words).filter(|line| line.contains(':')).collect()
}

pub async fn default_profile(world: &World) {
    let pod = world.pod("def").await;
    let script = format!(
        "{STATUS} mount -t tmpfs x /tmp 2>/dev/null || echo no mount; unshare -m true 2>/dev/null || echo no unshare; \
         touch /proc/sys/kernel/domainname 2>/dev/null || echo no sysctl; head -c1 /proc/kcore | wc -c; \
         echo x > /sys/x 2>/dev/null || echo no sys; mknod /tmp/sda b 8 0 && head -c1 /tmp/sda 2>/dev/null || echo no disk; \
         ls /dev | grep -v -x -E 'null|zero|full|random|urandom|tty|ptmx|pts|shm|mqueue|fd|stdin|stdout|stderr|core|console' \
         || echo no device; mknod /tmp/tun c 10 200 && head -c1 /tmp/tun 2>&1 | grep -c 'not permitted'"
    );
    let state = world.run(&pod, &world.shell("c", &script)).await;
    let out = world.output("c");
    assert_eq!(
        status(&out),
        ["CapEff:", "CapBnd:"]
            .map(|name| format!("{name}{DEFAULT_CAPABILITIES}"))
            .into_iter()
            .chain(["NoNewPrivs:0".into(), "Seccomp:2".into()])
            .collect::<Vec<_>>(),
    );
    assert_eq!(
        out[4..],
        ["no mount", "no unshare", "no sysctl", "0", "no sys", "no disk", "no device", "1"],
        "{:?} {state:?}",
        world.log("c")
    );
    let mut config = world.shell("u", STATUS);
    config.user = User { uid: Some(1000), ..User::default() };
    world.run(&pod, &config).await;
    assert_eq!(status(&world.output("u"))[0], "CapEff:0000000000000000", "another user has none");
}

pub async fn privileged(world: &World) {
    let pod = world.pod("priv").await;
    let config = ContainerConfig { privileged: true, ..world.shell("c", &format!(
        "{STATUS} mount -t tmpfs x /tmp && echo mounted; test -w /proc/sys/kernel/domainname && echo sysctl; test -c /dev/kmsg && echo kmsg"
    )) };
    world.run(&pod, &config).await;
    let out = world.output("c");
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let bounding = own.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap().trim();
    assert_eq!(
        status(&out),
        [
            format!("CapEff:{bounding}"),
            format!("CapBnd:{bounding}"),
            "NoNewPrivs:0".into(),
            "Seccomp:0".into()
        ]
    );
    assert_eq!(out[4..], ["mounted", "sysctl", "kmsg"], "{:?}", world.log("c"));
}

pub async fn no_new_privileges_and_dropped_capabilities(world: &World) {
    let pod = world.pod("nnp").await;
    let mut config = world.shell("c", STATUS);
    config.no_new_privileges = true;
    config.drop_capabilities = vec!["ALL".into()];
    config.add_capabilities = vec!["NET_BIND_SERVICE".into()];
    assert_eq!(world.run(&pod, &config).await.exit_code, 0);
    let expected = ["CapEff:0000000000000400", "CapBnd:0000000000000400", "NoNewPrivs:1", "Seccomp:2"];
    assert_eq!(status(&world.output("c")), expected);
    let config = ContainerConfig { seccomp: Seccomp::Unconfined, ..world.shell("open", STATUS) };
    world.run(&pod, &config).await;
    assert_eq!(status(&world.output("open"))[2..], ["NoNewPrivs:0", "Seccomp:0"]);
    let profile = world.root.join("profile.json");
    let rule = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}"#;
    std::fs::write(&profile, rule).unwrap();
    let own = world.shell("own", "mkdir /tmp/x 2>/dev/null || echo no mkdir");
    world.run(&pod, &ContainerConfig { seccomp: Seccomp::Localhost(profile), ..own }).await;
    assert_eq!(world.output("own"), ["no mkdir"]);
}

pub async fn exec_is_confined_too(world: &World) {
    let pod = world.pod("conf").await;
    let mut config = world.shell("c", "sleep 100");
    config.user = User { uid: Some(1000), gid: Some(2000), groups: vec![3000], ..User::default() };
    pod.create(&config).await.unwrap();
    let mut strict = world.shell("strict", "sleep 100");
    strict.no_new_privileges = true;
    pod.create(&strict).await.unwrap();
    let mut results = Vec::new();
    for id in ["c", "strict"] {
        pod.start(id).await.unwrap();
        let script = format!("{STATUS} id -u; id -G; cat /proc/self/cgroup | grep -v -c ':/$'");
        let args = ["sh", "-c", &script].map(String::from).to_vec();
        let session = pod
            .exec(id, &ExecConfig { args, stdout: true, stderr: true, ..ExecConfig::default() })
            .await
            .unwrap();
        let (out, err, _) = finish(session).await;
        let lines: Vec<String> = out.lines().map(String::from).collect();
        results.push((status(&lines), lines[4..].join(" "), err));
    }
    assert_eq!(results[0].0[0], "CapEff:0000000000000000");
    assert_eq!(results[0].0[2..], ["NoNewPrivs:0", "Seccomp:2"]);
    assert!(results[0].1.starts_with("1000 2000 3000"), "{:?}", results[0]);
    assert_eq!(results[1].0[0], format!("CapEff:{DEFAULT_CAPABILITIES}"));
    assert_eq!(results[1].0[2..], ["NoNewPrivs:1", "Seccomp:2"]);
}
