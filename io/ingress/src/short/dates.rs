//! The date that responses without one get, written once a second.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A second of the epoch, and how it is written (RFC 9110 §5.6.7).
#[derive(Default)]
pub(crate) struct Dates(Mutex<(u64, [u8; 29])>);

impl Dates {
    /// Now, as a field's value.
    pub(crate) fn now(&self) -> [u8; 29] {
        let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.at(second)
    }

    fn at(&self, second: u64) -> [u8; 29] {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != second {
            let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
            // Always 29 bytes long before the year 10000.
            *last = (second, text.as_bytes().try_into().unwrap_or([b' '; 29]));
        }
        last.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        let dates = Dates::default();
        let check = |second: u64, expected: &str| {
            assert_eq!(std::str::from_utf8(&dates.at(second)).unwrap(), expected);
        };
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(1_700_000_000, "Tue, 14 Nov 2023 22:13:20 GMT");
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
