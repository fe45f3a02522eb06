//! The channels of `kubectl exec` and `attach` in WebSocket messages. Pure.
//!
//! A message is one byte that names the channel and then its bytes (spec I20). The base64 variants send text messages
//! whose first character is the channel's digit. Version 5 can close a channel: `255, channel`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub const STDIN: u8 = 0;
pub const STDOUT: u8 = 1;
pub const STDERR: u8 = 2;
pub const ERROR: u8 = 3;
pub const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// How the two sides agreed to talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub name: &'static str,
    /// Text messages in base64.
    pub base64: bool,
    /// The error channel carries a `Status`; older ones carry bare words, and only of failures.
    pub status: bool,
}

/// What we speak, best first. A client that names none gets the last but one, as upstream does.
pub const PROTOCOLS: [Protocol; 5] = [
    Protocol { name: "v5.channel.k8s.io", base64: false, status: true },
    Protocol { name: "v4.channel.k8s.io", base64: false, status: true },
    Protocol { name: "v4.base64.channel.k8s.io", base64: true, status: true },
    Protocol { name: "channel.k8s.io", base64: false, status: false },
    Protocol { name: "base64.channel.k8s.io", base64: true, status: false },
];

/// The first of the client's protocols that we speak; `None` if it names only others.
pub fn choose<'a>(requested: impl IntoIterator<Item = &'a str>) -> Option<Protocol> {
    let mut named = false;
    for name in requested.into_iter().map(str::trim).filter(|name| !name.is_empty()) {
        named = true;
        if let Some(protocol) = PROTOCOLS.into_iter().find(|protocol| protocol.name == name) {
            return Some(protocol);
        }
    }
    if named { None } else { Some(PROTOCOLS[3]) }
}

/// What a client's message means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    Stdin(Vec<u8>),
    /// No more input will come.
    StdinEnd,
    Resize {
        columns: u16,
        rows: u16,
    },
    /// Nothing to act on: an empty message, or a channel that is not the client's to write.
    Nothing,
}

impl Protocol {
    /// Reads a client's message. Malformed ones mean nothing.
    pub fn read(self, message: &[u8]) -> Incoming {
        let Some((&channel, bytes)) = message.split_first() else { return Incoming::Nothing };
        if !self.base64 {
            return meaning(channel, bytes.to_vec());
        }
        match STANDARD.decode(bytes) {
            Ok(bytes) => meaning(channel.wrapping_sub(b'0'), bytes),
            Err(_) => Incoming::Nothing,
        }
    }

    /// A message to the client. For base64 protocols it is ASCII, to be sent as text.
    pub fn write(self, channel: u8, bytes: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(1 + bytes.len());
        if self.base64 {
            message.push(b'0' + channel);
            message.extend_from_slice(STANDARD.encode(bytes).as_bytes());
        } else {
            message.push(channel);
            message.extend_from_slice(bytes);
        }
        message
    }

    /// The last message: how it ended. `None` where the protocol says nothing about success.
    pub fn outcome(self, outcome: &Outcome) -> Option<Vec<u8>> {
        let status = outcome.status();
        let words = if self.status {
            status.to_string()
        } else if let Outcome::Exited { code: 0, .. } = outcome {
            return None;
        } else {
            status["message"].as_str().unwrap_or_default().to_owned()
        };
        Some(self.write(ERROR, words.as_bytes()))
    }
}

fn meaning(channel: u8, bytes: Vec<u8>) -> Incoming {
    match channel {
        STDIN if bytes.is_empty() => Incoming::Nothing,
        STDIN => Incoming::Stdin(bytes),
        CLOSE if bytes == [STDIN] => Incoming::StdinEnd,
        RESIZE => {
            size(&bytes).map_or(Incoming::Nothing, |(columns, rows)| Incoming::Resize { columns, rows })
        }
        _ => Incoming::Nothing,
    }
}

/// `{"Width":80,"Height":24}`; a size of nothing is no size.
pub fn size(bytes: &[u8]) -> Option<(u16, u16)> {
    let size: Value = serde_json::from_slice(bytes).ok()?;
    let of = |name: &str| {
        size[name].as_u64().and_then(|value| u16::try_from(value).ok()).filter(|value| *value > 0)
    };
    Some((of("Width")?, of("Height")?))
}

