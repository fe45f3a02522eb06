//! What can go wrong between the tables and the kernel, with the likely cause.

use std::io;

/// A failure to bring the tables into the kernel. The kernel holds what it held before.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No netlink socket.
    #[error("cannot open a netlink socket to the kernel's packet filter{}", hint(.0))]
    Open(#[source] io::Error),
    /// The batch could not be handed over.
    #[error("cannot send {bytes} bytes to the kernel's packet filter{}", hint(.source))]
    Send {
        /// How much there was to send.
        bytes: usize,
        /// The cause.
        source: io::Error,
    },
    /// The kernel did not answer.
    #[error("the kernel's packet filter did not answer")]
    Receive(#[source] io::Error),
    /// The kernel refused one command, and with it the whole batch.
    #[error("the kernel refused {asked}{}", cause(.fixed, .source))]
    Refused {
        /// What was asked.
        asked: String,
        /// Whether it is the same in every table, so that only the kernel itself can be why.
        fixed: bool,
        /// The cause.
        source: io::Error,
    },
    /// What an earlier process left to translate at connect() is out of date and stays.
    #[error("cannot remove the translation at connect() that an earlier start of kelson left")]
    Leftover(#[source] kelson_sockets::Error),
}

impl Error {
    /// The kernel's error number, where there is one.
    pub fn number(&self) -> Option<i32> {
        match self {
            Self::Open(source) | Self::Receive(source) => source.raw_os_error(),
            Self::Send { source, .. } | Self::Refused { source, .. } => source.raw_os_error(),
            Self::Leftover(_) => None,
        }
    }
}

const MODULES: &str = ": this kernel lacks a part of nf_tables, try modprobe -a nf_tables nft_chain_nat nft_masq \
                       nft_reject_ipv4 nft_fib_ipv4 nft_numgen nft_ct";

/// The likely cause of a refusal: parts of the table that never change name nothing but the kernel's own modules.
fn cause(fixed: &bool, source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::ENOENT) if *fixed => MODULES,
        _ => hint(source),
    }
}

fn hint(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => ": it takes CAP_NET_ADMIN, run as root",
        Some(libc::EPROTONOSUPPORT | libc::EOPNOTSUPP | libc::EAFNOSUPPORT) => MODULES,
        Some(libc::ENOENT | libc::EEXIST | libc::EBUSY) => ": another program may have changed the table",
        Some(libc::EMSGSIZE | libc::ENOBUFS) => {
            ": the socket's buffer is too small, raise net.core.wmem_max and net.core.rmem_max"
        }
        Some(libc::ENOMEM) => ": the kernel is out of memory",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
