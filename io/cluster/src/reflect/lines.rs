//! A watch as it comes over the wire: a JSON object a line, with a type and an object.
//!
//! Part of `reflect`. The object is read from where it stands in the line by the kind's one reader. Written here, not
//! taken from the client, whose events are decoded into a tree of their own first and from there once more, which costs
//! each kind a second reader and each event the tree. A line has a longest length; a watch that exceeds it fails.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;

use futures_util::{AsyncBufRead, AsyncBufReadExt, Stream, stream};
use http::header::{ACCEPT_ENCODING, HeaderValue};
use kube::core::Status;
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::debug;

use super::object::{Object, Read};

/// The longest line: several times what an API server stores of one object.
const LINE_BYTES_MAX: usize = 32 << 20;
/// What is kept of the room that a long line needed.
const LINE_BYTES_KEPT: usize = 64 << 10;

/// One event of a watch.
pub(super) enum Event {
    /// Added or modified.
    Applied(Object),
    Deleted(Object),
    /// The version the watch has reached.
    Bookmark(String),
}

/// An open watch. A Status it sends is `Error::Api`, a line that is no event of its kind `Error::SerdeError`; after the
/// latter it goes on.
pub(super) type Events = Pin<Box<dyn Stream<Item = kube::Result<Event>> + Send>>;

/// Opens the watch that `request` asks for.
pub(super) async fn open(
    client: &kube::Client,
    mut request: http::Request<Vec<u8>>,
    read: Read,
) -> kube::Result<Events> {
    // A server that compresses each event by itself is not understood by the client beyond the first.
    request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let lines = Lines { body: Box::pin(client.request_stream(request).await?), line: Vec::new() };
    let events = stream::unfold(lines, move |mut lines| async move {
        match lines.next().await {
            Ok(false) => None,
            Ok(true) => Some((said(&lines.line, read), lines)),
            Err(error) if is_end(&error) => {
                debug!(%error, "a watch ended in the middle");
                None
            }
            Err(error) => Some((Err(kube::Error::ReadEvents(error)), lines)),
        }
    });
    Ok(Box::pin(events))
}

struct Lines {
    body: Pin<Box<dyn AsyncBufRead + Send>>,
    line: Vec<u8>,
}

impl Lines {
    /// Reads the next whole line that is not empty into `line`; false at the end. What is cut off there is no line.
    async fn next(&mut self) -> io::Result<bool> {
        loop {
            self.line.clear();
            self.line.shrink_to(LINE_BYTES_KEPT);
            if !self.whole().await? {
                return Ok(false);
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    async fn whole(&mut self) -> io::Result<bool> {
        loop {
            let piece = self.body.fill_buf().await?;
            let (taken, is_whole) = match piece.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end + 1, true),
                None => (piece.len(), false),
            };
            self.line.extend_from_slice(&piece[..taken]);
            self.body.as_mut().consume(taken);
            if is_whole || taken == 0 {
                return Ok(is_whole);
            }
            if self.line.len() > LINE_BYTES_MAX {
                return Err(io::Error::other(format!(
                    "a line of a watch is longer than {LINE_BYTES_MAX} bytes"
                )));
            }
        }
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: BookmarkMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookmarkMetadata {
    resource_version: String,
}

fn said(line: &[u8], read: Read) -> kube::Result<Event> {
    let text = std::str::from_utf8(line).map_err(|error| kube::Error::ReadEvents(io::Error::other(error)))?;
    match event(text, read).map_err(kube::Error::SerdeError) {
        // A server that fails without the frame of an event says so with a code, which nothing else has to have.
        Err(error) => match serde_json::from_str::<Status>(text) {
            Ok(status) if status.code != 0 => Err(kube::Error::Api(status.boxed())),
            _ => Err(error),
        },
        Ok(event) => event,
    }
}

fn event(text: &str, read: Read) -> serde_json::Result<kube::Result<Event>> {
    let line: Line = serde_json::from_str(text)?;
    let object = line.object.get();
    Ok(match &*line.r#type {
        "ADDED" | "MODIFIED" => Ok(Event::Applied(read(object)?)),
        "DELETED" => Ok(Event::Deleted(read(object)?)),
        "BOOKMARK" => {
            Ok(Event::Bookmark(serde_json::from_str::<Bookmark>(object)?.metadata.resource_version))
        }
        "ERROR" => Err(kube::Error::Api(serde_json::from_str::<Status>(object)?.boxed())),
        other => return Err(serde::de::Error::custom(format!("a watch has no events of type \"{other}\""))),
    })
}

/// Whether the other side went away in the middle, as servers do whose watches have lasted long enough.
fn is_end(error: &io::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let outer = error.downcast_ref::<io::Error>();
        if outer.is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
            || error.to_string().contains("unexpected EOF during chunk")
        {
            return true;
        }
        // The source of an I/O error is that of the error within, not that error itself.
        cause = match outer.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests;
