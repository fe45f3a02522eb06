//! Good inputs: the manifests of `examples/` and `seeds/`, and small packets, archives and requests made here.

use serde::Deserialize;
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use crate::requests::BETWEEN;

/// Manifests, each of several documents.
const MANIFESTS: &[&str] = &[
    include_str!("../seeds/objects.yaml"),
    include_str!("../../../examples/hello/hello.yaml"),
    include_str!("../../../examples/hello/ingress.yaml"),
    include_str!("../../../examples/hello/kinds.yaml"),
    include_str!("../../../examples/ingress/endpoints.yaml"),
    include_str!("../../../examples/ingress/webserver.yaml"),
];
/// A certificate of `admin` in `system:masters`.
const CERTIFICATE: &[u8] = include_bytes!("../seeds/client.der");

fn owned(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The manifests' objects.
pub fn documents() -> Vec<Value> {
    let all = MANIFESTS.iter().flat_map(|text| serde_yaml_ng::Deserializer::from_str(text));
    all.map(|document| Value::deserialize(document).expect("our manifests are YAML")).collect()
}

/// An object, and another of its kind.
pub fn pairs() -> Vec<Vec<u8>> {
    let mut pairs: Vec<_> =
        documents().iter().map(|object| format!("{object}\n{object}").into_bytes()).collect();
    let owned = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1", "b": "2"}, "metadata": {"name": "m",
        "managedFields": [{"manager": "other", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:data": {".": {}, "f:a": {}}}}]}});
    let config =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "3"}});
    pairs.push(format!("{owned}\n{config}").into_bytes());
    pairs
}

/// An object and a patch.
pub fn patches() -> Vec<Vec<u8>> {
    let pod = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"finalizers":["a/b"]},"spec":{"containers":[{"name":"a","image":"b","ports":[{"containerPort":80}]}]}}"#;
    let patches = [
        r#"[{"op":"test","path":"/kind","value":"Pod"},{"op":"add","path":"/spec/containers/-","value":{}},{"op":"move","from":"/metadata","path":"/a~1b"},{"op":"copy","from":"/spec","path":"/spec/x"},{"op":"remove","path":"/spec/containers/0"},{"op":"replace","path":"","value":1}]"#,
        r#"{"metadata":{"finalizers":null},"spec":{"containers":[{"name":"c"}]}}"#,
        r#"{"metadata":{"$deleteFromPrimitiveList/finalizers":["a/b"],"$setElementOrder/finalizers":["c/d"]},"spec":{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}],"containers":[{"name":"a","$patch":"delete"},{"name":"b","ports":[{"$patch":"replace"},{"containerPort":1}]}],"$retainKeys":["containers"]}}"#,
    ];
    patches.iter().map(|patch| format!("{pod}\n{patch}").into_bytes()).collect()
}

/// Requests as browsers and programs send them, and as those do who try what gets through.
pub fn asks() -> Vec<Vec<u8>> {
    owned(&[
        "GET /a?b=c HTTP/1.1\r\nHost: a.example\r\nUser-Agent: me\r\nAccept: */*\r\nCookie: a=b; c=d\r\nConnection: keep-alive\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\nConnection: close\r\nTE: trailers\r\n\r\nhello",
        "PUT /a HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\nForwarded: for=x\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n folded\r\nA : 1\nB: 2\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: b\r\nUpgrade: websocket\r\nConnection: upgrade, x\r\nExpect: 100-continue\r\n\r\n",
    ])
}

/// Responses in every framing.
pub fn answers() -> Vec<Vec<u8>> {
    owned(&[
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: now\r\nSet-Cookie: a=b\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n5;a=b\r\nhello\r\nA \r\n0123456789\r\n0\r\nA: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\nKeep-Alive: 5\r\n\r\n5\r\nhello\r\n000\r\n\r\n",
        "HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 304 Not Modified\nContent-Length: 5\nTransfer-Encoding: gzip, chunked\n\n",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    ])
}

