//! Bytes in and out: logs, exec, attach, terminals.

use crate::world::{World, ended, finish, until};
use kelson_runtime::{AttachConfig, ExecConfig, LOG_FILES, LOG_SIZE_BYTES_MAX, Phase, Pod};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn exec(args: &[&str], tty: bool) -> ExecConfig {
    let args = args.iter().map(|arg| arg.to_string()).collect();
    ExecConfig { args, tty, stdin: true, stdout: true, stderr: !tty, ..ExecConfig::default() }
}

async fn sleeper(world: &World, uid: &str) -> Pod {
    let pod = world.pod(uid).await;
    let mut config = world.shell("c", "sleep 100");
    config.env = vec![("OWN".into(), "container".into()), ("BOTH".into(), "container".into())];
    pod.create(&config).await.unwrap();
    pod.start("c").await.unwrap();
    pod
}

pub async fn log_lines_and_pieces(world: &World) {
    let pod = world.pod("log").await;
    let script = "echo one; echo; head -c 16385 /dev/zero; echo; echo -n end";
    world.run(&pod, &world.shell("c", script)).await;
    pod.remove("c").await.unwrap();
    let zeros = "\0".repeat(16384);
    assert_eq!(
        world.log("c"),
        ["stdout F one", "stdout F ", &format!("stdout P {zeros}"), "stdout F \0", "stdout P end"]
    );
    let first = std::fs::read_to_string(world.log_path("c")).unwrap();
    let stamp = first.split(' ').next().unwrap();
    assert_eq!((stamp.len(), &stamp[10..11], &stamp[19..20], &stamp[29..]), (30, "T", ".", "Z"), "{stamp}");
}

pub async fn log_rotation(world: &World) {
    let pod = world.pod("rot").await;
    let state = world
        .run(&pod, &world.shell("c", "yes 0123456789012345678901234567890123456789 | head -n 900000"))
        .await;
    assert_eq!(state.exit_code, 0);
    let dir = world.log_path("c").parent().unwrap().to_owned();
    let sizes: Vec<(String, u64)> = std::fs::read_dir(dir)
        .unwrap()
        .flatten()
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len()))
        .collect();
    assert_eq!(sizes.len(), LOG_FILES, "{sizes:?}");
    assert!(sizes.iter().all(|(_, size)| *size <= LOG_SIZE_BYTES_MAX && *size > 0), "{sizes:?}");
    assert!(world.output("c").iter().all(|line| line == "0123456789012345678901234567890123456789"));
}

pub async fn exec_pipes(world: &World) {
    let pod = sleeper(world, "exec").await;
    let mut config = exec(&["sh", "-c", "cat; echo $OWN $BOTH >&2; hostname; pwd; exit 7"], false);
    config.env = vec![("BOTH".into(), "exec".into())];
    config.cwd = "/tmp".into();
    let mut session = pod.exec("c", &config).await.unwrap();
    session.stdin.as_mut().unwrap().write_all(b"input\n").await.unwrap();
    let (out, err, code) = finish(session).await;
    assert_eq!((out.as_str(), err.as_str(), code), ("input\nhost-exec\n/tmp\n", "container exec\n", 7));
    let session = pod.exec("c", &ExecConfig { stdin: false, ..exec(&["cat"], false) }).await.unwrap();
    assert_eq!(finish(session).await, (String::new(), String::new(), 0), "no input is an empty input");
    let mut session = pod.exec("c", &exec(&["sleep", "100"], false)).await.unwrap();
    session.control.kill(libc::SIGKILL).await.unwrap();
    assert_eq!(session.wait().await.unwrap(), 137);
}

pub async fn exec_terminal(world: &World) {
    let pod = sleeper(world, "tty").await;
    let script = "tty; read line; stty size; echo got $line $TERM; exit 7";
    let mut session = pod.exec("c", &exec(&["sh", "-c", script], true)).await.unwrap();
    session.resize(132, 43).unwrap();
    session.stdin.as_mut().unwrap().write_all(b"typed\n").await.unwrap();
    let mut out = String::new();
    session.stdout.as_mut().unwrap().read_to_string(&mut out).await.unwrap();
    assert_eq!(session.wait().await.unwrap(), 7);
    assert!(
        out.contains("/dev/pts/0") && out.contains("43 132") && out.contains("got typed xterm"),
        "{out:?}"
    );
}

