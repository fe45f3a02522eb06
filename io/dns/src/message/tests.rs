//! Replies of others: what belongs to a question, how long it is kept, and how it reaches the client.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query as HickoryQuery, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use kelson_zones::Query;

use super::{Question, Received};

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn client(text: &str, edns: bool) -> Vec<u8> {
    let mut message = Message::new(77, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(HickoryQuery::query(name(text), RecordType::A));
    message.edns = edns.then(Edns::new);
    message.to_vec().unwrap()
}

fn reply(records: &[(u32, [u8; 4])], edns: bool) -> Message {
    let mut message = Message::new(5, MessageType::Response, OpCode::Query);
    message.add_query(HickoryQuery::query(name("www.example.org."), RecordType::A));
    for (ttl, address) in records {
        message.add_answer(Record::from_rdata(
            name("www.example.org."),
            *ttl,
            RData::A(A((*address).into())),
        ));
    }
    message.edns = edns.then(Edns::new);
    message
}

fn question() -> Question {
    Question::of(&Query::parse(&client("www.example.org.", false)).unwrap())
}

fn received(message: &Message) -> Received {
    Received::read(message.to_vec().unwrap(), &question()).unwrap()
}

#[test]
fn the_question_as_sent() {
    let sent = Message::from_vec(&question().message(4711)).unwrap();
    assert_eq!((sent.metadata.id, sent.metadata.recursion_desired), (4711, true));
    assert_eq!(sent.queries[0].name().to_string(), "www.example.org.");
    assert_eq!(sent.edns.unwrap().max_payload(), 1232);
}

#[test]
fn what_belongs_to_a_question() {
    let good = reply(&[(60, [192, 0, 2, 1])], false).to_vec().unwrap();
    let check = |change: fn(&mut Vec<u8>), expected: bool| {
        let mut bytes = good.clone();
        change(&mut bytes);
        assert_eq!(question().is_answered_by(5, &bytes), expected, "{bytes:?}");
    };
    check(|_| (), true);
    check(|bytes| bytes[14] = b'W', true);
    check(|bytes| bytes[1] = 6, false);
    check(|bytes| bytes[2] &= 0x7f, false);
    check(|bytes| bytes[14] = b'x', false);
    check(|bytes| bytes[5] = 0, false);
    check(|bytes| bytes.truncate(20), false);
}

#[test]
fn how_long_it_is_kept() {
    let check = |message: &Message, expected: u32| assert_eq!(received(message).ttl, expected);
    check(&reply(&[(60, [192, 0, 2, 1]), (20, [192, 0, 2, 2])], true), 20);
    check(&reply(&[], true), 0);
    let mut negative = reply(&[], false);
    negative.metadata.response_code = ResponseCode::NXDomain;
    let soa = SOA::new(name("ns.example.org."), name("h.example.org."), 1, 2, 3, 4, 9);
    negative.add_authority(Record::from_rdata(name("example.org."), 300, RData::SOA(soa)));
    check(&negative, 9);
}

#[test]
fn as_the_client_gets_it() {
    for (edns_upstream, edns_client) in [(false, false), (true, false), (false, true), (true, true)] {
        let received = received(&reply(&[(60, [192, 0, 2, 1])], edns_upstream));
        let packet = client("WWW.example.org.", edns_client);
        let query = Query::parse(&packet).unwrap();
        let reply = Message::from_vec(&received.reply_to(&query, 12, 512)).unwrap();
        assert_eq!(reply.metadata.id, 77);
        assert!(reply.metadata.recursion_desired && reply.metadata.recursion_available);
        assert_eq!(reply.queries[0].name().to_string(), "WWW.example.org.");
        assert_eq!((reply.answers.len(), reply.answers[0].ttl), (1, 48));
        assert_eq!(reply.edns.is_some(), edns_client, "{edns_upstream}");
    }
}

#[test]
fn cut_to_the_question_when_too_long() {
    let many: Vec<_> = (0..100).map(|i| (60, [192, 0, 2, i])).collect();
    let received = received(&reply(&many, true));
    for edns in [false, true] {
        let packet = client("www.example.org.", edns);
        let reply = received.reply_to(&Query::parse(&packet).unwrap(), 0, 512);
        let reply = Message::from_vec(&reply).unwrap();
        assert!(reply.metadata.truncation && reply.answers.is_empty());
        assert_eq!(reply.edns.is_some(), edns);
    }
}

#[test]
fn no_reply_makes_it_panic() {
    let good = reply(&[(60, [192, 0, 2, 1]), (60, [192, 0, 2, 2])], true).to_vec().unwrap();
    let packet = client("www.example.org.", true);
    let query = Query::parse(&packet).unwrap();
    let mut state = 7_u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((state >> 33) % bound as u64).unwrap()
    };
    for _ in 0..100_000 {
        let mut bytes = good.clone();
        for _ in 0..below(5) {
            let at = below(bytes.len());
            bytes[at] = u8::try_from(below(256)).unwrap();
        }
        bytes.truncate(bytes.len() - below(bytes.len()) / 4);
        if question().is_answered_by(5, &bytes)
            && let Some(received) = Received::read(bytes, &question())
        {
            let reply = received.reply_to(&query, 3, 60 + below(200));
            assert!(reply.len() >= packet.len() - 11);
        }
    }
}
