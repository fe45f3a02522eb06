//! The kinds of the second round: their rules and cells.

use crate::tests::{create, kind_of, now, update};
use serde_json::{Value, json};

fn object(api_version: &str, kind: &str, fields: Value) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a",
        "creationTimestamp": "2026-01-02T03:03:05Z"}});
    object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    object
}

fn check(manifest: Value, expected: &[&str]) {
    assert_eq!(create(manifest.clone()).1, expected, "{manifest}");
}

fn check_cells(object: Value, expected: &[Value]) {
    let (kind, _) = kind_of(&object);
    assert_eq!((kind.cells)(&object, now()), expected, "{object}");
}

fn template(policy: &str) -> Value {
    json!({"metadata": {"labels": {"app": "a"}}, "spec": {"restartPolicy": policy, "containers": [{"name": "c", "image": "i"}]}})
}

fn stateful(spec: Value) -> Value {
    let mut base = json!({"selector": {"matchLabels": {"app": "a"}}, "serviceName": "s", "template": template("Always")});
    base.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object("apps/v1", "StatefulSet", json!({ "spec": base }))
}

#[test]
fn h4_stateful_sets() {
    let mut claimed = stateful(json!({"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec":
        {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]}));
    claimed["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "data", "mountPath": "/d"}]);
    check(claimed, &[]);
    let (old, errors) = create(stateful(json!({})));
    assert_eq!(errors, Vec::<String>::new());
    let spec = &old["spec"];
    assert_eq!(spec["updateStrategy"], json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}));
    assert_eq!((&spec["podManagementPolicy"], &spec["replicas"]), (&json!("OrderedReady"), &json!(1)));
    assert_eq!(update(&old, stateful(json!({"replicas": 5}))).1, Vec::<String>::new());
    let expected = "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
        'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
    assert_eq!(update(&old, stateful(json!({"serviceName": "t"}))).1, [expected]);
}

fn job(spec: Value) -> Value {
    let mut base = json!({"template": template("Never")});
    base.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object("batch/v1", "Job", json!({ "spec": base }))
}

#[test]
fn h6_1_and_h6_2_jobs() {
    let mut manifest = job(json!({}));
    manifest["metadata"]["uid"] = json!("u1");
    let (object, errors) = create(manifest);
    assert_eq!(errors, Vec::<String>::new());
    let spec = &object["spec"];
    let fields =
        ["completions", "parallelism", "backoffLimit", "completionMode", "suspend", "podReplacementPolicy"];
    let values: Vec<Value> = fields.iter().map(|field| spec[*field].clone()).collect();
    assert_eq!(
        values,
        [json!(1), json!(1), json!(6), json!("NonIndexed"), json!(false), json!("TerminatingOrFailed")]
    );
    assert_eq!(spec["selector"], json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u1"}}));
    let labels = json!({"app": "a", "controller-uid": "u1", "job-name": "a", "batch.kubernetes.io/controller-uid": "u1",
        "batch.kubernetes.io/job-name": "a"});
    assert_eq!(spec["template"]["metadata"]["labels"], labels);
    check(
        job(json!({"template": template("Always")})),
        &["spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""],
    );
    let (queue, _) = create(job(json!({"parallelism": 3})));
    assert_eq!(queue["spec"]["completions"], Value::Null);
}

#[test]
fn h6_8_job_cells() {
    let mut done = job(json!({"completions": 2}));
    done["status"] = json!({"succeeded": 2, "startTime": "2026-01-02T03:03:05Z", "completionTime": "2026-01-02T03:03:15Z",
        "conditions": [{"type": "Complete", "status": "True"}]});
    let cells = ["a", "Complete", "2/2", "10s", "60s", "c", "i", "<none>"].map(Value::from);
    check_cells(done, &cells);
    check_cells(
        job(json!({"parallelism": 3})),
        &["a", "Running", "0/1 of 3", "", "60s", "c", "i", "<none>"].map(Value::from),
    );
}

#[test]
fn h7_cron_jobs() {
    let cron = |schedule: &str| {
        object(
            "batch/v1",
            "CronJob",
            json!({"spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": template("Never")}}}}),
        )
    };
    check(cron("*/5 * * * *"), &[]);
    check(cron(""), &["spec.schedule: Required value"]);
    check(
        cron("TZ=UTC * * * * *"),
        &[
            "spec.schedule: Invalid value: \"TZ=UTC * * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
        ],
    );
    check(
        cron("often"),
        &["spec.schedule: Invalid value: \"often\": expected exactly 5 fields, found 1: [often]"],
    );
    let mut lost = cron("@hourly");
    lost["spec"]["timeZone"] = "Mars/Olympus".into();
    check(lost, &["spec.timeZone: Invalid value: \"Mars/Olympus\": unknown time zone Mars/Olympus"]);
    let mut found = cron("@hourly");
    found["spec"]["timeZone"] = "Europe/Berlin".into();
    check(found, &[]);
    let (object, _) = create(cron("@hourly"));
    assert_eq!(
        (&object["spec"]["concurrencyPolicy"], &object["spec"]["successfulJobsHistoryLimit"]),
        (&json!("Allow"), &json!(3))
    );
    let mut object = object;
    object["metadata"]["creationTimestamp"] = json!("2026-01-02T03:03:05Z");
    let mut expected: Vec<Value> = ["a", "@hourly", "<none>", "False"].map(Value::from).to_vec();
    expected.push(json!(0));
    expected.extend(["<none>", "60s", "c", "i", "<none>"].map(Value::from));
    check_cells(object, &expected);
}

