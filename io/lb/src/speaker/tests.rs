//! Who is answered, and what is announced when: time moves only as the tests say.

use super::*;

const NODE: Hardware = [2, 0, 0, 0, 0, 1];
const OTHER_LINK: Hardware = [2, 0, 0, 0, 0, 2];
const CLIENT: Hardware = [2, 0, 0, 0, 0, 7];

fn ip(last: u8) -> Ipv4Addr {
    [10, 10, 0, last].into()
}

fn speaker(now: Instant) -> Speaker {
    let mut speaker = Speaker::default();
    speaker.update([(3, NODE)].into(), [ip(1), ip(2)].into(), now);
    speaker
}

fn asks(sender: [u8; 4], target: Ipv4Addr) -> Packet {
    let sender = sender.into();
    Packet { operation: Operation::Request, sender_hardware: CLIENT, sender, target_hardware: [0; 6], target }
}

/// Everything announced from `now` on for `span`, as (milliseconds, link, address), requests only.
fn announced(speaker: &mut Speaker, now: Instant, span: Duration) -> Vec<(u128, u32, Ipv4Addr)> {
    let mut said = Vec::new();
    while let Some(next) = speaker.next().filter(|next| *next <= now + span) {
        for frame in speaker.due(next) {
            assert_eq!((frame.to, frame.packet.sender), (BROADCAST, frame.packet.target));
            if frame.packet.operation == Operation::Request {
                said.push((next.duration_since(now).as_millis(), frame.link, frame.packet.sender));
            }
        }
    }
    said
}

#[test]
fn who_asks_for_an_address_of_ours_is_answered() {
    let now = Instant::now();
    let mut speaker = speaker(now);
    let mut check = |link, packet: Packet, expected: bool| {
        let reaction = speaker.hear(link, &packet, now);
        let answer = Reaction::Answer(Frame { link, to: CLIENT, packet: packet.answer(NODE) });
        assert_eq!(reaction, if expected { answer } else { Reaction::None }, "{packet:?}");
    };
    check(3, asks([192, 0, 2, 9], ip(1)), true);
    check(3, asks([10, 10, 0, 9], ip(2)), true);
    // A probe of somebody who would like to have the address.
    check(3, asks([0, 0, 0, 0], ip(2)), true);
    check(3, asks([192, 0, 2, 9], ip(3)), false);
    check(4, asks([192, 0, 2, 9], ip(1)), false);
    check(3, Packet { operation: Operation::Reply, ..asks([192, 0, 2, 9], ip(1)) }, false);
    check(3, Packet { sender_hardware: NODE, ..asks([192, 0, 2, 9], ip(1)) }, false);
}

#[test]
fn what_is_new_is_announced_thrice() {
    let now = Instant::now();
    let mut speaker = speaker(now);
    let all = announced(&mut speaker, now, Duration::from_secs(60));
    let expected: Vec<_> = [0, 1000, 3000].iter().flat_map(|at| [(*at, 3, ip(1)), (*at, 3, ip(2))]).collect();
    assert_eq!(all, expected);
    assert_eq!(speaker.next(), None);

    // Another address: it alone. A link whose carrier comes: everything on it. The same again: nothing.
    let mut later = now;
    let mut check = |links: &[(u32, Hardware)], addresses: &[u8], expected: &[(u32, Ipv4Addr)]| {
        later += Duration::from_secs(60);
        let addresses = addresses.iter().map(|last| ip(*last)).collect();
        speaker.update(links.iter().copied().collect(), addresses, later);
        let said = announced(&mut speaker, later, Duration::from_secs(10));
        let said: BTreeSet<_> = said.into_iter().map(|(_, link, address)| (link, address)).collect();
        assert_eq!(said, expected.iter().copied().collect());
    };
    check(&[(3, NODE)], &[1, 2, 5], &[(3, ip(5))]);
    check(&[(3, NODE), (4, OTHER_LINK)], &[5], &[(4, ip(5))]);
    check(&[(3, NODE), (4, OTHER_LINK)], &[5], &[]);
    check(&[(4, NODE)], &[5], &[(4, ip(5))]);
    // What is gone is not announced any more.
    speaker.update(BTreeMap::new(), [ip(5)].into(), later);
    assert_eq!(speaker.next(), None);
    assert_eq!(speaker.span(), Some((ip(5), ip(5))));
}

#[test]
fn many_announcements_are_spread() {
    let now = Instant::now();
    let mut speaker = Speaker::default();
    speaker.update([(3, NODE)].into(), (1..=100).map(ip).collect(), now);
    let said = announced(&mut speaker, now, Duration::from_millis(500));
    assert_eq!(said.len(), 100);
    for at in said.iter().map(|(at, ..)| at) {
        assert!(said.iter().filter(|(other, ..)| other == at).count() <= BURST);
    }
}

/// RFC 5227, 2.4: told once in a while, not in a contest.
#[test]
fn an_address_somebody_else_claims_is_defended() {
    let now = Instant::now();
    let mut speaker = speaker(now);
    let claim = asks([10, 10, 0, 1], ip(1));
    let packet = Packet::announcement(Operation::Request, NODE, ip(1));
    let defence = Reaction::Defend(Frame { link: 3, to: BROADCAST, packet }, CLIENT);
    assert_eq!(speaker.hear(3, &claim, now), defence);
    assert_eq!(speaker.hear(3, &claim, now + Duration::from_secs(9)), Reaction::None);
    assert_eq!(speaker.hear(3, &claim, now + Duration::from_secs(10)), defence);
    // What another link of this node says is no claim of another.
    speaker.update([(3, NODE), (4, OTHER_LINK)].into(), [ip(1)].into(), now);
    let own = Packet { sender_hardware: OTHER_LINK, ..claim };
    assert_eq!(speaker.hear(3, &own, now + Duration::from_secs(99)), Reaction::None);
}