/// How an exec or attach ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Exited { code: i32, command: Vec<String> },
    Failed(String),
}

impl Outcome {
    /// The `Status` kubectl reads its exit code from.
    pub fn status(&self) -> Value {
        match self {
            Outcome::Exited { code: 0, .. } => json!({ "metadata": {}, "status": "Success" }),
            Outcome::Exited { code, command } => {
                let command = command.join(" ");
                let what = format!("error executing command [{command}], exit code {code}");
                json!({
                    "metadata": {},
                    "status": "Failure",
                    "message": format!("command terminated with non-zero exit code: {what}"),
                    "reason": "NonZeroExitCode",
                    "details": { "causes": [{ "reason": "ExitCode", "message": code.to_string() }] },
                })
            }
            Outcome::Failed(why) => {
                let mut status = kelson_machinery::status::Status::internal(why).to_json();
                if let Some(fields) = status.as_object_mut() {
                    fields.remove("kind");
                    fields.remove("apiVersion");
                }
                status
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i20_the_clients_first_choice_that_we_speak() {
        let check = |requested: &[&str], expected: Option<&str>| {
            assert_eq!(
                choose(requested.iter().copied()).map(|protocol| protocol.name),
                expected,
                "{requested:?}"
            );
        };
        check(&["v5.channel.k8s.io", "v4.channel.k8s.io"], Some("v5.channel.k8s.io"));
        check(&["v9.channel.k8s.io", " v4.channel.k8s.io"], Some("v4.channel.k8s.io"));
        check(&["v9.channel.k8s.io"], None);
        check(&[], Some("channel.k8s.io"));
    }

    #[test]
    fn i20_messages_of_the_client() {
        let check = |protocol: usize, message: &[u8], expected: Incoming| {
            assert_eq!(PROTOCOLS[protocol].read(message), expected, "{message:?}");
        };
        check(0, b"\0hi", Incoming::Stdin(b"hi".to_vec()));
        check(0, b"\0", Incoming::Nothing);
        check(0, &[255, 0], Incoming::StdinEnd);
        check(0, &[255, 1], Incoming::Nothing);
        check(0, b"\x04{\"Width\":80,\"Height\":24}", Incoming::Resize { columns: 80, rows: 24 });
        check(0, b"\x04{\"Width\":0,\"Height\":24}", Incoming::Nothing);
        check(0, b"\x04{\"Width\":99999999,\"Height\":24}", Incoming::Nothing);
        check(0, b"\x04nonsense", Incoming::Nothing);
        check(0, b"\x01not yours", Incoming::Nothing);
        check(0, b"", Incoming::Nothing);
        check(2, b"0aGk=", Incoming::Stdin(b"hi".to_vec()));
        check(2, b"0!", Incoming::Nothing);
    }

    #[test]
    fn i20_messages_to_the_client() {
        assert_eq!(PROTOCOLS[0].write(STDOUT, b"hi"), b"\x01hi");
        assert_eq!(PROTOCOLS[4].write(STDERR, b"hi"), b"2aGk=");
        let seven = Outcome::Exited { code: 7, command: vec!["sh".into(), "-c".into()] };
        let message = PROTOCOLS[0].outcome(&seven).unwrap();
        let status: Value = serde_json::from_slice(&message[1..]).unwrap();
        assert_eq!((message[0], status["reason"].as_str()), (ERROR, Some("NonZeroExitCode")));
        assert_eq!(status["details"]["causes"][0], json!({ "reason": "ExitCode", "message": "7" }));
        let fine = Outcome::Exited { code: 0, command: Vec::new() };
        assert_eq!(PROTOCOLS[1].outcome(&fine).unwrap()[1..], *br#"{"metadata":{},"status":"Success"}"#);
        assert_eq!(PROTOCOLS[3].outcome(&fine), None);
        let failed = Outcome::Failed("why".into());
        assert_eq!(PROTOCOLS[3].outcome(&failed).unwrap(), b"\x03Internal error occurred: why");
        assert_eq!(failed.status()["reason"], "InternalError");
    }
}
