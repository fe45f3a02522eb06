//! Whether a user may do what a request asks. RBAC will be another [`Authorizer`]; nothing else changes with it.
//!
//! Decides from the request's attributes alone; never reads the request's body.

use kelson_machinery::status::Attempt;

use crate::authn::{AUTHENTICATED, User};
use crate::pki::ADMIN_GROUP;

/// Decides what users may do.
pub trait Authorizer: Send + Sync + 'static {
    /// Whether `user` may do this.
    fn allows(&self, user: &User, attempt: &Attempt<'_>) -> bool;
}

/// Until there are roles: administrators may do everything, everyone may ask whether the server is well.
pub struct Masters;

/// The paths upstream opens to everyone (`system:public-info-viewer`).
const PUBLIC: [&str; 4] = ["/healthz", "/livez", "/readyz", "/version"];
/// The paths upstream opens to everyone who is authenticated (`system:discovery`), with what is below them.
const DISCOVERY: [&str; 3] = ["/api", "/apis", "/openapi"];

impl Authorizer for Masters {
    fn allows(&self, user: &User, attempt: &Attempt<'_>) -> bool {
        if user.is_in(ADMIN_GROUP) {
            return true;
        }
        let plain = attempt.resource.is_empty() && matches!(attempt.verb, "get" | "head");
        let path = attempt.path.strip_suffix('/').unwrap_or(attempt.path);
        let discovery = DISCOVERY.iter().any(|root| path == *root || path.starts_with(&format!("{root}/")));
        plain && (PUBLIC.contains(&path) || discovery && user.is_in(AUTHENTICATED))
    }
}

#[cfg(test)]
mod tests;