/// Bodies as `kubectl create` sends them.
pub fn protobuf() -> Vec<Vec<u8>> {
    let config_map = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x1b\x0a\x11\x0a\x01a\x12\0\x1a\0\x22\0\x2a\x002\x008\0B\0\x12\x06\x0a\x01k\x12\x01v\x1a\0\x22\0";
    let field = |number: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).expect("seeds are short");
        [&[number << 3 | 2, length], content].concat()
    };
    let body = |version: &str, kind: &str, object: &[u8]| {
        let type_meta = [field(1, version.as_bytes()), field(2, kind.as_bytes())].concat();
        [&b"k8s\0"[..], &field(1, &type_meta), &field(2, object)].concat()
    };
    let port =
        [field(1, b"http"), vec![3 << 3, 80], field(4, &[&[8, 1][..], &field(3, b"web")].concat())].concat();
    let selector = field(2, &[field(1, b"app"), field(2, b"x")].concat());
    let service = field(2, &[field(1, &port), selector].concat());
    let limits = field(1, &[field(1, b"cpu"), field(2, &field(1, b"10m"))].concat());
    let container = [field(1, b"c"), field(8, &limits)].concat();
    let pod = field(
        2,
        &[field(1, &[field(1, b"v"), field(2, &field(2, b""))].concat()), field(2, &container)].concat(),
    );
    let deployment = field(2, &[8, 0, 40, 0]);
    let secret = field(2, &[field(1, b"k"), field(2, b"\xff\0")].concat());
    let dated = field(1, &[field(8, &[8, 60]), field(14, b"a/b")].concat());
    vec![
        config_map.to_vec(),
        body("v1", "Service", &[dated, service].concat()),
        body("v1", "Pod", &pod),
        body("apps/v1", "Deployment", &deployment),
        body("v1", "Secret", &secret),
        body("v1", "DeleteOptions", &[&[8, 0][..], &field(2, &field(1, b"u"))].concat()),
        body("v1", "Event", &field(6, &[8, 1])),
    ]
}

/// Requests of each form.
pub fn requests() -> Vec<Vec<u8>> {
    let json = "content-type: application/json";
    let maps = "/api/v1/namespaces/default/configmaps";
    let map = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m","labels":{"a":"b"}},"data":{"k":"v"}}"#;
    let apps = "/apis/apps/v1/namespaces/default/deployments";
    let deployment =
        documents().into_iter().find(|object| object["kind"] == "Deployment").unwrap_or_default();
    let review = r#"{"spec":{"token":"eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ.eyJhIjoxfQ.AAAA"}}"#;
    let rules = r#"{"spec":{"resourceAttributes":{"verb":"get","resource":"pods","namespace":"default"}}}"#;
    let mut seeds: Vec<Vec<u8>> = [
        format!("POST {maps}\n{json}\n\n{map}"),
        format!("GET {maps}?labelSelector=a%3Db,c%20notin%20(d)&fieldSelector=metadata.name%21%3Dx&limit=1\nuser-agent: kubectl/1\n\n"),
        format!("GET {maps}?limit=1&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhIn0\n\n"),
        format!("GET {maps}/m\naccept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json\naccept-encoding: gzip\n\n"),
        format!("GET {maps}?watch=1&resourceVersion=1&allowWatchBookmarks=true&timeoutSeconds=1\n\n"),
        format!("GET {maps}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=1\n\n"),
        format!("PUT {maps}/m?dryRun=All&fieldValidation=Strict\n{json}\n\n{map}"),
        format!("PATCH {maps}/m\ncontent-type: application/merge-patch+json\n\n{{\"data\":{{\"k\":null}}}}"),
        format!("PATCH {maps}/m\ncontent-type: application/json-patch+json\n\n[{{\"op\":\"add\",\"path\":\"/data/x\",\"value\":\"y\"}}]"),
        format!("PATCH {maps}/m\ncontent-type: application/strategic-merge-patch+json\n\n{{\"metadata\":{{\"finalizers\":[\"a/b\"]}}}}"),
        format!("PATCH {maps}/m?fieldManager=f&force=true\ncontent-type: application/apply-patch+yaml\n\napiVersion: v1\nkind: ConfigMap\ndata: {{ z: w }}\n"),
        format!("DELETE {maps}/m\n{json}\n\n{{\"propagationPolicy\":\"Background\",\"preconditions\":{{\"uid\":\"u\"}}}}"),
        format!("DELETE {maps}?labelSelector=a\n\n"),
        format!("POST {apps}\n{json}\n\n{deployment}"),
        format!("GET {apps}/hello/scale\n\n"),
        format!("PATCH {apps}/hello/scale\ncontent-type: application/merge-patch+json\n\n{{\"spec\":{{\"replicas\":3}}}}"),
        format!("PUT {apps}/hello/status\n{json}\n\n{deployment}"),
        format!("POST /apis/authentication.k8s.io/v1/tokenreviews\n{json}\n\n{review}"),
        format!("POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews\n{json}\n\n{rules}"),
        format!("POST /api/v1/namespaces/default/serviceaccounts/default/token\n{json}\n\n{{\"spec\":{{\"audiences\":[\"a\"],\"expirationSeconds\":600}}}}"),
        format!("POST /api/v1/namespaces/default/pods/p/binding\n{json}\n\n{{\"target\":{{\"kind\":\"Node\",\"name\":\"n\"}}}}"),
        format!("POST /api/v1/namespaces/default/pods/p/eviction\n{json}\n\n{{\"metadata\":{{\"name\":\"p\"}}}}"),
        format!("PUT /api/v1/namespaces/default/finalize\n{json}\n\n{{\"metadata\":{{\"name\":\"default\"}},\"spec\":{{\"finalizers\":[]}}}}"),
        "GET /apis\naccept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList\n\n".to_owned(),
        "GET /openapi/v3/apis/apps/v1?hash=0\n\n".to_owned(),
        "GET /metrics\n\n".to_owned(),
        "GET /api/v1/nodes\nimpersonate-user: u\nimpersonate-group: g\nimpersonate-extra-k%2Fv: w\n\n".to_owned(),
        "GET /api/v1/pods?fieldSelector=spec.nodeName=n,status.phase!=Running\n\n".to_owned(),
    ]
    .map(String::into_bytes)
    .into();
    for object in documents().iter().filter(|object| object["kind"] != "Deployment") {
        seeds.extend(post(object));
    }
    seeds.extend(protobuf().iter().map(|body| {
        [format!("POST {maps}\ncontent-type: application/vnd.kubernetes.protobuf\n\n").as_bytes(), body]
            .concat()
    }));
    let all = [seeds[0].as_slice(), &seeds[7], &seeds[3], &seeds[11]].join(&BETWEEN);
    seeds.push(all);
    seeds
}