fn ingress(path: Value) -> Value {
    object("networking.k8s.io/v1", "Ingress", json!({"spec": {"rules": [{"http": {"paths": [path]}}]}}))
}

#[test]
fn g1_ingress_rules() {
    let path = |fields: Value| {
        let mut path = json!({"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}});
        path.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        ingress(path)
    };
    let at = "spec.rules[0].http.paths[0]";
    check(path(json!({})), &[]);
    check(
        object("networking.k8s.io/v1", "Ingress", json!({"spec": {}})),
        &["spec: Invalid value: {}: either `defaultBackend` or `rules` must be specified"],
    );
    check(
        path(json!({"pathType": null})),
        &[&format!("{at}.pathType: Required value: pathType must be specified")],
    );
    check(
        path(json!({"path": "x"})),
        &[&format!("{at}.path: Invalid value: \"x\": must be an absolute path")],
    );
    check(
        path(json!({"path": "/a//b/."})),
        &[
            &format!("{at}.path: Invalid value: \"/a//b/.\": must not contain '//'"),
            &format!("{at}.path: Invalid value: \"/a//b/.\": cannot end with '/.'"),
        ],
    );
    check(
        path(json!({"backend": {}})),
        &[&format!("{at}.backend: Required value: resource or service backend is required")],
    );
    check(
        path(json!({"backend": {"service": {"name": "s"}}})),
        &[&format!("{at}.backend.service.port: Required value: port name or number is required")],
    );
}

#[test]
fn g1_11_ingress_cells() {
    let mut web = ingress(json!({}));
    web["spec"]["tls"] = json!([{}]);
    web["status"] = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.2"}, {"ip": "192.0.2.1"}]}});
    check_cells(web.clone(), &["a", "<none>", "*", "192.0.2.1,192.0.2.2", "80, 443", "60s"].map(Value::from));
    web["spec"] = json!({"ingressClassName": "n", "rules": [{"host": "a"}, {"host": "b"}, {"host": "c"}, {"host": "d"}]});
    check_cells(web, &["a", "n", "a,b,c + 1 more...", "192.0.2.1,192.0.2.2", "80", "60s"].map(Value::from));
}

#[test]
fn roles_and_bindings() {
    let role = |rule: Value| object("rbac.authorization.k8s.io/v1", "Role", json!({"rules": [rule]}));
    check(
        role(json!({"apiGroups": [""], "resources": ["pods"]})),
        &["rules[0].verbs: Required value: verbs must contain at least one value"],
    );
    check(
        role(json!({"nonResourceURLs": ["/x"], "verbs": ["get"]})),
        &[
            "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs",
        ],
    );
    let binding = |role: &str| {
        object(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            json!({"roleRef": {"kind": "Role", "name": role},
        "subjects": [{"kind": "ServiceAccount", "namespace": "n", "name": "s"}, {"kind": "User", "name": "u"}]}),
        )
    };
    let (old, errors) = create(binding("system:a"));
    assert_eq!(errors, Vec::<String>::new());
    assert_eq!(old["subjects"][1]["apiGroup"], json!("rbac.authorization.k8s.io"));
    let changed = update(&old, binding("b")).1;
    assert!(changed[0].ends_with("cannot change roleRef"), "{changed:?}");
    check_cells(binding("r"), &["a", "Role/r", "60s", "u", "", "n/s"].map(Value::from));
}

#[test]
fn a5_14_and_a5_16_ranges_and_addresses() {
    let range =
        |cidrs: Value| object("networking.k8s.io/v1", "ServiceCIDR", json!({"spec": {"cidrs": cidrs}}));
    check(range(json!([])), &["spec.cidrs: Required value: at least one CIDR required"]);
    let (old, _) = create(range(json!(["10.0.0.0/8"])));
    assert_eq!(update(&old, range(json!(["10.0.0.0/8", "fd00::/112"]))).1, Vec::<String>::new());
    let expected = "spec.cidrs: Invalid value: [\"10.0.0.0/9\"]: field is immutable";
    assert_eq!(update(&old, range(json!(["10.0.0.0/9"]))).1, [expected]);
    let mut address = object(
        "networking.k8s.io/v1",
        "IPAddress",
        json!({"spec": {"parentRef": {"resource": "services", "namespace": "n", "name": "s"}}}),
    );
    check(
        address.clone(),
        &["metadata.name: Invalid value: \"a\": must be a valid IP address in canonical form"],
    );
    address["metadata"]["name"] = json!("fd00::1");
    check(address.clone(), &[]);
    check_cells(address, &["fd00::1", "services/n/s"].map(Value::from));
}

#[test]
fn storage() {
    let claim = |fields: Value| {
        let mut spec =
            json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        object("v1", "PersistentVolumeClaim", json!({ "spec": spec }))
    };
    check(
        claim(json!({"accessModes": []})),
        &["spec.accessModes: Required value: at least 1 access mode is required"],
    );
    check(claim(json!({"resources": {}})), &["spec.resources[storage]: Required value"]);
    let (old, _) = create(claim(json!({})));
    assert_eq!(update(&old, claim(json!({"volumeName": "v"}))).1, Vec::<String>::new());
    assert_eq!(update(&old, claim(json!({"accessModes": ["ReadOnlyMany"]}))).1.len(), 1);
    let volume = object(
        "v1",
        "PersistentVolume",
        json!({"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem", "claimRef": {"namespace": "n", "name": "c"}},
        "status": {"phase": "Bound"}}),
    );
    let cells = ["a", "1Gi", "RWO,RWX", "Retain", "Bound", "n/c", "", "<unset>", "", "60s", "Filesystem"];
    check_cells(volume, &cells.map(Value::from));
}
