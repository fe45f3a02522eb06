//! `kelson lookup`: asks a name server as a pod would, search path included, and prints the answers.
//!
//! For images with nothing else in them: `kubectl exec POD -- /kelson lookup hello`.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
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
    /// The name to look up, or an address whose name is wanted
    name: String,
    /// Kind of record: A, AAAA, SRV, PTR, CNAME, TXT … [default: A, or PTR for an address]
    #[arg(long = "type")]
    kind: Option<String>,
    /// Name server to ask [default: the first of /etc/resolv.conf]
    #[arg(long)]
    server: Option<IpAddr>,
    /// Port of the name server
    #[arg(long, default_value_t = 53)]
    port: u16,
}

pub fn run(flags: &Flags) -> anyhow::Result<()> {
    let resolv = Resolv::parse(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
    let server =
        flags.server.or(resolv.server).context("no name server in /etc/resolv.conf: pass --server")?;
    let server = SocketAddr::new(server, flags.port);
    let (name, kind) = wanted(flags)?;
    println!("server {server}");
    for candidate in resolv.candidates(&name) {
        let answer = ask(server, &candidate, kind)?;
        match answer.metadata.response_code {
            ResponseCode::NoError => return print(&candidate, kind, &answer),
            ResponseCode::NXDomain => {}
            other => bail!("{server} answered {other} to {candidate}"),
        }
    }
    bail!("{server} knows no {}", flags.name)
}

/// The name and the kind of record: of an address, the name that leads to its name.
fn wanted(flags: &Flags) -> anyhow::Result<(String, RecordType)> {
    let kind = |text: &String| {
        let parsed: Result<RecordType, _> = text.to_uppercase().parse();
        parsed.with_context(|| format!("--type: {text} is no record type"))
    };
    let kind = flags.kind.as_ref().map(kind).transpose()?;
    Ok(match flags.name.parse::<IpAddr>() {
        Ok(address) => (Name::from(address).to_ascii(), kind.unwrap_or(RecordType::PTR)),
        Err(_) => (flags.name.clone(), kind.unwrap_or(RecordType::A)),
    })
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

/// Asks `server` for the records of type `kind` of `name`; over TCP when the answer does not fit a datagram.
pub fn ask(server: SocketAddr, name: &str, kind: RecordType) -> anyhow::Result<Message> {
    #[expect(clippy::cast_possible_truncation, reason = "a message id is 16 of the random bits")]
    let id = kelson_process::random_u64() as u16;
    let mut query = Message::new(id, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(
        Name::from_ascii(name).with_context(|| format!("{name} is no domain name"))?,
        kind,
    ));
    let query = query.to_vec()?;
    let silence = || format!("no answer from {server}");
    let read = |bytes: &[u8]| -> anyhow::Result<Message> {
        let answer =
            Message::from_vec(bytes).with_context(|| format!("{server} answered something malformed"))?;
        if answer.metadata.id != id {
            bail!("{server} answered another question");
        }
        Ok(answer)
    };
    let answer = read(&by_udp(server, &query).with_context(silence)?)?;
    if answer.metadata.truncation { read(&by_tcp(server, &query).with_context(silence)?) } else { Ok(answer) }
}

fn by_udp(server: SocketAddr, query: &[u8]) -> std::io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.connect(server)?;
    socket.send(query)?;
    let mut buffer = vec![0; ANSWER_BYTES];
    let length = socket.recv(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

fn by_tcp(server: SocketAddr, query: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let length = u16::try_from(query.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], query].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer)?;
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