/// The creation of an object.
fn post(object: &Value) -> Option<Vec<u8>> {
    let version = object["apiVersion"].as_str()?;
    let (group, plain) = version.split_once('/').unwrap_or(("", version));
    let (kind, _) = kelson_registry::by_kind(group, plain, object["kind"].as_str()?)?;
    let root = if group.is_empty() { "api" } else { "apis" };
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
    let scope = if kind.namespaced { format!("namespaces/{namespace}/") } else { String::new() };
    Some(format!("POST /{root}/{version}/{scope}{}\n\n{object}", kind.plural).into_bytes())
}

/// Selectors.
pub fn selectors() -> Vec<Vec<u8>> {
    owned(&[
        "app=a,tier!=b,x in (y,z),w notin (v),q,!r,n>1,m<2",
        "metadata.name=a\\,b,spec.nodeName!=c,status.phase==d",
        r#"{"matchLabels":{"app":"a"},"matchExpressions":[{"key":"k","operator":"NotIn","values":["v"]}]}"#,
    ])
}

/// The manifests as they are.
pub fn yaml() -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> = MANIFESTS.iter().flat_map(|text| text.split("---\n")).map(Into::into).collect();
    seeds.extend(owned(&[
        "a: &x [1, 2]\nb: *x\nc: !!binary YQ==\nd: |\n  text\n",
        "{a: [b, {c: ~}], \"d\\n\": 'e'}",
    ]));
    seeds
}

/// A request for an address.
pub fn arp() -> Vec<Vec<u8>> {
    vec![
        b"\0\x01\x08\0\x06\x04\0\x01\x02\0\0\0\0\x02\xc0\0\x02\x02\0\0\0\0\0\0\xc0\0\x02\x01\0\0\0\0"
            .to_vec(),
    ]
}

/// A cluster's objects, together and one by one.
pub fn snapshot() -> Vec<Vec<u8>> {
    let objects = documents();
    let of = |kind: &str| -> Vec<String> {
        objects.iter().filter(|object| object["kind"] == kind).take(3).map(Value::to_string).collect()
    };
    let all = ["Service", "EndpointSlice", "Namespace", "Pod"].map(of).concat();
    let mut seeds: Vec<_> = all.iter().map(|object| object.clone().into_bytes()).collect();
    let gone = all.last().map(|last| format!("-{last}"));
    seeds.push(all.into_iter().chain(gone).collect::<Vec<_>>().join("\n").into_bytes());
    seeds
}

