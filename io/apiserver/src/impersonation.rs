//! `Impersonate-User` and `Impersonate-Group` (`kubectl --as`): acting as somebody else, for whoever may.
//!
//! Invariant: a request with such headers is never carried out as its sender.

use axum::http::HeaderMap;
use kelson_machinery::status::{Attempt, Status};

use crate::authn::User;
use crate::authz::Authorizer;

/// Groups one request may name.
const GROUPS_MAX: usize = 64;

/// The user a request acts as.
pub(crate) fn acting(authorizer: &dyn Authorizer, user: User, headers: &HeaderMap) -> Result<User, Status> {
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
    let subjects = [("users", *name)].into_iter().chain(groups.iter().map(|group| ("groups", *group)));
    for (resource, name) in subjects.take(GROUPS_MAX + 1) {
        let attempt = Attempt { user: &user.name, verb: "impersonate", resource, name, ..Attempt::default() };
        if !authorizer.allows(&user, &attempt) {
            return Err(Status::not_allowed(&attempt));
        }
    }
    match *name {
        "system:anonymous" => Ok(User::anonymous()),
        name => Ok(User::new(name, &groups[..groups.len().min(GROUPS_MAX)])),
    }
}
