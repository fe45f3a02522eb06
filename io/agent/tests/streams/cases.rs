//! Logs, exec, attach and cp, as clients see them.

use crate::stage::Stage;
use futures_util::{SinkExt, StreamExt};
use kelson_runtime::ContainerConfig;
use std::pin::Pin;
use std::process::Output;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

pub type Case = for<'a> fn(&'a Stage) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub fn all() -> Vec<(&'static str, Case)> {
            vec![$((stringify!($name), |stage| Box::pin($name(stage)))),*]
        }
    };
}

cases![
    i24_kubectl_logs,
    i20_kubectl_exec,
    i20_kubectl_exec_fails,
    i20_kubectl_attach,
    i23_kubectl_cp_loses_nothing,
    i20_half_close_and_order,
    i21_old_channel_protocols,
    i20_kubectl_exec_over_spdy,
    i22_kubectl_port_forward,
    refusals_before_the_upgrade,
];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn kubectl(stage: &Stage, args: &[&str], input: Option<&[u8]>) -> (String, String, i32) {
    let mut command = stage.kubectl(args);
    if input.is_some() {
        command.stdin(std::process::Stdio::piped());
    }
    let mut child = command.spawn().expect("kubectl is installed");
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        stdin.write_all(input).await.unwrap();
    }
    let Output { status, stdout, stderr } = child.wait_with_output().await.unwrap();
    (text(&stdout), text(&stderr), status.code().unwrap_or(-1))
}

async fn i24_kubectl_logs(stage: &Stage) {
    stage.start("echo one; echo two; sleep 0.5; echo three", |_| {}).await;
    let followed = kubectl(stage, &["logs", "p", "-f"], None).await;
    assert_eq!(followed, ("one\ntwo\nthree\n".into(), String::new(), 0));
    assert_eq!(kubectl(stage, &["logs", "p", "--tail=1"], None).await.0, "three\n");
    assert_eq!(kubectl(stage, &["logs", "p", "--limit-bytes=5"], None).await.0, "one\nt");
    let stamped = kubectl(stage, &["logs", "p", "--timestamps", "--tail=1"], None).await.0;
    assert!(stamped.ends_with("Z three\n") && stamped.len() == 37, "{stamped:?}");
    let previous = kubectl(stage, &["logs", "p", "--previous"], None).await;
    let words =
        "Error from server (BadRequest): previous terminated container \"c\" in pod \"p\" not found\n";
    assert_eq!(previous, (String::new(), words.into(), 1));
}

async fn i20_kubectl_exec(stage: &Stage) {
    stage.start("sleep 100", |_| {}).await;
    let script = "cat; echo err >&2; exit 7";
    let got = kubectl(stage, &["exec", "-i", "p", "--", "sh", "-c", script], Some(b"in\n")).await;
    assert_eq!(got, ("in\n".into(), "err\ncommand terminated with exit code 7\n".into(), 7));
    assert_eq!(
        kubectl(stage, &["exec", "p", "--", "echo", "a b", "c"], None).await,
        ("a b c\n".into(), String::new(), 0)
    );
}

async fn i20_kubectl_exec_fails(stage: &Stage) {
    stage.start("sleep 100", |_| {}).await;
    let (out, err, code) = kubectl(stage, &["exec", "p", "--", "nosuch"], None).await;
    assert!(err.contains("exec: \"nosuch\": executable file not found in $PATH"), "{err}");
    assert_eq!((out.as_str(), code), ("", 1));
    stage.pod.kill("c").await.unwrap();
}

async fn i20_kubectl_attach(stage: &Stage) {
    let script = "while read line; do echo got $line; done; echo eof";
    stage
        .start(script, |config: &mut ContainerConfig| {
            config.stdin = true;
            config.stdin_once = true;
        })
        .await;
    let (out, err, code) = kubectl(stage, &["attach", "-i", "p"], Some(b"a\nb\n")).await;
    assert_eq!((out.as_str(), code), ("got a\ngot b\neof\n", 0), "{err}");
}

