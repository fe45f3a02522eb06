//! Signal names as images and manifests spell them.

/// `SIGTERM`, `TERM`, `term`, `15`, `RTMIN+3` → the number. `None` for what is no signal.
pub fn parse_signal(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(offset) = name.strip_prefix("RTMIN") {
        return real_time(libc::SIGRTMIN(), offset);
    }
    if let Some(offset) = name.strip_prefix("RTMAX") {
        return real_time(libc::SIGRTMAX(), offset);
    }
    format!("SIG{name}").parse::<nix::sys::signal::Signal>().ok().map(|signal| signal as i32)
}

fn real_time(base: i32, offset: &str) -> Option<i32> {
    let offset = if offset.is_empty() { 0 } else { offset.parse::<i32>().ok()? };
    let number = base.checked_add(offset)?;
    (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::parse_signal;

    fn check(text: &str, expected: Option<i32>) {
        assert_eq!(parse_signal(text), expected, "{text}");
    }

    #[test]
    fn names_numbers_and_nonsense() {
        check("SIGTERM", Some(15));
        check("QUIT", Some(3));
        check("sigusr1", Some(10));
        check("9", Some(9));
        check("0", None);
        check("65", None);
        check("-1", None);
        check("SIGRTMIN+3", Some(libc::SIGRTMIN() + 3));
        check("RTMAX-70", None);
        check("", None);
        check("SIGWHAT", None);
    }
}
