//! Reviews: questions in the form of objects, who one is and what one may. Only created, never stored.

use crate::base::base;
use crate::kind::Kind;
use k8s_openapi::api::authentication::v1::{SelfSubjectReview, TokenReview};
use k8s_openapi::api::authorization::v1::{
    LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
};

/// A kind that is asked and not kept: it has no name, and nothing of it is a client's to change.
const fn question(kind: Kind) -> Kind {
    Kind { verbs: &["create"], validate: |_| Vec::new(), validate_update: |_, _| Vec::new(), ..kind }
}

pub const TOKEN: Kind = question(base::<TokenReview>("tokenreview"));
pub const SELF: Kind = question(base::<SelfSubjectReview>("selfsubjectreview"));
pub const SELF_ACCESS: Kind = question(base::<SelfSubjectAccessReview>("selfsubjectaccessreview"));
pub const SELF_RULES: Kind = question(base::<SelfSubjectRulesReview>("selfsubjectrulesreview"));
pub const ACCESS: Kind = question(base::<SubjectAccessReview>("subjectaccessreview"));
pub const LOCAL_ACCESS: Kind = question(base::<LocalSubjectAccessReview>("localsubjectaccessreview"));