async fn i23_kubectl_cp_loses_nothing(stage: &Stage) {
    stage.start("sleep 100", |_| {}).await;
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (there, back) = (stage.path("there.bin"), stage.path("back.bin"));
    std::fs::write(&there, &bytes).unwrap();
    for _ in 0..3 {
        let (_, err, code) = kubectl(stage, &["cp", there.to_str().unwrap(), "p:/tmp/x.bin"], None).await;
        assert_eq!(code, 0, "{err}");
        let (_, err, code) = kubectl(stage, &["cp", "p:/tmp/x.bin", back.to_str().unwrap()], None).await;
        assert_eq!(code, 0, "{err}");
        assert!(std::fs::read(&back).unwrap() == bytes);
        std::fs::remove_file(&back).unwrap();
    }
}

type Socket = tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>;

async fn connect(stage: &Stage, path: &str, protocol: &str) -> Result<Socket, (u16, String)> {
    let url = format!("ws://{}/api/v1/namespaces/default/pods/p/{path}", stage.address);
    let mut request = url.into_client_request().unwrap();
    if !protocol.is_empty() {
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
    }
    let stream = tokio::net::TcpStream::connect(stage.address).await.unwrap();
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
            Err((response.status().as_u16(), text(response.body().as_deref().unwrap_or_default())))
        }
        Err(error) => panic!("{error}"),
    }
}

/// Every message until the close.
async fn messages(mut socket: Socket) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Binary(bytes) => all.push(bytes.to_vec()),
            Message::Text(text) => all.push(text.as_bytes().to_vec()),
            Message::Close(_) => break,
            _ => {}
        }
    }
    all
}

async fn i20_half_close_and_order(stage: &Stage) {
    stage.start("sleep 100", |_| {}).await;
    let path = "exec?stdin=true&stdout=true&stderr=true&command=sh&command=-c&command=cat%3B%20exit%203";
    let mut socket = connect(stage, path, "v5.channel.k8s.io").await.unwrap();
    let chunk = vec![b'x'; 30_000];
    for _ in 0..40 {
        socket.send(Message::binary([&[0u8][..], &chunk].concat())).await.unwrap();
    }
    socket.send(Message::binary(vec![255, 0])).await.unwrap();
    let all = messages(socket).await;
    assert_eq!(all[0], [1], "the empty message that says the connection stands");
    let (last, output) = all.split_last().unwrap();
    let bytes: usize = output.iter().map(|message| message.len() - 1).sum();
    assert_eq!(bytes, 40 * chunk.len(), "all output comes before the outcome");
    let status: serde_json::Value = serde_json::from_slice(&last[1..]).unwrap();
    assert_eq!((last[0], status["details"]["causes"][0]["message"].as_str()), (3, Some("3")));
}

async fn i21_old_channel_protocols(stage: &Stage) {
    stage.start("sleep 100", |_| {}).await;
    let path = "exec?stdout=1&stderr=1&command=echo&command=remote";
    let all = messages(connect(stage, path, "").await.unwrap()).await;
    assert_eq!(all, [&b"\x01"[..], b"\x01remote\n"]);
    let all = messages(connect(stage, path, "base64.channel.k8s.io").await.unwrap()).await;
    assert_eq!(all, [&b"1"[..], b"1cmVtb3RlCg=="]);
    // A terminal with its size.
    let path = "exec?stdin=1&stdout=1&tty=1&command=sh&command=-c&command=read%20x%3B%20stty%20size";
    let mut socket = connect(stage, path, "v4.channel.k8s.io").await.unwrap();
    socket.send(Message::binary(b"\x04{\"Width\":120,\"Height\":33}".to_vec())).await.unwrap();
    socket.send(Message::binary(b"\0go\n".to_vec())).await.unwrap();
    let all: Vec<u8> = messages(socket).await.concat();
    assert!(text(&all).contains("33 120"), "{:?}", text(&all));
}

