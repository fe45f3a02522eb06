//! `kelson lookup`: asks a name server as a pod would, search path included, and prints the answers.
//!
//! For images with nothing else in them: `kubectl exec POD -- /kelson lookup hello`.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, bail};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The largest answer asked for.
const ANSWER_BYTES: usize = 4096;

#[derive(clap::Args)]
pub struct Flags {
    /// The name to look up
    name: String,
    /// Kind of record: A, AAAA, SRV, PTR, CNAME, TXT …
    #[arg(long = "type", default_value = "A")]
    kind: String,
    /// Name server to ask [default: the first of /etc/resolv.conf]
    #[arg(long)]
    server: Option<IpAddr>,
}

pub fn run(flags: &Flags) -> anyhow::Result<()> {
    let resolv = Resolv::parse(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
    let server =
        flags.server.or(resolv.server).context("no name server in /etc/resolv.conf: pass --server")?;
    let kind: RecordType = flags
        .kind
        .to_uppercase()
        .parse()
        .with_context(|| format!("--type: {} is no record type", flags.kind))?;
    println!("server {server}");
    for candidate in resolv.candidates(&flags.name) {
        let answer = ask(server, &candidate, kind)?;
        match answer.metadata.response_code {
            ResponseCode::NoError => return print(&candidate, kind, &answer),
            ResponseCode::NXDomain => {}
            other => bail!("{server} answered {other} to {candidate}"),
        }
    }
    bail!("{server} knows no {}", flags.name)
}

fn print(name: &str, kind: RecordType, answer: &Message) -> anyhow::Result<()> {
    for record in &answer.answers {
        println!("{} {} {} {}", record.name, record.ttl, record.record_type(), record.data);
    }
    if answer.answers.is_empty() {
        bail!("{name} exists and has no {kind} record");
    }
    Ok(())
}

fn ask(server: IpAddr, name: &str, kind: RecordType) -> anyhow::Result<Message> {
    #[expect(clippy::cast_possible_truncation, reason = "a message id is 16 of the random bits")]
    let id = kelson_process::random_u64() as u16;
    let mut query = Message::new(id, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(
        Name::from_ascii(name).with_context(|| format!("{name} is no domain name"))?,
        kind,
    ));
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.connect(SocketAddr::new(server, 53))?;
    socket.send(&query.to_vec()?).with_context(|| format!("asking {server}"))?;
    let mut buffer = [0; ANSWER_BYTES];
    let length = socket.recv(&mut buffer).with_context(|| format!("no answer from {server}"))?;
    let answer = Message::from_vec(&buffer[..length])
        .with_context(|| format!("{server} answered something malformed"))?;
    if answer.metadata.id != id {
        bail!("{server} answered another question");
    }
    Ok(answer)
}

/// What resolv.conf says, as far as one question needs it.
#[derive(Default)]
struct Resolv {
    server: Option<IpAddr>,
    search: Vec<String>,
    ndots: usize,
}

impl Resolv {
    fn parse(text: &str) -> Self {
        let mut resolv = Self { ndots: 1, ..Self::default() };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => resolv.server = resolv.server.or_else(|| words.next()?.parse().ok()),
                Some("search") => resolv.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let ndots = words.filter_map(|w| w.strip_prefix("ndots:")?.parse().ok()).next_back();
                    resolv.ndots = ndots.unwrap_or(resolv.ndots);
                }
                _ => {}
            }
        }
        resolv
    }

    /// The absolute names to try, in resolver order: the search path first while the name has fewer than `ndots` dots.
    fn candidates(&self, name: &str) -> Vec<String> {
        let absolute = format!("{}.", name.trim_end_matches('.'));
        if name.ends_with('.') {
            return vec![absolute];
        }
        let searched =
            self.search.iter().map(|domain| format!("{absolute}{}.", domain.trim_end_matches('.')));
        let mut candidates: Vec<String> = searched.collect();
        let first = if name.matches('.').count() >= self.ndots { 0 } else { candidates.len() };
        candidates.insert(first, absolute);
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::Resolv;

    fn check(name: &str, expected: &[&str]) {
        let resolv = Resolv::parse("nameserver 10.96.0.10\nsearch a.svc svc.\noptions ndots:2 timeout:1\n");
        assert_eq!(resolv.candidates(name), expected, "{name}");
    }

    #[test]
    fn short_names_try_the_search_path_first() {
        check("web", &["web.a.svc.", "web.svc.", "web."]);
        check("web.b", &["web.b.a.svc.", "web.b.svc.", "web.b."]);
        check("web.b.c", &["web.b.c.", "web.b.c.a.svc.", "web.b.c.svc."]);
        check("web.", &["web."]);
    }
}
