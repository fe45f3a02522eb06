//! Names: Services that are not there, search paths, headless host names, aliases, and what cluster DNS says.

use serde_json::json;

use super::{check, check_fine};
use crate::fixture::{ask, healthy, pod, service, shown, slice, with_pod, with_spec, workload, world};
use crate::step::{StepName, Verdict};
use crate::world::Resolved;

#[test]
fn no_such_service() {
    let mut world = healthy();
    check(
        &world,
        "svc/wbe",
        StepName::Service,
        "there is no Service wbe in namespace default; there is web",
        "kelson explain svc/web",
    );
    let elsewhere = check(
        &world,
        "svc/web n=shop",
        StepName::Service,
        "there is no Service web in namespace shop; there is one in namespace default",
        "kelson explain svc/web",
    );
    assert_eq!(elsewhere.steps[0].details, ["from shop its name is web.default"]);
    check(
        &world,
        "svc/web n=shopp",
        StepName::Service,
        "there is no namespace shopp; a Service web is in default",
        "kelson explain svc/web",
    );
    check(
        &world,
        "svc/web n=defualt",
        StepName::Service,
        "there is no namespace defualt; default is close to it and has a Service web",
        "kelson explain svc/web",
    );
    check(
        &world,
        "svc/database",
        StepName::Service,
        "there is no Service database in namespace default, and none of a similar name",
        "kubectl get services",
    );
    world.workloads.push(workload("Deployment", "database", 1, &[]));
    check(
        &world,
        "svc/database",
        StepName::Service,
        "there is no Service database in namespace default; there is a Deployment of that name, which nothing publishes",
        "kubectl expose deployment database --port=PORT",
    );
}

#[test]
fn no_such_asker() {
    check(
        &healthy(),
        "svc/web from=pod/clinet",
        StepName::From,
        "there is no pod clinet in namespace default; there is client",
        "kubectl get pods",
    );
    check(
        &healthy(),
        "svc/web from=node/node-3",
        StepName::From,
        "there is no node node-3; there is node-1 and node-2",
        "kubectl get nodes",
    );
}

#[test]
fn names_a_program_uses_d4_1() {
    let mut world = healthy();
    world.services.push(service("shop", "cart", json!({ "clusterIP": "10.96.0.81" })));
    let name = |words: &str, sentence: &str| {
        let explanation = ask(&world, words);
        let step = explanation.steps.iter().find(|step| step.step == StepName::Name);
        assert_eq!(step.map(|step| step.sentence.as_str()), Some(sentence), "\n{}", shown(&explanation));
    };
    name(
        "web.default from=pod/client",
        "web.default is completed to web.default.svc.cluster.local, which is 10.96.0.80",
    );
    name("web.default.svc.cluster.local.", "web.default.svc.cluster.local is 10.96.0.80");
    name(
        "cart.shop from=pod/client",
        "cart.shop is completed to cart.shop.svc.cluster.local, which is 10.96.0.81",
    );
    name(
        "svc/cart n=shop from=pod/client",
        "cart.shop is completed to cart.shop.svc.cluster.local, which is 10.96.0.81",
    );
    check(
        &world,
        "web.shop from=pod/client",
        StepName::Service,
        "there is no Service web in namespace shop; there is one in namespace default",
        "kelson explain svc/web",
    );
    check(
        &world,
        "web.default.svc.cluster.locl",
        StepName::Name,
        "web.default.svc.cluster.locl is no name of this cluster: its domain is cluster.local, not cluster.locl, which is close to it",
        "ask for web.default.svc.cluster.local",
    );
    check(
        &world,
        "www.example.org",
        StepName::Name,
        "www.example.org is no name of this cluster, whose Services are NAME.NAMESPACE.svc.cluster.local",
        "kelson lookup www.example.org",
    );
}

#[test]
fn pods_that_do_not_ask_cluster_dns_d4_2() {
    let check_policy = |spec: serde_json::Value, sentence: &str, next: &str| {
        let mut world = healthy();
        world.pods.push(pod("odd", json!({}), "10.244.1.8", json!({ "spec": spec })));
        check(&world, "svc/web from=pod/odd", StepName::Name, sentence, next);
    };
    check_policy(
        json!({ "hostNetwork": true, "dnsPolicy": "ClusterFirst" }),
        "default/odd asks the node's resolvers, not cluster DNS: on the host's network, dnsPolicy ClusterFirst means Default",
        "set dnsPolicy: ClusterFirstWithHostNet (or ClusterFirst) in its pod template",
    );
    check_policy(
        json!({ "dnsPolicy": "Default" }),
        "default/odd asks the node's resolvers, not cluster DNS: its dnsPolicy is Default",
        "set dnsPolicy: ClusterFirstWithHostNet (or ClusterFirst) in its pod template",
    );
    check_policy(
        json!({ "dnsPolicy": "None", "dnsConfig": { "nameservers": ["192.0.2.53"] } }),
        "default/odd asks 192.0.2.53, not cluster DNS: its dnsPolicy is None",
        "name the address of cluster DNS in its dnsConfig, or set dnsPolicy: ClusterFirst",
    );
    check_policy(
        json!({ "dnsPolicy": "None", "dnsConfig": { "nameservers": ["10.96.0.10"], "searches": ["cluster.local"] } }),
        "pod default/odd cannot complete web: its search path lacks svc.cluster.local",
        "ask for web.default.svc.cluster.local, or add its domain to the pod's dnsConfig",
    );
}

