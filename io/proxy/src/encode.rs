//! Commands → one netlink batch, which the kernel applies whole or not at all.

use kelson_tables::Family;
use kelson_tables::nft::{
    Base, Chain, Command, Element, Field, Holds, Hook, Learned, Rule, SetSpec, Value, Verdict,
};

use crate::attributes::{Head, Writer};
use crate::expressions::{write_all, write_verdict};

/// The table's name, in each family.
pub(crate) const TABLE: &str = "kelson";
/// Elements of one message stay below this many bytes: a list's length is a 16-bit number.
const LIST_BYTES: usize = 48 * 1024;

/// The netfilter subsystem of tables, in a message's kind.
pub(crate) const NFTABLES: u16 = 10 << 8;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
pub(crate) const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;

const NEW_TABLE: u16 = NFTABLES;
pub(crate) const GET_TABLE: u16 = NFTABLES | 1;
pub(crate) const GET_ELEMENTS: u16 = NFTABLES | 13;
pub(crate) const DUMP: u16 = 0x300;
const DELETE_TABLE: u16 = NFTABLES | 2;
const NEW_CHAIN: u16 = NFTABLES | 3;
const NEW_RULE: u16 = NFTABLES | 6;
const NEW_SET: u16 = NFTABLES | 9;
const NEW_ELEMENTS: u16 = NFTABLES | 12;
const DELETE_ELEMENTS: u16 = NFTABLES | 14;

/// A batch, and which command each message is.
pub(crate) struct Batch {
    pub bytes: Vec<u8>,
    /// For every sequence number from 0, the command it is, as (family, command) in what was encoded.
    pub asked: Vec<(usize, usize)>,
}

/// The number netfilter gives a family.
pub(crate) fn protocol_family(family: Family) -> u8 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}

/// All `commands` as one batch; `None` when there is nothing to do. The kernel acknowledges the last command.
pub(crate) fn batch(commands: &[(Family, Vec<Command>)]) -> Option<Batch> {
    let mut encoder = Encoder::default();
    encoder.boundary(BATCH_BEGIN);
    for (which, (family, commands)) in commands.iter().enumerate() {
        for (n, command) in commands.iter().enumerate() {
            encoder.asking = (which, n);
            encoder.command(*family, command);
        }
    }
    let last = encoder.last?;
    encoder.boundary(BATCH_END);
    let mut bytes = encoder.writer.into_bytes();
    bytes[last + FLAGS_AT] |= u8::try_from(ACKNOWLEDGE).expect("the flag is in the low byte");
    Some(Batch { bytes, asked: encoder.asked })
}

/// One command in words, for an error.
pub(crate) fn describe(command: &Command) -> String {
    match command {
        Command::AddTable => format!("adding table {TABLE}"),
        Command::DeleteTable => format!("deleting table {TABLE}"),
        Command::AddSet(set) => format!("adding set {}", set.name),
        Command::AddChain(chain) => format!("adding chain {}", chain.name),
        Command::AddRule(rule) => format!("adding a rule to chain {}", rule.chain),
        Command::AddElements { set, elements } => format!("adding {} elements to {set}", elements.len()),
        Command::DeleteElements { set, elements } => format!("deleting {} elements of {set}", elements.len()),
        Command::Restore { map, learned } => format!("restoring {} elements of {map}", learned.len()),
    }
}

/// Whether a command is part of every table, whatever the cluster.
pub(crate) fn is_fixed(command: &Command) -> bool {
    !matches!(command, Command::AddElements { .. } | Command::DeleteElements { .. } | Command::Restore { .. })
}

/// Where the flags are in a message's header.
const FLAGS_AT: usize = if cfg!(target_endian = "little") { 6 } else { 7 };

#[derive(Default)]
struct Encoder {
    writer: Writer,
    asked: Vec<(usize, usize)>,
    asking: (usize, usize),
    /// Where the last command begins.
    last: Option<usize>,
    sets: u32,
}

