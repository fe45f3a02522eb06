//! Rule expressions in the kernel's words: one netlink attribute an expression.

use kelson_tables::Family;
use kelson_tables::nft::{Ct, Expr, Header, Register, Test, Verdict};

use crate::attributes::Writer;

/// The kernel's register that takes verdicts.
const VERDICT_REGISTER: u32 = 0;
/// The kernel's name for its first 32-bit register.
const FIRST_REGISTER: u32 = 8;
/// NF_NAT_RANGE_PROTO_RANDOM_FULLY: source ports are not guessable (spec C4.6).
const FULLY_RANDOM: u32 = 1 << 4;
/// ICMP and ICMPv6 "port unreachable".
const PORT_UNREACHABLE: (u8, u8) = (3, 4);

/// Writes the list of `expressions` as attribute `kind`.
pub(crate) fn write_all(w: &mut Writer, kind: u16, family: Family, expressions: &[Expr]) {
    w.nest(kind, |w| {
        for expression in expressions {
            w.nest(1, |w| {
                w.name(1, name(expression));
                w.nest(2, |w| write(w, family, expression));
            });
        }
    });
}

/// Writes a verdict as the data it is in elements and immediates.
pub(crate) fn write_verdict(w: &mut Writer, kind: u16, verdict: &Verdict) {
    let code: i32 = match verdict {
        Verdict::Drop => 0,
        Verdict::Goto(_) => -4,
    };
    w.nest(kind, |w| {
        w.nest(2, |w| {
            w.put(1, &code.to_be_bytes());
            if let Verdict::Goto(chain) = verdict {
                w.name(2, chain);
            }
        });
    });
}

fn name(expression: &Expr) -> &'static str {
    match expression {
        Expr::Payload(..) => "payload",
        Expr::Protocol(_) | Expr::OutInterface(_) => "meta",
        Expr::Ct(..) => "ct",
        Expr::DestinationType(_) | Expr::SourceType(_) => "fib",
        Expr::Immediate(..) | Expr::Verdict(_) => "immediate",
        Expr::Mask(..) => "bitwise",
        Expr::Compare(..) => "cmp",
        Expr::In(..) | Expr::NotIn(..) | Expr::Lookup(..) | Expr::Follow(..) => "lookup",
        Expr::Random { .. } => "numgen",
        Expr::Learn { .. } | Expr::Forget { .. } => "dynset",
        Expr::Dnat { .. } => "nat",
        Expr::Masquerade => "masq",
        Expr::Reset | Expr::Unreachable => "reject",
    }
}

fn write(w: &mut Writer, family: Family, expression: &Expr) {
    match expression {
        Expr::Payload(header, to) => payload(w, family, *header, *to),
        Expr::Protocol(to) => meta(w, 16, *to),
        Expr::OutInterface(to) => meta(w, 7, *to),
        Expr::Ct(what, to) => ct(w, family, *what, *to),
        Expr::SourceType(to) => address_type(w, 1 << 0, *to),
        Expr::DestinationType(to) => address_type(w, 1 << 1, *to),
        Expr::Immediate(to, value) => {
            register(w, 1, *to);
            value_of(w, 2, value);
        }
        Expr::Verdict(verdict) => {
            w.number(1, VERDICT_REGISTER);
            write_verdict(w, 2, verdict);
        }
        Expr::Mask(at, mask) => {
            register(w, 1, *at);
            register(w, 2, *at);
            w.number(3, 4);
            value_of(w, 4, &mask.to_ne_bytes());
            value_of(w, 5, &[0; 4]);
        }
        Expr::Compare(at, test, value) => {
            register(w, 1, *at);
            w.number(2, u32::from(*test == Test::IsNot));
            value_of(w, 3, value);
        }
        Expr::In(set, key) => lookup(w, set, *key, None),
        Expr::NotIn(set, key) => {
            lookup(w, set, *key, None);
            w.number(5, 1);
        }
        Expr::Lookup(set, key, to) => lookup(w, set, *key, Some(FIRST_REGISTER + to)),
        Expr::Follow(set, key) => lookup(w, set, *key, Some(VERDICT_REGISTER)),
        Expr::Random { modulus, offset, to } => {
            register(w, 1, *to);
            w.number(2, *modulus);
            w.number(3, 1);
            w.number(4, *offset);
        }
        Expr::Learn { map, key, value, timeout_seconds } => {
            dynset(w, map, 1, *key, *value);
            w.put(6, &(u64::from(*timeout_seconds) * 1000).to_be_bytes());
        }
        Expr::Forget { map, key, value } => dynset(w, map, 2, *key, *value),
        Expr::Dnat { address, port } => dnat(w, family, *address, *port),
        Expr::Masquerade => w.number(1, FULLY_RANDOM),
        Expr::Reset => w.number(1, 1),
        Expr::Unreachable => {
            w.number(1, 0);
            let (v4, v6) = PORT_UNREACHABLE;
            w.put(2, &[if family == Family::V4 { v4 } else { v6 }]);
        }
    }
}

fn register(w: &mut Writer, kind: u16, register: Register) {
    w.number(kind, FIRST_REGISTER + register);
}

fn value_of(w: &mut Writer, kind: u16, value: &[u8]) {
    w.nest(kind, |w| w.put(1, value));
}

fn payload(w: &mut Writer, family: Family, header: Header, to: Register) {
    const NETWORK: u32 = 1;
    const TRANSPORT: u32 = 2;
    let (base, offset, length) = match (header, family) {
        (Header::Source, Family::V4) => (NETWORK, 12, 4),
        (Header::Destination, Family::V4) => (NETWORK, 16, 4),
        (Header::Source, Family::V6) => (NETWORK, 8, 16),
        (Header::Destination, Family::V6) => (NETWORK, 24, 16),
        (Header::Port, _) => (TRANSPORT, 2, 2),
    };
    register(w, 1, to);
    w.number(2, base);
    w.number(3, offset);
    w.number(4, length);
}

fn meta(w: &mut Writer, key: u32, to: Register) {
    register(w, 1, to);
    w.number(2, key);
}

fn ct(w: &mut Writer, family: Family, what: Ct, to: Register) {
    let (key, original) = match what {
        Ct::Status => (2, false),
        Ct::OriginalDestination if family == Family::V4 => (20, true),
        Ct::OriginalDestination => (22, true),
        Ct::OriginalPort => (12, true),
    };
    register(w, 1, to);
    w.number(2, key);
    if original {
        w.put(3, &[0]);
    }
}

fn address_type(w: &mut Writer, of: u32, to: Register) {
    register(w, 1, to);
    w.number(2, 3);
    w.number(3, of);
}

fn lookup(w: &mut Writer, set: &str, key: Register, to: Option<u32>) {
    w.name(1, set);
    register(w, 2, key);
    if let Some(to) = to {
        w.number(3, to);
    }
}

fn dynset(w: &mut Writer, map: &str, operation: u32, key: Register, value: Register) {
    w.name(1, map);
    w.number(3, operation);
    register(w, 4, key);
    register(w, 5, value);
}

fn dnat(w: &mut Writer, family: Family, address: Register, port: Register) {
    w.number(1, 1);
    w.number(2, crate::encode::protocol_family(family).into());
    register(w, 3, address);
    register(w, 5, port);
}
