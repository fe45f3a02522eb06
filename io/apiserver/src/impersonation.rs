//! `Impersonate-User` and `Impersonate-Group` (`kubectl --as`): acting as somebody else, for whoever may.
//!
//! Invariant: a request with such headers is never carried out as its sender.

use axum::http::HeaderMap;
use kelson_machinery::status::{Attempt, Status};

use crate::authn::User;
use crate::authz::Rights;

/// Groups one request may name.
const GROUPS_MAX: usize = 64;

/// The user a request acts as.
pub(crate) fn acting(rights: &Rights, user: User, headers: &HeaderMap) -> Result<User, Status> {
    let values = |name: &str| -> Vec<&str> {
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
    };
    let (users, groups) = (values("impersonate-user"), values("impersonate-group"));
    let others = headers.keys().any(|name| name.as_str().starts_with("impersonate-"));
    let Some(name) = users.first().filter(|name| !name.is_empty()) else {
        return match others {
            true => {
                Err(Status::bad_request("requested impersonation without naming a user in Impersonate-User"))
            }
            false => Ok(user),
        };
    };
    let account = kelson_rbac::split_account_name(name);
    let first = match account {
        Some((namespace, name)) => {
            Attempt { resource: "serviceaccounts", namespace, name, ..Attempt::default() }
        }
        None => Attempt { resource: "users", name, ..Attempt::default() },
    };
    let groups = &groups[..groups.len().min(GROUPS_MAX)];
    let named = groups.iter().map(|name| Attempt { resource: "groups", name, ..Attempt::default() });
    for attempt in std::iter::once(first).chain(named) {
        rights.check(&user, &Attempt { user: &user.name, verb: "impersonate", ..attempt })?;
    }
    Ok(match (*name, account) {
        ("system:anonymous", _) => User::anonymous(),
        (_, Some((namespace, name))) if groups.is_empty() => crate::accounts::user(namespace, name, ""),
        (name, _) => User::new(name, groups),
    })
}
