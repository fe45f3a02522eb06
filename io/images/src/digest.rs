//! SHA-256 of what passes by.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// `sha256:` and the digest of `bytes` in hex.
pub fn of(bytes: &[u8]) -> String {
    render(Sha256::digest(bytes).as_slice())
}

fn render(digest: &[u8]) -> String {
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The hex part of a well-formed sha256 digest; it names a directory, so nothing else gets through.
pub fn hex(digest: &str) -> Option<&str> {
    let hex = digest.strip_prefix("sha256:")?;
    (hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))).then_some(hex)
}

/// Passes a reader's bytes on, digesting and counting them, and ends in an error past `limit`.
pub struct Digesting<R> {
    inner: R,
    hash: Sha256,
    read: u64,
    limit: u64,
}

impl<R: Read> Digesting<R> {
    pub fn new(inner: R, limit: u64) -> Self {
        Self { inner, hash: Sha256::new(), read: 0, limit }
    }

    /// Reads to the end and returns the digest of everything.
    pub fn finish(mut self) -> io::Result<String> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(render(self.hash.finalize().as_slice()))
    }
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.read += length as u64;
        if self.read > self.limit {
            return Err(io::Error::other(format!("more than {} bytes", self.limit)));
        }
        self.hash.update(&buffer[..length]);
        Ok(length)
    }
}
