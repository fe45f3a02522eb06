//! Which Ingresses are ours (spec G1.8, G1.13, G2.8).
//!
//! A class named by field or annotation decides; without one an Ingress is ours unless a default class says that it is
//! somebody else's. Never looks at rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::networking::v1::{Ingress, IngressClass};

/// How Ingresses named their class before there was a field.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// Marks the class of Ingresses that name none.
const DEFAULT_ANNOTATION: &str = "ingressclass.kubernetes.io/is-default-class";

/// What the controller answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassConfig {
    /// The class's name, good also where no IngressClass object of that name exists.
    pub name: String,
    /// `spec.controller` of the IngressClasses that are ours.
    pub controller: String,
}

impl Default for ClassConfig {
    fn default() -> Self {
        Self { name: "kelson".to_owned(), controller: "kelson.dev/ingress".to_owned() }
    }
}

/// The IngressClasses there are, as seen by one controller.
#[derive(Debug)]
pub(crate) struct Classes<'a> {
    config: &'a ClassConfig,
    controllers: BTreeMap<&'a str, &'a str>,
    /// An Ingress without a class is somebody else's.
    default_elsewhere: bool,
}

impl<'a> Classes<'a> {
    pub(crate) fn new(classes: &'a [Arc<IngressClass>], config: &'a ClassConfig) -> Self {
        let named =
            classes.iter().filter_map(|class| Some((class.metadata.name.as_deref()?, controller(class))));
        let is_ours = |class: &IngressClass| controller(class) == config.controller;
        let mut defaults = classes.iter().filter(|class| is_default(class)).peekable();
        let default_elsewhere = defaults.peek().is_some() && !defaults.any(|class| is_ours(class));
        Self { config, controllers: named.collect(), default_elsewhere }
    }

    /// Whether `ingress` is ours to serve.
    pub(crate) fn claim(&self, ingress: &Ingress) -> bool {
        match class_of(ingress) {
            None => !self.default_elsewhere,
            Some(class) => match self.controllers.get(class) {
                Some(controller) => *controller == self.config.controller,
                None => class == self.config.name,
            },
        }
    }
}

fn class_of(ingress: &Ingress) -> Option<&str> {
    let field = ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_deref());
    let annotation = || ingress.metadata.annotations.as_ref()?.get(CLASS_ANNOTATION).map(String::as_str);
    field.or_else(annotation).filter(|class| !class.is_empty())
}

fn controller(class: &IngressClass) -> &str {
    class.spec.as_ref().and_then(|spec| spec.controller.as_deref()).unwrap_or_default()
}

fn is_default(class: &IngressClass) -> bool {
    let annotations = class.metadata.annotations.as_ref();
    annotations
        .and_then(|annotations| annotations.get(DEFAULT_ANNOTATION))
        .is_some_and(|value| value == "true")
}

#[cfg(test)]
mod tests;