impl Encoder {
    fn boundary(&mut self, kind: u16) {
        let sequence = u32::try_from(self.asked.len()).expect("messages are counted in 32 bits");
        self.writer.message(Head { kind, flags: REQUEST, sequence, family: 0, resource: 10 }, |_| {});
        if kind == BATCH_BEGIN {
            self.asked.push((0, 0));
        }
    }

    fn message(&mut self, kind: u16, flags: u16, family: Family, body: impl FnOnce(&mut Writer)) {
        self.last = Some(self.writer.len());
        let sequence = u32::try_from(self.asked.len()).expect("messages are counted in 32 bits");
        self.asked.push(self.asking);
        let family = protocol_family(family);
        let head = Head { kind, flags: REQUEST | flags, sequence, family, resource: 0 };
        self.writer.message(head, |w| {
            w.name(1, TABLE);
            body(w);
        });
    }

    fn command(&mut self, family: Family, command: &Command) {
        match command {
            Command::AddTable => self.message(NEW_TABLE, CREATE, family, |_| {}),
            Command::DeleteTable => self.message(DELETE_TABLE, 0, family, |_| {}),
            Command::AddSet(spec) => {
                self.sets += 1;
                let id = self.sets;
                self.message(NEW_SET, CREATE, family, |w| set(w, family, spec, id));
            }
            Command::AddChain(spec) => self.message(NEW_CHAIN, CREATE, family, |w| chain(w, spec)),
            Command::AddRule(Rule { chain, expressions }) => {
                self.message(NEW_RULE, CREATE | APPEND, family, |w| {
                    w.name(2, chain);
                    write_all(w, 4, family, expressions);
                });
            }
            Command::AddElements { set, elements } => {
                self.list(NEW_ELEMENTS, CREATE, family, set, elements, size, element);
            }
            Command::DeleteElements { set, elements } => {
                self.list(DELETE_ELEMENTS, 0, family, set, elements, size, element);
            }
            Command::Restore { map, learned } => {
                let size = |l: &Learned| ELEMENT_BYTES + l.key.len() + l.value.len();
                self.list(NEW_ELEMENTS, CREATE, family, map, learned, size, restored);
            }
        }
    }

    /// `all` as attributes that `write` writes, in as many messages as their `size` asks for.
    #[expect(clippy::too_many_arguments, reason = "what is sent, and how; a struct would only rename them")]
    fn list<T>(
        &mut self,
        kind: u16,
        flags: u16,
        family: Family,
        set: &str,
        all: &[T],
        size: impl Fn(&T) -> usize,
        write: impl Fn(&mut Writer, &T),
    ) {
        let mut rest = all;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|element| {
                bytes += size(element);
                bytes <= LIST_BYTES
            });
            let (now, later) = rest.split_at(fits.count().max(1));
            rest = later;
            self.message(kind, flags, family, |w| {
                w.name(2, set);
                w.nest(3, |w| now.iter().for_each(|element| w.nest(1, |w| write(w, element))));
            });
        }
    }
}

/// More bytes than everything in an element but its key and value.
const ELEMENT_BYTES: usize = 64;

/// More bytes than `element` takes as an attribute.
fn size(element: &Element) -> usize {
    let value = match &element.value {
        Value::Nothing | Value::Verdict(Verdict::Drop) => 0,
        Value::Bytes(bytes) => bytes.len(),
        Value::Verdict(Verdict::Goto(chain)) => chain.len(),
    };
    ELEMENT_BYTES + element.key.len() + element.key_end.as_ref().map_or(0, Vec::len) + value
}

fn element(w: &mut Writer, element: &Element) {
    w.nest(1, |w| w.put(1, &element.key));
    match &element.value {
        Value::Nothing => {}
        Value::Bytes(bytes) => w.nest(2, |w| w.put(1, bytes)),
        Value::Verdict(verdict) => write_verdict(w, 2, verdict),
    }
    if element.interval_end {
        w.number(3, 1);
    }
    if let Some(end) = &element.key_end {
        w.nest(10, |w| w.put(1, end));
    }
}