/// A token file, a header, a certificate.
pub fn credentials() -> Vec<Vec<u8>> {
    let mut seeds = owned(&["# c\nt0ken,alice,1,\"a,b\"\nother,\"b \"\"o\"\"b\",2\n", "Bearer t0ken"]);
    seeds.push(CERTIFICATE.to_vec());
    seeds
}

/// Schedules, some with a zone below.
pub fn cron() -> Vec<Vec<u8>> {
    owned(&[
        "*/5 0-6,8 1 JAN-MAR mon",
        "@hourly",
        "0 3 31 2 *",
        "30 2 29 3 *\nEurope/Berlin",
        "TZ=UTC 0 0 * * 7",
        "@every 1h30m",
    ])
}

/// Questions: a Service's, an alias, one with EDNS, the reverse of an address.
pub fn dns_queries() -> Vec<Vec<u8>> {
    let head = b"\x12\x34\x01\0\0\x01\0\0\0\0\0";
    let question = |name: &[u8], rtype: u8, edns: &[u8]| {
        [head, &[u8::from(!edns.is_empty())][..], name, &[0, 0, rtype, 0, 1], edns].concat()
    };
    let edns = b"\0\0\x29\x04\xd0\0\0\x80\0\0\0";
    vec![
        question(b"\x01B\x01a\x03svc\x01k", 1, b""),
        question(b"\x01d\x01a\x03svc\x01k", 28, edns),
        question(b"\x05_http\x04_tcp\x01b\x01a\x03svc\x01k", 33, edns),
        question(b"\x011\x010\x0296\x0210\x07in-addr\x04arpa", 12, b""),
        question(b"\x0bdns-version\x01k", 16, edns),
    ]
}

/// Answers from the flags on: an address, an alias, a denial with its authority, one with EDNS; and a `resolv.conf`.
pub fn dns_replies() -> Vec<Vec<u8>> {
    let address = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01";
    let alias = b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x02\xc0\x0e";
    let authority =
        b"\xc0\x0e\0\x06\0\x01\0\0\x01\x2c\0\x16\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x09";
    let edns = b"\0\0\x29\x04\xd0\0\0\0\0\0\0";
    vec![
        [&b"\x81\x80\0\x01\0\0\0\0"[..], address].concat(),
        [&b"\x81\x80\0\x02\0\0\0\x01"[..], alias, address, edns].concat(),
        [&b"\x81\x83\0\0\0\x01\0\x01"[..], authority, edns].concat(),
        [&b"\x83\x80\0\x40\0\0\0\0"[..], &address.repeat(64)].concat(),
        b"nameserver 192.0.2.1 # c\nsearch a\nnameserver fe80::1%eth0\noptions ndots:5\n".to_vec(),
    ]
}

/// Entries of a tar: path, what it is, what it leads to, its content.
fn tar(entries: &[(&str, EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, kind, link, content) in entries {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, *content).expect("writing to memory does not fail");
    }
    builder.into_inner().expect("writing to memory does not fail")
}

/// Layers: files, links, whiteouts, and paths that want out.
pub fn layers() -> Vec<Vec<u8>> {
    use EntryType::{Directory, Fifo, Link, Regular, Symlink};
    let good = tar(&[
        ("etc/", Directory, "", b""),
        ("etc/passwd", Regular, "", b"root:x:0:0::/root:/bin/sh\n"),
        ("bin/sh", Symlink, "/bin/busybox", b""),
        ("bin/link", Link, "etc/passwd", b""),
        ("etc/.wh.gone", Regular, "", b""),
        ("var/.wh..wh..opq", Regular, "", b""),
        ("pipe", Fifo, "", b""),
    ]);
    let bad = tar(&[
        ("out", Symlink, "../..", b""),
        ("out/file", Regular, "", b"x"),
        ("../beside", Regular, "", b"x"),
        ("hard", Link, "../beside", b""),
        ("a/../../b", Regular, "", b"x"),
        ("/.wh...", Regular, "", b""),
    ]);
    let pax = tar(&[
        ("p", EntryType::XHeader, "", b"18 path=deep/down\n28 SCHILY.xattr.user.a=bcde\n"),
        ("x", Regular, "", b"y"),
    ]);
    vec![good, bad, pax]
}

