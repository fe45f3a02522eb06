//! Lines of a CRI log file → the bytes a user sees. Pure.
//!
//! `<RFC 3339> <stdout|stderr> <F|P> <text>`: F ends a line, P is a piece of one that goes on. A line that does not
//! have this form is passed over: it was torn by a crash.

use super::log_options::{LogOptions, Stream};
use jiff::Timestamp;

/// Writes entries as the request wants them, and remembers what spans entries.
pub struct Renderer {
    options: LogOptions,
    left: Option<u64>,
    inside_line: [bool; 2],
}

struct Entry<'a> {
    time: &'a str,
    stderr: bool,
    partial: bool,
    text: &'a [u8],
}

impl Renderer {
    pub fn new(options: LogOptions) -> Self {
        Self { left: options.limit_bytes, options, inside_line: [false; 2] }
    }

    /// True once `limitBytes` have been written.
    pub fn is_full(&self) -> bool {
        self.left == Some(0)
    }

    /// Appends what `line` (without its newline) shows to `out`.
    pub fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let Some(entry) = parse(line) else { return };
        if self.is_full() || !self.is_wanted(&entry) {
            return;
        }
        let begun = out.len();
        let inside = std::mem::replace(&mut self.inside_line[usize::from(entry.stderr)], entry.partial);
        if self.options.timestamps && !inside {
            out.extend_from_slice(entry.time.as_bytes());
            out.push(b' ');
        }
        out.extend_from_slice(entry.text);
        if !entry.partial {
            out.push(b'\n');
        }
        if let Some(left) = &mut self.left {
            let written = (out.len() - begun) as u64;
            out.truncate(begun + usize::try_from(written.min(*left)).unwrap_or(usize::MAX));
            *left -= written.min(*left);
        }
    }

    fn is_wanted(&self, entry: &Entry<'_>) -> bool {
        let stream = match self.options.stream {
            Stream::All => true,
            Stream::Stdout => !entry.stderr,
            Stream::Stderr => entry.stderr,
        };
        let recent = |since| entry.time.parse::<Timestamp>().is_ok_and(|at| at >= since);
        stream && self.options.since.is_none_or(recent)
    }
}

fn parse(line: &[u8]) -> Option<Entry<'_>> {
    let (time, rest) = word(line)?;
    let (stream, rest) = word(rest)?;
    let (tags, text) = word(rest)?;
    let stderr = match stream {
        b"stdout" => false,
        b"stderr" => true,
        _ => return None,
    };
    // Tags are separated by colons; the first says whether the line goes on.
    let partial = match tags.first()? {
        b'F' => false,
        b'P' => true,
        _ => return None,
    };
    Some(Entry { time: std::str::from_utf8(time).ok()?, stderr, partial, text })
}

fn word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b' ')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "2026-01-01T00:00:01.000000000Z stdout F one\n\
                       2026-01-01T00:00:02.000000000Z stderr P part \n\
                       torn line\n\
                       2026-01-01T00:00:03.000000000Z stderr F and end\n\
                       2026-01-01T00:00:04.000000000Z stdout F \n\
                       2026-01-01T00:00:05.000000000Z stdout X bad tag\n";

    fn check(options: LogOptions, expected: &str) {
        let (mut renderer, mut out) = (Renderer::new(options), Vec::new());
        LOG.lines().for_each(|line| renderer.line(line.as_bytes(), &mut out));
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn i24_rendering() {
        let options = LogOptions::default;
        check(options(), "one\npart and end\n\n");
        check(LogOptions { stream: Stream::Stderr, ..options() }, "part and end\n");
        let since = Some("2026-01-01T00:00:03Z".parse().unwrap());
        check(LogOptions { since, ..options() }, "and end\n\n");
        check(LogOptions { limit_bytes: Some(6), ..options() }, "one\npa");
        check(
            LogOptions { timestamps: true, stream: Stream::Stderr, ..options() },
            "2026-01-01T00:00:02.000000000Z part and end\n",
        );
    }
}