fn restored(w: &mut Writer, learned: &Learned) {
    w.nest(1, |w| w.put(1, &learned.key));
    w.nest(2, |w| w.put(1, &learned.value));
    w.put(4, &learned.timeout_ms.to_be_bytes());
    w.put(5, &learned.left_ms.to_be_bytes());
}

fn chain(w: &mut Writer, chain: &Chain) {
    w.name(3, &chain.name);
    let Some(Base { nat, hook, priority }) = chain.base else { return };
    let hook: u32 = match hook {
        Hook::Prerouting => 0,
        Hook::Forward => 2,
        Hook::Output => 3,
        Hook::Postrouting => 4,
    };
    w.nest(4, |w| {
        w.number(1, hook);
        w.put(2, &priority.to_be_bytes());
    });
    w.name(7, if nat { "nat" } else { "filter" });
}

/// The kernel's set flags.
mod flag {
    pub const INTERVAL: u32 = 0x4;
    pub const MAP: u32 = 0x8;
    pub const TIMEOUT: u32 = 0x10;
    pub const EVAL: u32 = 0x20;
    pub const CONCAT: u32 = 0x80;
}
/// The data type that tells the kernel a map holds verdicts.
const VERDICTS: u32 = 0xffff_ff00;

fn set(w: &mut Writer, family: Family, spec: &SetSpec, id: u32) {
    let mut flags = 0;
    let mut on = |flag, when| flags |= if when { flag } else { 0 };
    on(flag::INTERVAL, spec.interval);
    on(flag::MAP, spec.holds != Holds::Nothing);
    on(flag::TIMEOUT | flag::EVAL, spec.learned.is_some());
    on(flag::CONCAT, spec.key.len() > 1);
    w.name(2, spec.name);
    w.number(3, flags);
    w.number(4, type_of(spec.key, family));
    w.number(5, length(spec.key, family));
    match spec.holds {
        Holds::Nothing => {}
        Holds::Fields(fields) => {
            w.number(6, type_of(fields, family));
            w.number(7, length(fields, family));
        }
        Holds::Verdicts => w.number(6, VERDICTS),
    }
    w.number(10, id);
    w.nest(9, |w| {
        if let Some(most) = spec.learned {
            w.number(1, most);
        }
        if spec.key.len() > 1 {
            w.nest(2, |w| {
                for field in spec.key {
                    w.nest(1, |w| w.number(1, field.len(family)));
                }
            });
        }
    });
}

fn length(fields: &[Field], family: Family) -> u32 {
    fields.iter().map(|f| f.len(family).next_multiple_of(4)).sum()
}

/// The type `nft` prints the fields as; the kernel does not look at it. Five is the most it can name, and a length it
/// cannot tell makes it end: so what has more fields is shown as IPv6 addresses and numbers.
fn type_of(fields: &[Field], family: Family) -> u32 {
    const IPV4: u32 = 7;
    const IPV6: u32 = 8;
    const MARK: u32 = 19;
    if fields.len() > 5 {
        let words = length(fields, family) / 4;
        let wide = std::iter::repeat_n(IPV6, (words / 4) as usize);
        return concatenated(wide.chain(std::iter::repeat_n(MARK, (words % 4) as usize)));
    }
    concatenated(fields.iter().map(|field| match field {
        Field::Address if family == Family::V4 => IPV4,
        Field::Address => IPV6,
        Field::Protocol => 12,
        Field::Port => 13,
        Field::Word => MARK,
        Field::Interface => 41,
    }))
}

fn concatenated(types: impl Iterator<Item = u32>) -> u32 {
    types.fold(0, |all, one| all << 6 | one)
}

#[cfg(test)]
mod tests;
