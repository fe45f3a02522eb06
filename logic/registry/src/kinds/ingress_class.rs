//! IngressClass: which controller serves an Ingress (G1.12).

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind};
use crate::metadata;
use crate::older;
use crate::printed::{AGE, NAME};
use crate::strategy::{self, immutable};
use crate::walk::{default_to, member, text};
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::IngressClass;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, meta};
use serde_json::Value;

pub const KIND: Kind = Kind {
    older: older::INGRESS_CLASS,
    columns: &[
        NAME,
        Column::text("Controller", "Controller that is responsible for handling this class"),
        Column::text("Parameters", "A reference to a resource with additional parameters"),
        AGE,
    ],
    cells: print,
    default: |class| {
        if let Some(parameters) = member(class, "spec").and_then(|spec| member(spec, "parameters")) {
            default_to(parameters, "scope", "Cluster");
        }
    },
    prepare_create: |class| meta::set_generation(class, 1),
    prepare_update: |new, old| {
        metadata::carry(new, old);
        strategy::count_generation(new, old, &["/spec"]);
    },
    validate,
    validate_update: |new, old| {
        let mut errors = metadata::validate_update(new, old);
        let path = Path::new("spec.controller");
        errors.extend(immutable(&new["spec"]["controller"], &old["spec"]["controller"], &path));
        errors
    },
    generation: true,
    ..base::<IngressClass>("ingressclass")
};

const CONTROLLER_BYTES_MAX: usize = 250;

fn print(class: &Object, now: Timestamp) -> Vec<Value> {
    let parameters = &class["spec"]["parameters"];
    let shown = match (text(&parameters["apiGroup"]), parameters.is_object()) {
        (_, false) => "<none>".to_owned(),
        ("", true) => format!("{}/{}", text(&parameters["kind"]), text(&parameters["name"])),
        (group, true) => format!("{}.{group}/{}", text(&parameters["kind"]), text(&parameters["name"])),
    };
    let controller = text(&class["spec"]["controller"]);
    vec![cells::name(class), controller.into(), shown.into(), cells::aged(class, now)]
}

fn validate(class: &Object) -> Vec<FieldError> {
    let mut errors = metadata::cluster(class);
    let (spec, path) = (&class["spec"], Path::new("spec"));
    let (controller, at) = (text(&spec["controller"]), path.child("controller"));
    match controller.split_once('/') {
        _ if controller.is_empty() => errors.push(FieldError::required(&at, "")),
        _ if controller.len() > CONTROLLER_BYTES_MAX => {
            errors.push(FieldError::too_long(&at, CONTROLLER_BYTES_MAX))
        }
        Some((domain, rest)) if !domain.is_empty() && !rest.is_empty() => {}
        _ => errors.push(FieldError::invalid(
            &at,
            controller,
            "must be a domain-prefixed path (such as \"acme.io/foo\")",
        )),
    }
    let (parameters, at) = (&spec["parameters"], path.child("parameters"));
    let namespaced = !parameters["namespace"].is_null();
    match text(&parameters["scope"]) {
        "Namespace" if !namespaced => {
            errors.push(FieldError::required(
                &at.child("namespace"),
                "`parameters.scope` is set to 'Namespace'",
            ));
        }
        "Cluster" if namespaced => {
            errors.push(FieldError::forbidden(
                &at.child("namespace"),
                "`parameters.scope` is set to 'Cluster'",
            ));
        }
        _ => {}
    }
    errors
}
