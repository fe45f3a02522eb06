//! Reading tar archives from anybody: ustar, GNU and PAX, one entry after the other.
//!
//! Invariant: no input panics it or makes it hold more than [`EXTENSION_BYTES_MAX`] of names; headers are checked by
//! their checksum. Only parses; what a path may be is for the reader of the entries to say.

use std::io::{self, Read};

use tar::{EntryType, Header};

const BLOCK: usize = 512;
/// The most bytes of long names and PAX records one entry may have.
pub const EXTENSION_BYTES_MAX: u64 = 1 << 20;

/// No entry is larger; keeps arithmetic far from overflow.
const ENTRY_BYTES_MAX: u64 = 1 << 50;

/// One entry, its content still in the stream.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The path as written.
    pub path: Vec<u8>,
    /// Where a link points to.
    pub link: Vec<u8>,
    /// What it is.
    pub kind: EntryType,
    /// Bytes of content.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time: seconds and nanoseconds.
    pub mtime: (i64, u32),
    /// Device numbers: major, minor.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the content starts in the archive.
    pub offset: u64,
}

/// An archive being read.
pub struct TarStream<R> {
    reader: R,
    position: u64,
    /// Content of the current entry not read yet, and its padding.
    left: u64,
    padding: u64,
}

/// What came before an entry to say more about it.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: Vec<(Vec<u8>, Vec<u8>)>,
}

fn bad(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

impl<R: Read> TarStream<R> {
    /// Over an uncompressed archive.
    pub fn new(reader: R) -> Self {
        Self { reader, position: 0, left: 0, padding: 0 }
    }

    /// The next entry; `None` at the end.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        let mut extensions = Extensions::default();
        let mut extension_bytes = 0;
        loop {
            self.skip_rest()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = header.entry_size().map_err(|_| bad("an entry's size is no number"))?;
            let kind = header.entry_type();
            if !matches!(
                kind,
                EntryType::GNULongName
                    | EntryType::GNULongLink
                    | EntryType::XHeader
                    | EntryType::XGlobalHeader
            ) {
                return self.entry(&header, extensions, size).map(Some);
            }
            extension_bytes = size.saturating_add(extension_bytes);
            if extension_bytes > EXTENSION_BYTES_MAX {
                return Err(bad(format!("an entry's names take more than {EXTENSION_BYTES_MAX} bytes")));
            }
            self.begin_content(size)?;
            let mut bytes = Vec::new();
            self.read_to_end(&mut bytes)?;
            match kind {
                EntryType::GNULongName => extensions.path = Some(until_zero(bytes)),
                EntryType::GNULongLink => extensions.link = Some(until_zero(bytes)),
                EntryType::XHeader => extensions.records = pax_records(&bytes)?,
                _ => {}
            }
        }
    }

    fn entry(&mut self, header: &Header, extensions: Extensions, size: u64) -> io::Result<Entry> {
        let number = |field: io::Result<u64>, what: &str| {
            field.map_err(|_| bad(format!("an entry's {what} is no number")))
        };
        let mut entry = Entry {
            path: extensions.path.unwrap_or_else(|| header.path_bytes().into_owned()),
            link: extensions
                .link
                .or_else(|| header.link_name_bytes().map(|link| link.into_owned()))
                .unwrap_or_default(),
            kind: header.entry_type(),
            size,
            mode: header.mode().map_err(|_| bad("an entry's mode is no number"))? & 0o7777,
            uid: number(header.uid(), "owner")? as u32,
            gid: number(header.gid(), "group")? as u32,
            mtime: (number(header.mtime(), "time")? as i64, 0),
            device: (device(header.device_major())?, device(header.device_minor())?),
            xattrs: Vec::new(),
            offset: self.position,
        };
        for (key, value) in extensions.records {
            entry.apply(&key, value)?;
        }
        if is_header_only(entry.kind) {
            entry.size = 0;
        }
        self.begin_content(entry.size)?;
        Ok(entry)
    }

    fn begin_content(&mut self, size: u64) -> io::Result<()> {
        if size > ENTRY_BYTES_MAX {
            return Err(bad(format!("an entry is larger than {ENTRY_BYTES_MAX} bytes")));
        }
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        Ok(())
    }

    /// The next header that is not the end: a zero block, or the end of the stream.
    fn header(&mut self) -> io::Result<Option<Header>> {
        let mut block = [0; BLOCK];
        let mut read = 0;
        while read < BLOCK {
            match self.reader.read(&mut block[read..])? {
                0 if read == 0 => return Ok(None),
                0 => return Err(bad("the archive ends in the middle of a header")),
                n => read += n,
            }
        }
        self.position += BLOCK as u64;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block).clone();
        let sum: u32 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| u32::from(if (148..156).contains(&at) { b' ' } else { *byte }))
            .sum();
        match header.cksum() {
            Ok(expected) if expected == sum => Ok(Some(header)),
            _ => Err(bad("it is no tar archive, or a header is damaged (wrong checksum)")),
        }
    }

    fn skip_rest(&mut self) -> io::Result<()> {
        let rest = self.left + std::mem::take(&mut self.padding);
        self.left = 0;
        let skipped = io::copy(&mut (&mut self.reader).take(rest), &mut io::sink())?;
        self.position += rest;
        match skipped == rest {
            true => Ok(()),
            false => Err(bad("the archive ends in the middle of an entry")),
        }
    }

    /// Reads what is behind the end of the archive, so that a hash covers it too.
    pub fn drain(mut self) -> io::Result<()> {
        io::copy(&mut self.reader, &mut io::sink()).map(drop)
    }
}