/// kubectl takes the older way when told to.
async fn over_spdy(stage: &Stage, args: &[&str], input: &[u8]) -> (String, String, i32) {
    let mut command = stage.kubectl(args);
    command.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false").stdin(std::process::Stdio::piped());
    let mut child = command.spawn().expect("kubectl is installed");
    child.stdin.take().unwrap().write_all(input).await.unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().await.unwrap();
    (text(&stdout), text(&stderr), status.code().unwrap_or(-1))
}

async fn i20_kubectl_exec_over_spdy(stage: &Stage) {
    stage.start("sleep 100", |_| {}).await;
    let input = "0123456789abcdef\n".repeat(60_000);
    let args = ["exec", "-i", "p", "--", "sh", "-c", "cat; echo err >&2; exit 7"];
    let (out, err, code) = over_spdy(stage, &args, input.as_bytes()).await;
    assert!(out == input, "{} bytes of {}", out.len(), input.len());
    assert_eq!((err.as_str(), code), ("err\ncommand terminated with exit code 7\n", 7));
    let (_, err, code) = over_spdy(stage, &["exec", "p", "--", "nosuch"], b"").await;
    assert!(err.contains("executable file not found in $PATH") && code == 1, "{err}");
}

/// Both ways of port-forward, with many bytes and more than one connection.
async fn i22_kubectl_port_forward(stage: &Stage) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let echo = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut read, mut write) = socket.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    for websockets in ["true", "false"] {
        let mut command =
            stage.kubectl(&["port-forward", "pod/p", &format!(":{port}"), "--address=127.0.0.1"]);
        let mut kubectl = command.env("KUBECTL_PORT_FORWARD_WEBSOCKETS", websockets).spawn().unwrap();
        let mut lines = BufReader::new(kubectl.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().expect("kubectl says where it listens");
        let local: u16 = line.split(" -> ").next().unwrap().rsplit(':').next().unwrap().parse().unwrap();
        for size in [5, 2_000_000] {
            let bytes = vec![b'x'; size];
            let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", local)).await.unwrap();
            let (mut read, mut write) = socket.split();
            let mut got = Vec::new();
            let send = async {
                write.write_all(&bytes).await.unwrap();
                write.shutdown().await.unwrap();
            };
            let (_, result) = tokio::join!(send, read.read_to_end(&mut got));
            result.unwrap();
            assert!(got == bytes, "websockets {websockets}: {} of {size} bytes came back", got.len());
        }
        kubectl.kill().await.unwrap();
    }
    echo.abort();
    let mut command = stage.kubectl(&["port-forward", "pod/p", ":1", "--address=127.0.0.1"]);
    let mut kubectl = command.spawn().unwrap();
    let mut lines = BufReader::new(kubectl.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let local: u16 = line.split(" -> ").next().unwrap().rsplit(':').next().unwrap().parse().unwrap();
    let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", local)).await.unwrap();
    let _ = socket.read_to_end(&mut Vec::new()).await;
    kubectl.start_kill().unwrap();
    let mut said = String::new();
    kubectl.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
    assert!(said.contains("error forwarding port 1 to pod p, uid : Connection refused"), "{said}");
}

async fn refusals_before_the_upgrade(stage: &Stage) {
    stage.start("sleep 100", |_| {}).await;
    let refused = async |path: &str, protocol: &str, code: u16, words: &str| {
        let (got, body) = connect(stage, path, protocol).await.expect_err(path);
        assert!(got == code && body.contains(words), "{path}: {got} {body}");
    };
    let v5 = "v5.channel.k8s.io";
    refused("exec?command=true", v5, 400, "you must specify at least 1 of stdin, stdout, stderr").await;
    refused("exec?stdout=true", v5, 400, "you must specify a command").await;
    refused("exec?stdout=true&command=true", "v9.channel.k8s.io", 400, "unable to negotiate protocol").await;
    refused("exec?stdout=true&command=true&container=other", v5, 400, "container other not found").await;
}
