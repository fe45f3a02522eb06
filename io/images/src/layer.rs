//! Unpacking a layer into a directory of its own, in overlayfs' lower format.
//!
//! A whiteout (`.wh.x`) becomes a character device 0:0, an opaque directory (`.wh..wh..opq`) the attribute
//! `trusted.overlay.opaque`. Invariant: whatever the bytes, nothing outside the directory is created, changed or read:
//! every path is resolved beneath it without following a symbolic link. Entries and bytes are bounded.

mod apply;
mod beneath;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::blob::Hashing;
use crate::error::{ImageError, Result};
use crate::tar_stream::TarStream;

use apply::Unpacking;

/// How much one layer may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Entries.
    pub entries_max: u64,
    /// Bytes of all files together, unpacked.
    pub bytes_max: u64,
}

impl Default for Bounds {
    /// Generous: the largest published images stay far below.
    fn default() -> Self {
        Self { entries_max: 2_000_000, bytes_max: 256 << 30 }
    }
}

/// What a layer turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// The digest of the uncompressed layer.
    pub diff_id: String,
    /// The bytes of its files.
    pub bytes: u64,
    /// Its entries.
    pub entries: u64,
}

/// Unpacks `layer` (tar; plain, gzip or zstd) into the empty directory `directory`, which exists.
/// `what` names the layer in errors. Takes any bytes.
pub fn unpack(layer: impl Read, directory: &Path, what: &str, bounds: Bounds) -> Result<Unpacked> {
    let root = beneath::open_root(directory).map_err(ImageError::io("open", directory))?;
    let broken = |error: io::Error| ImageError::Layer { layer: what.to_owned(), why: error.to_string() };
    let plain = decompress(layer).map_err(broken)?;
    let mut hashing = Hashing::new(BufReader::with_capacity(BUFFER_BYTES, plain));
    let mut unpacking = Unpacking::new(root, bounds);
    unpack_all(&mut hashing, &mut unpacking).map_err(broken)?;
    let (bytes, entries) = unpacking.totals();
    Ok(Unpacked { diff_id: hashing.finish().0, bytes, entries })
}

/// Read at a time.
const BUFFER_BYTES: usize = 256 << 10;

fn unpack_all(hashing: &mut impl Read, unpacking: &mut Unpacking) -> io::Result<()> {
    let mut archive = TarStream::new(hashing);
    while let Some(entry) = archive.next_entry()? {
        unpacking.apply(&entry, &mut archive).map_err(|error| {
            io::Error::new(error.kind(), format!("{:?}: {error}", String::from_utf8_lossy(&entry.path)))
        })?;
    }
    archive.drain()?;
    unpacking.finish()
}

/// Looks at the first bytes: gzip, zstd, or neither.
pub fn decompress<'a>(stream: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut stream = BufReader::with_capacity(BUFFER_BYTES, stream);
    let magic = stream.fill_buf()?;
    Ok(match magic {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(stream)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(stream)?),
        _ => Box::new(stream),
    })
}