/// Archives as `docker save` and `ctr image export` make them; their layers' digests are not right.
pub fn archives() -> Vec<Vec<u8>> {
    use EntryType::Regular;
    let layer = &layers()[0];
    let digest = format!("sha256:{}", "0".repeat(64));
    let config = json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [digest]}});
    let manifest = json!([{"Config": "config.json", "RepoTags": ["a:1"], "Layers": ["layer.tar"]}]);
    let index = json!({"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest, "size": 2, "annotations": {"io.containerd.image.name": "docker.io/library/a:1"}}]});
    let (config, manifest, index) = (config.to_string(), manifest.to_string(), index.to_string());
    let blob = format!("blobs/sha256/{}", "0".repeat(64));
    vec![
        tar(&[
            ("layer.tar", Regular, "", layer),
            ("config.json", Regular, "", config.as_bytes()),
            ("manifest.json", Regular, "", manifest.as_bytes()),
        ]),
        tar(&[
            ("oci-layout", Regular, "", br#"{"imageLayoutVersion":"1.0.0"}"#),
            ("index.json", Regular, "", index.as_bytes()),
            (&blob, Regular, "", b"{}"),
        ]),
        layer.clone(),
    ]
}

/// A configuration, a manifest, an index, signals.
pub fn image_configs() -> Vec<Vec<u8>> {
    let digest = format!("sha256:{}", "a".repeat(64));
    let layer =
        json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": 3});
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest]},
        "config": {"Entrypoint": null, "Cmd": ["a"], "Env": ["A=b"], "User": "1:2", "WorkingDir": "/w", "Labels": {"a": "b"},
            "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}}, "StopSignal": "SIGRTMIN+3"}});
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": layer, "layers": [layer], "annotations": {"a": "b"}});
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 1,
            "platform": {"architecture": "arm64", "os": "linux", "variant": "v8"}}]});
    let mut seeds: Vec<_> =
        [config, manifest, index].iter().map(|json| json.to_string().into_bytes()).collect();
    seeds.extend(owned(&["RTMAX-2", "sigterm", "15"]));
    seeds
}

/// Names of images.
pub fn image_names() -> Vec<Vec<u8>> {
    let digest = "a".repeat(64);
    let with_digest = format!("[::1]:5000/a__b/c-d:t@sha256:{digest}");
    owned(&[
        "nginx",
        "nginx:1.14.2",
        "localhost:5000/a/b.c:_T-1",
        "index.docker.io/a",
        "quay.io/a/b",
        &with_digest,
    ])
}

/// A user, then users and groups.
pub fn passwd() -> Vec<Vec<u8>> {
    owned(&[
        "www:staff\nroot:x:0:0:root:/root:/bin/sh\nwww:x:1000:50:a,b:/var/www:/bin/false\nstaff:x:50:www,root\n",
    ])
}

/// A host, then a path.
pub fn routes() -> Vec<Vec<u8>> {
    owned(&["a.example\n/a/b/c", "X.a.example.:443\n/%7eb/../a//b?q=/..", "[::1]:80\n/a%2Fb/./c", "\n*"])
}

/// A query, then a log.
pub fn logs() -> Vec<Vec<u8>> {
    let lines = "2026-01-01T00:00:01.000000000Z stdout F one\n2026-01-01T00:00:02.5Z stderr P par\n2026-01-01T00:00:02.5Z stderr F:x t\n\n";
    let queries = [
        "follow=true&timestamps=1&tailLines=3&limitBytes=7",
        "sinceTime=2026-01-01T00:00:02Z&stream=Stderr",
        "sinceSeconds=9223372036854775807&command=sh&command=-c&stdin=1&stdout=true&tty=1",
    ];
    queries.iter().map(|query| format!("{query}\n{lines}").into_bytes()).collect()
}

/// A client's side of port-forward.
pub fn spdy() -> Vec<Vec<u8>> {
    vec![kelson_agent::streams::fuzz::spdy_client()]
}

/// Messages on each channel, in both forms, names of protocols, and probes' answers.
pub fn messages() -> Vec<Vec<u8>> {
    let mut seeds = owned(&[
        "\0hi",
        "\x04{\"Width\":80,\"Height\":24}",
        "0aGk=",
        "4eyJXaWR0aCI6MSwiSGVpZ2h0IjoyfQ==",
        "v5.channel.k8s.io, v4.channel.k8s.io",
    ]);
    seeds.extend([vec![255, 0], vec![0, 0, 0, 0, 2, 8, 1]]);
    seeds
}