/// The current entry's content.
impl<R: Read> Read for TarStream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let read = self.reader.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(bad("the archive ends in the middle of an entry"));
        }
        self.left -= read as u64;
        self.position += read as u64;
        Ok(read)
    }
}

impl Entry {
    fn apply(&mut self, key: &[u8], value: Vec<u8>) -> io::Result<()> {
        match key {
            b"path" => self.path = value,
            b"linkpath" => self.link = value,
            b"size" => self.size = decimal(&value)?,
            b"uid" => self.uid = decimal(&value)? as u32,
            b"gid" => self.gid = decimal(&value)? as u32,
            b"mtime" => self.mtime = time(&value)?,
            key if key.starts_with(b"GNU.sparse.") => return Err(bad("sparse files are not supported")),
            key => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.push((name.to_vec(), value));
                }
            }
        }
        Ok(())
    }
}

/// Kinds without content: a size stated for them means nothing.
fn is_header_only(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Directory
            | EntryType::Fifo
    )
}

fn until_zero(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}

fn device(field: io::Result<Option<u32>>) -> io::Result<u32> {
    Ok(field.ok().flatten().unwrap_or(0))
}

fn decimal(bytes: &[u8]) -> io::Result<u64> {
    let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| bad("a PAX record's number is none"))
}

/// `seconds[.fraction]`, possibly negative.
fn time(bytes: &[u8]) -> io::Result<(i64, u32)> {
    let text = std::str::from_utf8(bytes).map_err(|_| bad("a PAX time is no number"))?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().map_err(|_| bad("a PAX time is no number"))?;
    let nanos = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = nanos.filter(u8::is_ascii_digit).fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    Ok((seconds, nanos))
}

/// `"27 path=some/where\n"` after one another. Values may hold anything, newlines included: the length decides.
fn pax_records(mut rest: &[u8]) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut records = Vec::new();
    while !rest.is_empty() && rest[0] != 0 {
        let broken = || bad("a PAX record is damaged");
        let space = rest.iter().take(20).position(|byte| *byte == b' ').ok_or_else(broken)?;
        let length = usize::try_from(decimal(&rest[..space])?).map_err(|_| broken())?;
        let record = rest.get(space + 1..length).ok_or_else(broken)?;
        let record = record.strip_suffix(b"\n").ok_or_else(broken)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(broken)?;
        records.push((record[..equals].to_vec(), record[equals + 1..].to_vec()));
        rest = &rest[length..];
    }
    Ok(records)
}
