//! Rules of a Job's spec: figures, completion mode, whose it is, and what may change later (upstream: validateJobSpec and
//! ValidateJobSpecUpdate).

use super::policy;
use crate::metadata::checked;
use crate::pod_spec::spec;
use crate::strategy::immutable;
use crate::walk::{flag, int, items, present, put, text};
use crate::workload;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, names};
use serde_json::Value;

const MANAGED_BY_MAX: usize = 63;
/// Bounds of Jobs whose indexes are counted one by one.
const PARALLELISM_MAX: i64 = 100_000;
const FAILED_INDEXES_MAX: i64 = 100_000;
/// Above so many completions the bounds are narrower.
const COMPLETIONS_MANY: i64 = 100_000;
const PARALLELISM_OF_MANY: i64 = 10_000;
const FAILED_INDEXES_OF_MANY: i64 = 10_000;
const PATH_CHARACTERS: &str = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";

/// The spec, of a job or of a CronJob's template.
pub fn validate_spec(job: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    figures(job, path, errors);
    managed_by(job, path, errors);
    completion_mode(job, path, errors);
    policy::on_failure(job, path, errors);
    policy::on_success(job, path, errors);
    policy::on_replacement(job, path, errors);
    errors.extend(spec::validate_template(&job["template"], &path.child("template")));
    restart_policy(job, path, errors);
}

fn figures(job: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    const FIGURES: [&str; 7] = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ];
    FIGURES.iter().for_each(|field| workload::not_negative(job, field, path, errors));
    if !job["maxFailedIndexes"].is_null() && job["backoffLimitPerIndex"].is_null() {
        let detail = "when maxFailedIndexes is specified";
        errors.push(FieldError::required(&path.child("backoffLimitPerIndex"), detail));
    }
}

fn managed_by(job: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let Some(given) = job["managedBy"].as_str() else { return };
    let at = path.child("managedBy");
    match given.split_once('/') {
        _ if given.is_empty() => errors.push(FieldError::required(&at, "")),
        Some((domain, rest)) if !domain.is_empty() && !rest.is_empty() => {
            errors.extend(checked(&at, domain, names::dns1123_subdomain(domain)));
            if !rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte))
            {
                let detail = format!("Invalid path (regex used for validation is '{PATH_CHARACTERS}')");
                errors.push(FieldError::invalid(&at, rest, detail));
            }
        }
        _ => {
            let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
            errors.push(FieldError::invalid(&at, given, detail));
        }
    }
    if given.len() > MANAGED_BY_MAX {
        errors.push(FieldError::too_long(&at, MANAGED_BY_MAX));
    }
}

fn completion_mode(job: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let mode = text(&job["completionMode"]);
    if !matches!(mode, "" | "NonIndexed" | "Indexed") {
        let at = path.child("completionMode");
        errors.push(FieldError::not_supported(&at, mode, ["NonIndexed", "Indexed"]));
    }
    match mode {
        "Indexed" => indexed(job, path, errors),
        "" | "NonIndexed" => {
            for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                if let Some(number) = job[field].as_i64() {
                    let detail = "requires indexed completion mode";
                    errors.push(FieldError::invalid(&path.child(field), number, detail));
                }
            }
        }
        _ => {}
    }
}

fn indexed(job: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let (parallel, failed) = (path.child("parallelism"), path.child("maxFailedIndexes"));
    let (parallelism, most) = (int(&job["parallelism"]), job["maxFailedIndexes"].as_i64());
    let completions = job["completions"].as_i64();
    if completions.is_none() {
        errors.push(FieldError::required(&path.child("completions"), "when completion mode is Indexed"));
    }
    if parallelism > PARALLELISM_MAX {
        let detail =
            format!("must be less than or equal to {PARALLELISM_MAX} when completion mode is Indexed");
        errors.push(FieldError::invalid(&parallel, parallelism, detail));
    }
    if let Some(most) = most.filter(|most| completions.is_some_and(|all| *most > all)) {
        errors.push(FieldError::invalid(&failed, most, "must be less than or equal to completions"));
    }
    if let Some(most) = most.filter(|most| *most > FAILED_INDEXES_MAX) {
        let detail = format!("must be less than or equal to {FAILED_INDEXES_MAX}");
        errors.push(FieldError::invalid(&failed, most, detail));
    }
    if completions.is_some_and(|all| all > COMPLETIONS_MANY) && !job["backoffLimitPerIndex"].is_null() {
        many(parallelism, most, &parallel, &failed, errors);
    }
}

