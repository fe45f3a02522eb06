//! Who is asking: a client certificate of our authority, a token of a ServiceAccount or of a file, or nobody
//! (`system:anonymous`).
//!
//! A presented credential that is not good is refused, never taken for anonymous. Tokens are compared in constant time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::accounts::{Accounts, Bearer};

/// The group of everyone who showed a good credential.
pub const AUTHENTICATED: &str = "system:authenticated";
/// The group of everyone who showed none.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";

/// Tokens in one file, at most.
const TOKENS_MAX: usize = 10_000;
/// Bytes of a token file, at most.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Who makes a request; a request extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user name, for example `kubernetes-admin`.
    pub name: String,
    /// The groups, `system:authenticated` among them unless anonymous.
    pub groups: Vec<String>,
    /// The unique id a token file names, or a ServiceAccount has; empty otherwise.
    pub uid: String,
    /// What else the credential said, for example the pod a token is bound to.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// An authenticated user of these groups.
    pub fn new(name: impl Into<String>, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|group| (*group).to_string()).collect();
        Self { name: name.into(), groups, uid: String::new(), extra: BTreeMap::new() }.authenticated()
    }

    /// A component of this process, by its upstream user name, for example `system:kube-controller-manager`. It has
    /// what its role allows; one without a role of its own acts as an administrator.
    pub fn component(name: &str) -> Self {
        let groups: &[&str] = match name {
            node if node.starts_with(crate::authz::NODE_PREFIX) => &[crate::authz::NODES],
            name if kelson_rbac::defaults::has_own_role(name) => &[],
            _ => &[crate::pki::ADMIN_GROUP],
        };
        Self::new(name, groups)
    }

    /// Whoever showed no credential.
    pub fn anonymous() -> Self {
        let (name, groups) = ("system:anonymous".into(), vec![UNAUTHENTICATED.into()]);
        Self { name, groups, uid: String::new(), extra: BTreeMap::new() }
    }

    /// Whether the user is in this group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    fn authenticated(mut self) -> Self {
        if !self.is_in(AUTHENTICATED) {
            self.groups.push(AUTHENTICATED.into());
        }
        self
    }
}

/// Everybody who shows a token: those of the file, and ServiceAccounts.
pub(crate) struct Bearers {
    pub tokens: Tokens,
    pub accounts: Accounts,
}

/// What a token turned out to be.
pub(crate) enum Credential {
    /// Somebody's.
    Good(Bearer),
    /// One of ours that is no longer good, and why.
    Bad(String),
    /// None of ours.
    Unknown,
}

impl Bearers {
    /// Whose a token is, if it is for one of these audiences.
    pub async fn judge(&self, token: &str, audiences: &[String]) -> Credential {
        if let Some(user) = self.tokens.user(token) {
            let own = self.accounts.audiences();
            let meant = audiences.iter().filter(|audience| own.contains(audience)).cloned().collect();
            return Credential::Good(Bearer { user: user.clone(), audiences: meant });
        }
        match self.accounts.judge(token, audiences).await {
            Some(Ok(bearer)) => Credential::Good(bearer),
            Some(Err(why)) => Credential::Bad(why),
            None => Credential::Unknown,
        }
    }

    /// The user of a token for this server.
    pub async fn user(&self, token: &str) -> Option<User> {
        match self.judge(token, &self.accounts.audiences()).await {
            Credential::Good(bearer) => Some(bearer.user),
            Credential::Bad(why) => {
                tracing::debug!(why, "a token was refused");
                None
            }
            Credential::Unknown => None,
        }
    }
}

/// The user a verified client certificate names: its common name and organizations.
pub(crate) fn from_certificate(der: &CertificateDer<'_>) -> Option<User> {
    let (_, cert) = X509Certificate::from_der(der).ok()?;
    let name = cert.subject().iter_common_name().next()?.as_str().ok()?;
    let groups: Vec<&str> =
        cert.subject().iter_organization().filter_map(|group| group.as_str().ok()).collect();
    (!name.is_empty()).then(|| User::new(name, &groups))
}

