//! Inputs from inputs: what a fuzzer does to a seed, without a fuzzer and the same every time.

/// Most changes made to one input.
const CHANGES_MAX: u64 = 6;
/// Longest run of bytes moved or made up.
const RUN_MAX: usize = 64;
/// Bytes that mean something to parsers.
const TELLING: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\n",
    b"\"",
    b"{",
    b"[",
    b",",
    b":",
    b"-",
    b"=",
    b"null",
    b"-1",
    b"0",
    b"9223372036854775807",
    b"1e999",
    b"\xff\xff\xff\xff",
    b"\xc0\x0c",
    b"\xf0\x9f\x8c\x8d",
    b"..",
    b"/",
    b"%",
];

/// Random numbers from a seed (splitmix64).
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 when there is none.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.number() % (limit as u64).max(1)).unwrap_or_default()
    }
}

/// An input made of `seeds`: mostly one of them, changed in a few places; sometimes nothing but noise.
pub fn input(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let (first, second) = (pick(random, seeds), pick(random, seeds));
    if first.is_empty() || random.below(16) == 0 {
        return (0..random.below(RUN_MAX * 4)).map(|_| random.number().to_le_bytes()[0]).collect();
    }
    let mut bytes = first.to_vec();
    for _ in 0..random.number() % CHANGES_MAX {
        change(random, &mut bytes, second);
    }
    bytes
}

fn pick<'a>(random: &mut Random, seeds: &'a [Vec<u8>]) -> &'a [u8] {
    seeds.get(random.below(seeds.len())).map_or(&[], Vec::as_slice)
}

fn change(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = random.below(bytes.len());
    let end = (at + random.below(RUN_MAX)).min(bytes.len());
    let telling = TELLING[random.below(TELLING.len())];
    match random.below(7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.number().to_le_bytes()[0],
        2 => drop(bytes.drain(at..end)),
        3 => drop(bytes.splice(at..at, telling.iter().copied())),
        4 => drop(bytes.splice(at..end, telling.iter().copied())),
        5 => {
            let run = bytes[at..end].to_vec();
            let to = random.below(bytes.len());
            drop(bytes.splice(to..to, run));
        }
        _ => {
            let from = random.below(other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}
