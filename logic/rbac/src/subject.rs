//! Who a request is from and whom a binding names, made comparable: a ServiceAccount is the user of its long name.

use serde_json::Value;

const ACCOUNT_PREFIX: &str = "system:serviceaccount:";

/// Whoever asks.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// The user name.
    pub name: &'a str,
    /// The groups.
    pub groups: &'a [String],
}

/// What the index is keyed by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    User(String),
    Group(String),
}

/// The user name of a ServiceAccount.
pub fn account_name(namespace: &str, name: &str) -> String {
    format!("{ACCOUNT_PREFIX}{namespace}:{name}")
}

/// Namespace and name of the ServiceAccount that a user name is, if it is one.
pub fn split_account_name(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(ACCOUNT_PREFIX)?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
}

/// A subject of a binding as the index knows it and as reasons describe it. `None` for kinds that name nobody, and for
/// a ServiceAccount of no namespace.
pub(crate) fn of_binding(subject: &Value, namespace: &str) -> Option<(Subject, String)> {
    let text = |field: &str| subject[field].as_str().unwrap_or_default();
    let (kind, name) = (text("kind"), text("name"));
    let described = |name: &str| format!("{kind} {}", kelson_machinery::text::quote(name));
    match kind {
        "User" => Some((Subject::User(name.to_owned()), described(name))),
        "Group" => Some((Subject::Group(name.to_owned()), described(name))),
        "ServiceAccount" => {
            let home = if text("namespace").is_empty() { namespace } else { text("namespace") };
            let described = described(&format!("{name}/{home}"));
            (!home.is_empty()).then(|| (Subject::User(account_name(home, name)), described))
        }
        _ => None,
    }
}