#[test]
fn headless_host_names_d1_6() {
    let mut world = world();
    world.services.push(service(
        "default",
        "db",
        json!({ "clusterIP": "None", "selector": { "app": "db" } }),
    ));
    world.pods.push(pod("db-0", json!({ "app": "db" }), "10.244.1.1", json!({})));
    let mut listed = slice("default", "db", 8080, &[("db-0", "10.244.1.1", true)]);
    listed.endpoints.iter_mut().flatten().for_each(|endpoint| endpoint.hostname = Some("db-0".to_owned()));
    world.slices.push(listed);
    let fine = |words: &str, sentence: &str| check_fine(&world, words, StepName::Name, Verdict::Ok, sentence);
    fine(
        "db-0.db from=pod/client",
        "db-0.db is completed to db-0.db.default.svc.cluster.local, which is 10.244.1.1",
    );
    fine("db from=pod/client", "db is completed to db.default.svc.cluster.local, which is 10.244.1.1");
    let wrong = check(
        &world,
        "db-1.db from=pod/client",
        StepName::Name,
        "db.default.svc.cluster.local has no ready endpoint called db-1",
        "kubectl get endpointslices -n default -l kubernetes.io/service-name=db -o yaml",
    );
    assert_eq!(wrong.steps[0].details, ["it has db-0"]);
}

#[test]
fn external_names_d1_9() {
    let external = |target: &str| {
        with_spec(json!({ "type": "ExternalName", "externalName": target, "clusterIP": null }))
    };
    let mut world = external("api.example.org");
    let alias = "default/web is an alias for api.example.org, a name outside the cluster";
    check_fine(&world, "svc/web", StepName::Service, Verdict::Ok, alias);
    let mut said = |resolved| {
        world.facts.names.insert("api.example.org".to_owned(), resolved);
        world.clone()
    };
    check_fine(
        &said(Resolved::Addresses(vec!["192.0.2.80".parse().unwrap()])),
        "svc/web",
        StepName::Service,
        Verdict::Ok,
        &format!("{alias}, which is 192.0.2.80"),
    );
    let edit = "kubectl edit service web";
    check(
        &said(Resolved::NoSuchName),
        "svc/web",
        StepName::Service,
        &format!("{alias}, and there is no such name"),
        edit,
    );
    check(
        &said(Resolved::Failed("it answers SERVFAIL".to_owned())),
        "svc/web",
        StepName::Service,
        &format!("{alias}, which does not resolve: it answers SERVFAIL"),
        "kelson lookup api.example.org",
    );
    check(
        &external("192.0.2.7"),
        "svc/web",
        StepName::Service,
        "default/web is an alias for 192.0.2.7, which is an address; an ExternalName must be a name, so DNS says there is none",
        "use a Service without selector and an EndpointSlice that lists the address",
    );
    let mut inside = external("cart.shop.svc.cluster.local");
    let lost = check(
        &inside,
        "svc/web",
        StepName::Service,
        "default/web is an alias for cart.shop.svc.cluster.local, which no Service of the cluster has as its name",
        edit,
    );
    assert_eq!(lost.steps.last().unwrap().details, Vec::<String>::new());
    inside.services.push(service("shop", "carts", json!({ "clusterIP": "10.96.0.81" })));
    let close = ask(&inside, "svc/web");
    assert_eq!(close.steps.last().unwrap().details, ["close to it: carts.shop.svc.cluster.local"]);
    inside.services.push(service("shop", "cart", json!({ "clusterIP": "10.96.0.82" })));
    check_fine(
        &inside,
        "svc/web",
        StepName::Service,
        Verdict::Ok,
        "default/web is an alias for cart.shop.svc.cluster.local, which is 10.96.0.82",
    );
}

#[test]
fn cluster_dns_has_the_last_word() {
    let mut world = healthy();
    let full = "web.default.svc.cluster.local";
    let mut said = |resolved| {
        world.facts.names.insert(full.to_owned(), resolved);
        world.clone()
    };
    let next = "kubectl get pods,endpoints -n kube-system -l k8s-app=kube-dns";
    check(
        &said(Resolved::Failed("no answer from 10.96.0.10".to_owned())),
        "svc/web",
        StepName::Name,
        &format!(
            "{full} should be 10.96.0.80, but cluster DNS at 10.96.0.10 does not say so: no answer from 10.96.0.10"
        ),
        next,
    );
    check(
        &said(Resolved::NoSuchName),
        "svc/web",
        StepName::Name,
        &format!("{full} should be 10.96.0.80, but cluster DNS at 10.96.0.10 says there is no such name"),
        next,
    );
    let stale = said(Resolved::Addresses(vec!["10.96.0.99".parse().unwrap()]));
    let explanation =
        check_fine(&stale, "svc/web", StepName::Name, Verdict::Warning, &format!("{full} is 10.96.0.80"));
    assert_eq!(explanation.steps[0].details, ["cluster DNS at 10.96.0.10 says 10.96.0.99 just now"]);
}

#[test]
fn what_is_worth_looking_at() {
    let mut world = healthy();
    let question = crate::Question {
        target: crate::Target::Service("web".to_owned()),
        namespace: "default".to_owned(),
        from: None,
        port: None,
    };
    let wanted = crate::wanted(&world, &question);
    assert_eq!(wanted.names, ["web.default.svc.cluster.local"]);
    assert_eq!(wanted.name_server, Some([10, 96, 0, 10].into()));
    let connects = [("10.244.1.1:8080", "node-1"), ("10.244.2.2:8080", "node-2")];
    assert_eq!(wanted.connects, connects.map(|(address, node)| (address.parse().unwrap(), node.to_owned())));
    world.services.clear();
    assert_eq!(crate::wanted(&world, &question), crate::Wanted::default());
    assert!(
        crate::wanted(&with_pod(pod("x", json!({}), "10.244.1.1", json!({}))), &question).connects.is_empty()
    );
}
