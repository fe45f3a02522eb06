//! Netlink messages and their attributes, written and read byte by byte.
//!
//! Reading never panics: a length that does not fit ends the iteration. Nothing here knows what a message means.

/// Marks an attribute that holds attributes.
const NESTED: u16 = 1 << 15;
/// Header of a netlink message.
pub(crate) const HEADER: usize = 16;
/// Header of a netfilter message, after the netlink header.
const FAMILY_HEADER: usize = 4;

/// What a message is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    pub family: u8,
    pub resource: u16,
}

/// Messages as they grow.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Everything written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// How much is written.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// One netfilter message with the attributes `body` writes.
    pub fn message(&mut self, head: Head, body: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend(0u32.to_ne_bytes());
        self.bytes.extend(head.kind.to_ne_bytes());
        self.bytes.extend(head.flags.to_ne_bytes());
        self.bytes.extend(head.sequence.to_ne_bytes());
        self.bytes.extend(0u32.to_ne_bytes());
        self.bytes.extend([head.family, 0]);
        self.bytes.extend(head.resource.to_be_bytes());
        body(self);
        let length = u32::try_from(self.bytes.len() - start).expect("a message is far below 4 GiB");
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// An attribute that holds `value`.
    pub fn put(&mut self, kind: u16, value: &[u8]) {
        self.attribute(kind, |w| w.bytes.extend(value));
    }

    /// An attribute that holds a number in network order, as netfilter wants it.
    pub fn number(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_be_bytes());
    }

    /// An attribute that holds a name.
    pub fn name(&mut self, kind: u16, value: &str) {
        self.attribute(kind, |w| {
            w.bytes.extend(value.as_bytes());
            w.bytes.push(0);
        });
    }

    /// Attributes as they were read.
    pub fn append(&mut self, attributes: &[u8]) {
        self.bytes.extend(attributes);
    }

    /// An attribute that holds the attributes `body` writes.
    pub fn nest(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        self.attribute(kind | NESTED, body);
    }

    fn attribute(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend([0, 0]);
        self.bytes.extend(kind.to_ne_bytes());
        body(self);
        let length = u16::try_from(self.bytes.len() - start).expect("lists are cut well below 64 KiB");
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// A message as it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub kind: u16,
    pub sequence: u32,
    /// Everything after the netlink header.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The attributes after the netfilter header.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes(self.body.get(FAMILY_HEADER..).unwrap_or_default())
    }
}

/// The messages in what one read returned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Messages<'a>(pub &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let length = usize::try_from(u32::from_ne_bytes(*self.0.first_chunk()?)).ok()?;
        let kind = u16::from_ne_bytes(self.0.get(4..6)?.try_into().ok()?);
        let sequence = u32::from_ne_bytes(self.0.get(8..12)?.try_into().ok()?);
        let body = self.0.get(HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind, sequence, body })
    }
}

/// The attributes in a message or in an attribute: kind without its marks, and value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a>(pub &'a [u8]);

impl<'a> Attributes<'a> {
    /// The value of the first attribute of `kind`.
    pub fn first(mut self, kind: u16) -> Option<&'a [u8]> {
        self.find(|(k, _)| *k == kind).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let length = usize::from(u16::from_ne_bytes(*self.0.first_chunk()?));
        let kind = u16::from_ne_bytes(self.0.get(2..4)?.try_into().ok()?) & 0x3fff;
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

#[cfg(test)]
mod tests;
