//! A pod's token against the API: the rights its account was given, no more, and no longer than the pod.

use crate::harness::{Cluster, image};

const IMAGE: &str = "busybox:1.36";
const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A cluster with the account `bot` and a pod `robot` that runs as it.
fn cluster(name: &str) -> Cluster {
    let cluster = Cluster::start(name);
    image::import(&cluster, IMAGE, &["sh", "-c", "trap exit TERM; sleep 3600 & wait"]);
    cluster.kubectl("create serviceaccount bot").prints("serviceaccount/bot created");
    let spec = r#"{"spec":{"serviceAccountName":"bot"}}"#;
    cluster
        .kubectl(&format!("run robot --image={IMAGE} --image-pull-policy=IfNotPresent --overrides='{spec}'"));
    cluster.kubectl("wait --for=condition=Ready pod/robot --timeout=30s");
    cluster
}

/// The pod's token and the certificate it trusts, as files on the node; kubectl with these and nothing else.
struct Robot<'a> {
    cluster: &'a Cluster,
    flags: String,
}

impl<'a> Robot<'a> {
    fn of(cluster: &'a Cluster) -> Self {
        let file = |name: &str| cluster.kubectl(&format!("exec robot -- cat {MOUNT}/{name}")).text;
        assert_eq!(file("namespace"), "default");
        let authority = cluster.scratch().join("ca.crt");
        std::fs::write(&authority, file("ca.crt")).expect("the certificate is written");
        let environment = cluster.kubectl("exec robot -- env").text;
        let variable = |name: &str| {
            let found = environment.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
            found.unwrap_or_else(|| panic!("{name} is not in {environment}")).to_owned()
        };
        let server = format!(
            "https://{}:{}",
            variable("KUBERNETES_SERVICE_HOST"),
            variable("KUBERNETES_SERVICE_PORT_HTTPS")
        );
        let token = file("token");
        let flags = format!(
            "--kubeconfig=/dev/null --server={server} --certificate-authority={} --token={token}",
            authority.display()
        );
        Self { cluster, flags }
    }

    fn kubectl(&self, line: &str) -> (i32, String, String) {
        let output = self.cluster.shell(&format!("kubectl {} {line}", self.flags));
        (output.code, output.text, output.errors)
    }

    #[track_caller]
    fn may(&self, line: &str, expected: &str) {
        let (code, text, errors) = self.kubectl(line);
        assert!(code == 0 && text.contains(expected), "{line}: {code}\n{text}{errors}");
    }

    #[track_caller]
    fn may_not(&self, line: &str, expected: &str) {
        let (code, text, errors) = self.kubectl(line);
        assert!(code == 1 && errors.contains(expected), "{line}: {code}\n{text}{errors}");
    }
}

#[test]
fn a_pods_token_has_the_rights_of_its_account_and_dies_with_the_pod() {
    let cluster = cluster("rbac");
    cluster.kubectl("create role reader --verb=get,list --resource=pods");
    cluster.kubectl("create rolebinding readers --role=reader --serviceaccount=default:bot");
    let robot = Robot::of(&cluster);
    robot.may("get pods --no-headers", "robot   1/1");
    let who = "User \"system:serviceaccount:default:bot\" cannot";
    robot.may_not(
        "get services",
        &format!(
            "Error from server (Forbidden): services is forbidden: {who} list resource \"services\" in API group \"\" in the \
             namespace \"default\""
        ),
    );
    robot.may_not(
        "get pods -A",
        &format!("{who} list resource \"pods\" in API group \"\" at the cluster scope"),
    );
    robot
        .may_not("delete pod robot", &format!("pods \"robot\" is forbidden: {who} delete resource \"pods\""));
    robot
        .may_not("create role more --verb=* --resource=secrets", &format!("{who} create resource \"roles\""));

    cluster.kubectl("delete rolebinding readers");
    robot.may_not("get pods", "pods is forbidden");
    cluster.kubectl("create rolebinding viewers --clusterrole=view --serviceaccount=default:bot");
    robot.may("get services --no-headers", "kubernetes");

    cluster.kubectl("delete pod robot --now");
    robot.may_not("get services", "You must be logged in to the server");
    assert!(!cluster.log().contains("lacks a right"), "{}", cluster.log());
}

#[test]
fn kubectl_says_who_may_what() {
    let cluster = cluster("rbac-can-i");
    cluster.kubectl("create role reader --verb=get,list --resource=pods");
    cluster.kubectl("create rolebinding readers --role=reader --serviceaccount=default:bot");
    let as_bot = "--as=system:serviceaccount:default:bot";
    cluster.kubectl("auth can-i '*' '*'").prints("yes");
    cluster.kubectl(&format!("auth can-i list pods {as_bot}")).prints("yes");
    let refused = cluster.try_kubectl(&format!("auth can-i delete pods {as_bot}"));
    assert_eq!((refused.code, refused.text.trim()), (1, "no"));
    let listed = cluster.kubectl(&format!("auth can-i --list {as_bot}")).text;
    let line = listed.lines().find(|line| line.starts_with("pods ")).unwrap_or_else(|| panic!("{listed}"));
    assert!(line.split_whitespace().eq(["pods", "[]", "[]", "[get", "list]"]), "{listed}");
    assert!(listed.contains("selfsubjectaccessreviews.authorization.k8s.io"), "{listed}");

    let robot = Robot::of(&cluster);
    robot.may("auth can-i list pods", "yes");
    robot.may("auth whoami", "system:serviceaccount:default:bot");
    let token = cluster.kubectl("create token bot").text;
    let other =
        Robot { flags: robot.flags.split(" --token=").next().unwrap_or_default().to_owned(), ..robot };
    other.may(&format!("--token={} get pods --no-headers", token.trim()), "robot");
    other.may_not("--token=nonsense get pods", "You must be logged in to the server");
    cluster.kubectl("delete serviceaccount bot");
    other.may_not(&format!("--token={} get pods", token.trim()), "You must be logged in to the server");
}

#[test]
fn a_pod_reads_its_token_unless_it_does_not_want_it() {
    let cluster = cluster("rbac-mount");
    let described = cluster.kubectl("describe pod robot").text;
    assert!(described.contains(&format!("{MOUNT} from kube-api-access-")), "{described}");
    assert!(described.contains("Service Account:  bot"), "{described}");
    let spec = r#"{"spec":{"automountServiceAccountToken":false}}"#;
    cluster
        .kubectl(&format!("run bare --image={IMAGE} --image-pull-policy=IfNotPresent --overrides='{spec}'"));
    cluster.kubectl("wait --for=condition=Ready pod/bare --timeout=30s");
    let listed = cluster.try_kubectl(&format!("exec bare -- ls {MOUNT}"));
    assert_ne!(listed.code, 0, "{}", listed.text);
    let missing = cluster.try_kubectl(
        "run lost --image=busybox:1.36 --overrides='{\"spec\":{\"serviceAccountName\":\"nobody\"}}'",
    );
    let text = "pods \"lost\" is forbidden: error looking up service account default/nobody: serviceaccount \"nobody\" not found";
    assert!(missing.errors.contains(text), "{}", missing.errors);
    // A namespace's first pod may come before the controller has made its account.
    cluster.kubectl("create namespace fresh");
    cluster.kubectl(&format!("run first -n fresh --image={IMAGE} --image-pull-policy=IfNotPresent"));
    cluster.kubectl("wait -n fresh --for=condition=Ready pod/first --timeout=30s");
}
