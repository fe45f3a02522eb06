//! How many files this process may open: sockets count, and a server of many clients needs more than a shell's default.

/// Raised to no more than this: programs in pods inherit it, and some walk through all of it.
const WANTED: libc::rlim_t = 65_536;

/// Raises the soft limit as far as is allowed and sensible; what it is then.
pub fn raise_limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live rlimit, which the call fills in.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return usize::MAX;
    }
    let wanted = WANTED.min(limit.rlim_max);
    if limit.rlim_cur < wanted {
        let raised = libc::rlimit { rlim_cur: wanted, ..limit };
        // SAFETY: the pointer is to a live rlimit, which the call only reads.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0 {
            limit = raised;
        }
    }
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_and_stays() {
        let raised = raise_limit();
        assert!(raised > 0);
        assert_eq!(raise_limit(), raised);
    }
}