/// Bounds of a job of very many indexes, each with a limit of its own.
fn many(parallelism: i64, most: Option<i64>, parallel: &Path, failed: &Path, errors: &mut Vec<FieldError>) {
    let bound = |max: i64| {
        format!(
            "must be less than or equal to {max} when completions are above {COMPLETIONS_MANY} and used with backoff \
             limit per index"
        )
    };
    if most.is_none() {
        let detail = format!("must be specified when completions is above {COMPLETIONS_MANY}");
        errors.push(FieldError::required(failed, detail));
    }
    if parallelism > PARALLELISM_OF_MANY {
        errors.push(FieldError::invalid(parallel, parallelism, bound(PARALLELISM_OF_MANY)));
    }
    if let Some(most) = most.filter(|most| *most > FAILED_INDEXES_OF_MANY) {
        errors.push(FieldError::invalid(failed, most, bound(FAILED_INDEXES_OF_MANY)));
    }
}

fn restart_policy(job: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let at = path.child("template").child("spec").child("restartPolicy");
    match text(&job["template"]["spec"]["restartPolicy"]) {
        "Always" => errors.push(FieldError::required(&at, "valid values: \"OnFailure\", \"Never\"")),
        "OnFailure" if !job["podFailurePolicy"].is_null() => {
            let detail = "only \"Never\" is supported when podFailurePolicy is specified";
            errors.push(FieldError::invalid(&at, "OnFailure", detail));
        }
        // Anything else is no policy of any pod, as the template's own rules say.
        _ => {}
    }
}

/// The name of the last pod of an indexed job must be one a host can have.
pub fn validate_name(job: &Object, errors: &mut Vec<FieldError>) {
    let completions = int(&job["spec"]["completions"]);
    if text(&job["spec"]["completionMode"]) != "Indexed" || completions <= 0 {
        return;
    }
    let name = kelson_machinery::meta::name(job);
    let last = format!("{name}-{}", completions - 1);
    if names::dns1123_label(&last).is_err() {
        let detail = format!("will not able to create pod with invalid DNS label: {last}");
        errors.push(FieldError::invalid(&Path::new("metadata").child("name"), name, detail));
    }
}

/// What may not change in a job that exists (H6.7, H6.9).
pub fn validate_update(new: &Object, old: &Object, errors: &mut Vec<FieldError>) {
    let (after, before, path) = (&new["spec"], &old["spec"], Path::new("spec"));
    completions(after, before, &path, errors);
    errors.extend(immutable(&after["selector"], &before["selector"], &path.child("selector")));
    template(old, after, before, &path, errors);
    for field in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"]
    {
        errors.extend(immutable(&after[field], &before[field], &path.child(field)));
    }
}

/// An indexed job grows and shrinks as a whole: completions together with parallelism.
fn completions(after: &Value, before: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let at = path.child("completions");
    if text(&after["completionMode"]) != "Indexed" {
        errors.extend(immutable(&after["completions"], &before["completions"], &at));
        return;
    }
    let Some(completions) = after["completions"].as_i64() else { return };
    let altered = after["completions"] != before["completions"];
    if altered && after["parallelism"].as_i64() != Some(completions) {
        let detail = "can only be modified in tandem with spec.parallelism";
        errors.push(FieldError::invalid(&at, completions, detail));
    }
}

/// While a job is suspended and has not begun, its pods may be told where to run and with what.
fn template(old: &Object, after: &Value, before: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let at = path.child("template");
    let (new, mut was) = (&after["template"], before["template"].clone());
    if flag(&before["suspend"]) && old["status"]["startTime"].is_null() {
        steer(&mut was, new);
    }
    errors.extend(immutable(new, &was, &at));
}

fn steer(was: &mut Value, new: &Value) {
    for field in ["labels", "annotations"] {
        put(crate::walk::object(was, "metadata"), field, new["metadata"][field].clone());
    }
    let spec = crate::walk::object(was, "spec");
    for field in ["nodeSelector", "tolerations", "schedulingGates"] {
        put(spec, field, new["spec"][field].clone());
    }
    let affinity = &new["spec"]["affinity"];
    let mut kept = spec["affinity"].clone();
    if !kept.is_object() {
        kept = serde_json::json!({});
    }
    put(&mut kept, "nodeAffinity", affinity["nodeAffinity"].clone());
    put(spec, "affinity", if present(&kept) || affinity.is_object() { kept } else { Value::Null });
    resources(spec, new);
}

/// Resources of containers, while their names are the same.
fn resources(spec: &mut Value, new: &Value) {
    for list in ["containers", "initContainers"] {
        let wanted = items(&new["spec"][list]);
        let same = items(&spec[list]).len() == wanted.len();
        for (was, new) in crate::walk::items_mut(spec, list).zip(wanted).filter(|_| same) {
            if was["name"] == new["name"] {
                put(was, "resources", new["resources"].clone());
            }
        }
    }
}