pub async fn exec_not_found(world: &World) {
    let pod = sleeper(world, "nf").await;
    let error =
        |result: Result<kelson_runtime::Session, kelson_runtime::Error>| result.err().unwrap().to_string();
    let said = error(pod.exec("c", &exec(&["nosuch"], false)).await);
    assert_eq!(said, "exec: \"nosuch\": executable file not found in $PATH");
    let said = error(pod.exec("c", &exec(&["nosuch"], true)).await);
    assert_eq!(said, "exec: \"nosuch\": executable file not found in $PATH");
    let said = error(pod.exec("other", &exec(&["true"], false)).await);
    assert_eq!(said, "container other not found");
    pod.kill("c").await.unwrap();
    ended(&pod, "c").await;
    let said = error(pod.exec("c", &exec(&["true"], false)).await);
    assert_eq!(said, "container c is not running");
}

/// What `kubectl cp` does: megabytes through standard input, end of file, megabytes back, then the status.
pub async fn exec_large_input_and_output(world: &World) {
    let pod = sleeper(world, "cp").await;
    let mut session =
        pod.exec("c", &exec(&["sh", "-c", "cat > /tmp/x; wc -c < /tmp/x; cat /tmp/x"], false)).await.unwrap();
    let bytes: Vec<u8> = (0..5_000_000u32).map(|n| (n % 251) as u8).collect();
    let mut stdin = session.stdin.take().unwrap();
    let send = async {
        stdin.write_all(&bytes).await.unwrap();
        drop(stdin);
    };
    let (mut stdout, mut got) = (session.stdout.take().unwrap(), Vec::new());
    let (_, read) = tokio::join!(send, stdout.read_to_end(&mut got));
    read.unwrap();
    assert_eq!(session.wait().await.unwrap(), 0);
    assert!(got.starts_with(b"5000000\n") && got[8..] == bytes[..], "{} bytes came back", got.len());
}

pub async fn attach_and_stdin(world: &World) {
    let pod = world.pod("att").await;
    let mut config =
        world.shell("c", "while read line; do echo got $line; echo err >&2; done; echo eof; exit 4");
    config.stdin = true;
    config.stdin_once = true;
    pod.create(&config).await.unwrap();
    pod.start("c").await.unwrap();
    let attach = AttachConfig { stdin: true, stdout: true, stderr: false };
    let mut session = pod.attach("c", &attach).await.unwrap();
    let mut watcher =
        pod.attach("c", &AttachConfig { stdin: false, stdout: true, stderr: true }).await.unwrap();
    session.stdin.as_mut().unwrap().write_all(b"a\nb\n").await.unwrap();
    let (out, _, code) = finish(session).await;
    assert_eq!((out.as_str(), code), ("got a\ngot b\neof\n", 4));
    let (mut out, mut err) = (String::new(), String::new());
    watcher.stdout.as_mut().unwrap().read_to_string(&mut out).await.unwrap();
    watcher.stderr.as_mut().unwrap().read_to_string(&mut err).await.unwrap();
    assert_eq!((out.as_str(), err.as_str()), ("got a\ngot b\neof\n", "err\nerr\n"));
    assert_eq!(world.output("c"), ["got a", "got b", "eof"], "the log has it too");
    assert!(pod.attach("c", &attach).await.is_err(), "it has ended");
}

pub async fn terminal_container(world: &World) {
    let pod = world.pod("term").await;
    // As long as a pod's uid and a name can be: a path of more than the 107 bytes of a socket's address.
    let id = ["0123456789"; 10].concat();
    let mut config = world.shell(&id, "tty; read line; stty size; echo $line; exit 6");
    config.tty = true;
    config.stdin = true;
    pod.create(&config).await.unwrap();
    pod.start(&id).await.unwrap();
    let mut session =
        pod.attach(&id, &AttachConfig { stdin: true, stdout: true, stderr: false }).await.unwrap();
    session.resize(100, 30).unwrap();
    session.stdin.as_mut().unwrap().write_all(b"hello\n").await.unwrap();
    assert_eq!(session.wait().await.unwrap(), 6);
    assert_eq!(until(&pod, &id, |state| state.phase == Phase::Exited).await.exit_code, 6);
    let log = world.output(&id).join("\n");
    assert!(log.contains("/dev/pts/0") && log.contains("30 100") && log.contains("hello"), "{log:?}");
}
