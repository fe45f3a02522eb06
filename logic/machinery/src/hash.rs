//! The hash in `pod-template-hash` and its encoding.
//!
//! Pure leaf. The alphabet has no vowels and no digits that look like them, so that no name spells a word.

/// The letters generated names are made of (upstream's `rand` package).
pub const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// 32-bit FNV-1a.
pub fn fnv32a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Maps every byte into [`ALPHABET`] (upstream's `SafeEncodeString`).
pub fn safe_encode(text: &str) -> String {
    text.bytes().map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: u32) {
        assert_eq!(fnv32a(input.as_bytes()), expected);
    }

    #[test]
    fn fnv32a_matches_the_published_vectors() {
        check("", 0x811c_9dc5);
        check("a", 0xe40c_292c);
        check("foobar", 0xbf9c_f968);
    }

    #[test]
    fn digits_become_letters() {
        assert_eq!(safe_encode("0123456789"), "456789bcdf");
    }
}
