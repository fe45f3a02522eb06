//! What is read of resolv.conf and of answers, and which addresses a name may not lead to.

use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::{A, CNAME};

use super::*;

#[test]
fn name_servers_of_resolv_conf() {
    let text = "# nameserver 192.0.2.9\nsearch example\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 \nnameserver here\n";
    let expected: [SocketAddr; 2] = ["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()];
    assert_eq!(name_servers(text), expected);
}

#[test]
fn local_addresses() {
    let check =
        |address: &str, expected: bool| assert_eq!(is_local(address.parse().unwrap()), expected, "{address}");
    for local in ["127.0.0.1", "127.8.8.8", "0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255"] {
        check(local, true);
    }
    for local in ["::1", "::", "fe80::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254"] {
        check(local, true);
    }
    for other in ["192.0.2.1", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.1"] {
        check(other, false);
    }
}

fn message(code: ResponseCode, records: Vec<Record>) -> Message {
    let mut message = Message::new(7, MessageType::Response, OpCode::Query);
    message.metadata.response_code = code;
    message.answers = records;
    message
}

#[test]
fn answers_are_read() {
    let name = |text: &str| Name::from_ascii(text).unwrap();
    let alias = Record::from_rdata(name("a.example."), 5, RData::CNAME(CNAME(name("b.example."))));
    let address = Record::from_rdata(name("b.example."), 300, RData::A(A([192, 0, 2, 1].into())));
    let read_a = |code, records| read(&message(code, records), RecordType::A);
    let expected = Answer { addresses: vec!["192.0.2.1".parse().unwrap()], ttl_seconds: 5 };
    assert_eq!(read_a(ResponseCode::NoError, vec![alias.clone(), address]), Some(expected));
    assert_eq!(read_a(ResponseCode::NoError, vec![alias]).unwrap().addresses, [] as [IpAddr; 0]);
    assert_eq!(read_a(ResponseCode::NXDomain, Vec::new()).unwrap().addresses, [] as [IpAddr; 0]);
    assert_eq!(read_a(ResponseCode::ServFail, Vec::new()), None);
    assert_eq!(read_a(ResponseCode::Refused, Vec::new()), None);
}

#[test]
fn what_does_not_answer_the_question_is_no_answer() {
    let mut query = Message::new(7, MessageType::Query, OpCode::Query);
    query.add_query(Query::query(Name::from_ascii("a.example.").unwrap(), RecordType::A));
    let check = |change: fn(&mut Message), expected: bool| {
        let mut answer = message(ResponseCode::NoError, Vec::new());
        answer.queries = query.queries.clone();
        change(&mut answer);
        assert_eq!(answering(&answer.to_vec().unwrap(), &query).is_some(), expected);
    };
    check(|_| {}, true);
    check(|answer| answer.metadata.id = 8, false);
    check(|answer| answer.metadata.message_type = MessageType::Query, false);
    check(|answer| answer.queries.clear(), false);
    assert!(answering(b"\x00\x07", &query).is_none());
}
