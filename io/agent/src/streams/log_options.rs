//! What a log request asks for: the query of `…/log` as PodLogOptions, checked with upstream's words.

use jiff::Timestamp;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::status::{GroupName, Status};

/// Which output to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stream {
    #[default]
    All,
    Stdout,
    Stderr,
}

/// A checked request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    pub follow: bool,
    pub previous: bool,
    pub timestamps: bool,
    pub since: Option<Timestamp>,
    pub tail_lines: Option<u64>,
    pub limit_bytes: Option<u64>,
    pub stream: Stream,
}

/// Parses a decoded query. `pod` names the object in errors.
pub fn parse(pairs: &[(String, String)], pod: &str, now: Timestamp) -> Result<LogOptions, Status> {
    let get = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let flag = |name: &str| get(name).is_some_and(is_true);
    let mut errors = Vec::new();
    let mut bounded = |name: &str, least: i64, words: &str| -> Result<Option<i64>, Status> {
        let Some(text) = get(name) else { return Ok(None) };
        let number = text.parse::<i64>().map_err(|_| not_a_number(text))?;
        if number < least {
            errors.push(FieldError::invalid(&Path::new(name), number, words));
        }
        Ok(Some(number))
    };
    let tail_lines = bounded("tailLines", 0, "must be greater than or equal to 0")?;
    let limit_bytes = bounded("limitBytes", 1, "must be greater than 0")?;
    let since_seconds = bounded("sinceSeconds", 1, "must be greater than 0")?;
    let since_time = match get("sinceTime").filter(|text| !text.is_empty()) {
        Some(text) => Some(text.parse::<Timestamp>().map_err(|error| {
            Status::bad_request(format!("parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": {error}"))
        })?),
        None => None,
    };
    if since_seconds.is_some() && since_time.is_some() {
        errors.push(FieldError::forbidden(
            &Path::new(""),
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        ));
    }
    let stream = stream(get("stream"), tail_lines.is_some(), &mut errors);
    if !errors.is_empty() {
        return Err(Status::invalid(&GroupName::new("", "PodLogOptions"), pod, errors));
    }
    let ago =
        |seconds: i64| now.checked_sub(jiff::SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN);
    Ok(LogOptions {
        follow: flag("follow"),
        previous: flag("previous"),
        timestamps: flag("timestamps"),
        since: since_time.or(since_seconds.map(ago)),
        tail_lines: tail_lines.map(i64::unsigned_abs),
        limit_bytes: limit_bytes.map(i64::unsigned_abs),
        stream,
    })
}

fn stream(text: Option<&str>, tail: bool, errors: &mut Vec<FieldError>) -> Stream {
    let stream = match text {
        None | Some("" | "All") => Stream::All,
        Some("Stdout") => Stream::Stdout,
        Some("Stderr") => Stream::Stderr,
        Some(other) => {
            let supported = ["All", "Stderr", "Stdout"];
            errors.push(FieldError::not_supported(&Path::new("stream"), other, supported));
            Stream::All
        }
    };
    if stream != Stream::All && tail {
        let words = "`tailLines` and specific `stream` are mutually exclusive for now";
        errors.push(FieldError::forbidden(&Path::new(""), words));
    }
    stream
}

/// Go's ParseInt, as the API decodes query parameters.
fn not_a_number(text: &str) -> Status {
    Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
}

/// What clients write for yes: `true` in the API's spelling, `1` in the kubelet's.
pub fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &[(&str, &str)], expected: Result<LogOptions, &str>) {
        let pairs: Vec<_> = query.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let got =
            parse(&pairs, "web", Timestamp::from_second(1000).unwrap()).map_err(|status| status.message);
        assert_eq!(got, expected.map_err(String::from), "{query:?}");
    }

    #[test]
    fn i24_log_options() {
        check(&[], Ok(LogOptions::default()));
        let all = LogOptions {
            follow: true,
            previous: true,
            timestamps: true,
            since: Some(Timestamp::from_second(940).unwrap()),
            tail_lines: Some(0),
            limit_bytes: Some(1),
            stream: Stream::All,
        };
        let query = [
            ("follow", "true"),
            ("previous", "1"),
            ("timestamps", "true"),
            ("sinceSeconds", "60"),
            ("tailLines", "0"),
            ("limitBytes", "1"),
            ("container", "c"),
        ];
        check(&query, Ok(all));
        let since = Some("2026-01-01T00:00:00Z".parse().unwrap());
        check(&[("sinceTime", "2026-01-01T00:00:00Z")], Ok(LogOptions { since, ..LogOptions::default() }));
        check(&[("stream", "Stderr")], Ok(LogOptions { stream: Stream::Stderr, ..LogOptions::default() }));
    }

    #[test]
    fn i24_bad_log_options() {
        check(
            &[("tailLines", "-1")],
            Err(
                "PodLogOptions \"web\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0",
            ),
        );
        check(
            &[("limitBytes", "0")],
            Err("PodLogOptions \"web\" is invalid: limitBytes: Invalid value: 0: must be greater than 0"),
        );
        check(&[("tailLines", "x")], Err("strconv.ParseInt: parsing \"x\": invalid syntax"));
        check(
            &[("sinceSeconds", "1"), ("sinceTime", "2026-01-01T00:00:00Z")],
            Err(
                "PodLogOptions \"web\" is invalid: : Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
            ),
        );
    }
}
