//! What of a request's body is still to come, and how it goes on: as it is when its length is known, in frames of our own
//! when it comes in chunks.

use crate::short::buffer::Buffer;
use crate::wire::answer::Malformed;
use crate::wire::ask::Content;
use crate::wire::chunks::{self, Chunks};

/// The rest of a body.
#[derive(Clone)]
pub(crate) enum Coming {
    /// So many bytes.
    Length(u64),
    Chunked(Chunks),
}

impl Coming {
    pub(crate) fn new(content: Content) -> Self {
        match content {
            Content::Length(length) => Self::Length(length),
            Content::Chunked => Self::Chunked(Chunks::default()),
        }
    }

    /// Whether there is none.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(body) => body.is_done(),
        }
    }

    /// What of `asked` may be sent as it is.
    pub(crate) fn plain<'a>(&self, asked: &'a Buffer) -> &'a [u8] {
        match self {
            Self::Length(left) => {
                let content = asked.filled();
                &content[..content.len().min(usize::try_from(*left).unwrap_or(usize::MAX))]
            }
            Self::Chunked(_) => &[],
        }
    }

    /// So much of that was sent.
    pub(crate) fn sent(&mut self, asked: &mut Buffer, count: usize) {
        asked.consume(count);
        if let Self::Length(left) = self {
            *left = left.saturating_sub(count as u64);
        }
    }

    /// Moves what has come from `asked` to `out`.
    pub(crate) fn take_in(&mut self, asked: &mut Buffer, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let Self::Chunked(body) = self else {
            let content = self.plain(asked);
            out.extend_from_slice(content);
            let count = content.len();
            self.sent(asked, count);
            return Ok(());
        };
        while !asked.is_empty() && !body.is_done() {
            let (count, content) = body.next(asked.filled())?;
            chunks::write(content, out);
            asked.consume(count);
        }
        if body.is_done() {
            out.extend_from_slice(chunks::LAST);
        }
        Ok(())
    }
}