/// Why a token file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read.
    #[error("could not read the token file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A line is not `token,user,uid[,"group1,group2"]`.
    #[error("token file {path}, line {line}: {detail}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what is expected.
        detail: String,
    },
    /// The file is too big to be a token file.
    #[error("token file {path} is larger than {FILE_BYTES_MAX} bytes; is it a token file?")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// The static tokens of `--token-auth-file`.
#[derive(Default)]
pub struct Tokens {
    entries: Vec<(String, User)>,
}

impl Tokens {
    /// Reads upstream's format: `token,user,uid,"group1,group2"`, groups optional.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let read = |source| Error::Read { path: path.to_path_buf(), source };
        if std::fs::metadata(path).map_err(read)?.len() > FILE_BYTES_MAX {
            return Err(Error::TooLarge { path: path.to_path_buf() });
        }
        let text = std::fs::read_to_string(path).map_err(read)?;
        Self::parse(&text).map_err(|(line, detail)| Error::Line { path: path.to_path_buf(), line, detail })
    }

    /// Parses the text; an error is the line (from 1) and what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut entries: Vec<(String, User)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let wrong = |detail: String| (index + 1, detail);
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let entry = token_line(line).map_err(wrong)?;
            if entries.iter().any(|(token, _)| *token == entry.0) {
                return Err(wrong("the token was given to another user above".into()));
            }
            if entries.len() == TOKENS_MAX {
                return Err(wrong(format!("more than {TOKENS_MAX} tokens")));
            }
            entries.push(entry);
        }
        Ok(Self { entries })
    }

    /// The user of a token. Every entry is compared whole, whichever matches.
    pub fn user(&self, token: &str) -> Option<&User> {
        let mut found = None;
        for (known, user) in &self.entries {
            if same(known.as_bytes(), token.as_bytes()) {
                found = Some(user);
            }
        }
        found
    }
}

fn token_line(line: &str) -> Result<(String, User), String> {
    let fields = csv(line)?;
    let [token, name, uid, rest @ ..] = fields.as_slice() else {
        return Err(format!(
            "{} of at least 3 fields; expected token,user,uid,\"group1,group2\"",
            fields.len()
        ));
    };
    for (value, what) in [(token, "token"), (name, "user name")] {
        if value.trim().is_empty() {
            return Err(format!("the {what} is empty"));
        }
    }
    let groups: Vec<&str> = rest
        .first()
        .map(|groups| groups.split(',').map(str::trim).filter(|g| !g.is_empty()).collect())
        .unwrap_or_default();
    let mut user = User::new(name.trim(), &groups);
    user.uid = uid.trim().to_string();
    Ok((token.trim().to_string(), user))
}

/// One line of CSV: fields by commas, a quoted field may hold commas and doubled quotes.
fn csv(line: &str) -> Result<Vec<String>, String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quoted) {
            ('"', true) if chars.peek() == Some(&'"') => field.push(chars.next().unwrap_or('"')),
            ('"', true) => quoted = false,
            ('"', false) if field.trim().is_empty() => {
                field.clear();
                quoted = true;
            }
            ('"', false) => return Err("a quote inside an unquoted field".into()),
            (',', false) => fields.push(std::mem::take(&mut field)),
            (other, _) => field.push(other),
        }
    }
    if quoted {
        return Err("a quoted field is not closed".into());
    }
    fields.push(field);
    Ok(fields)
}

/// Equality whose time depends on the lengths alone.
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    std::hint::black_box(a.iter().zip(b).fold(0u8, |difference, (x, y)| difference | (x ^ y))) == 0
}

/// The token of an `Authorization: Bearer …` header; `Err` when the header is there and of another form.
pub(crate) fn bearer(header: Option<&str>) -> Result<Option<&str>, ()> {
    let Some(header) = header else { return Ok(None) };
    let (scheme, token) = header.trim().split_once(' ').ok_or(())?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(Some(token)).ok_or(())
}

#[cfg(test)]
mod tests;
