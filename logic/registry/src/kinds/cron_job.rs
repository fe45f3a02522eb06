//! CronJob: jobs at times (H7).

use super::job;
use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind, Subresource};
use crate::metadata;
use crate::older;
use crate::pod_spec::spec::supported;
use crate::printed::{AGE, CONTAINERS, IMAGES, NAME};
use crate::strategy;
use crate::walk::{default_to, flag, items, member, present, text};
use crate::workload;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::CronJob;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, age, cron, meta};
use serde_json::Value;

pub const KIND: Kind = Kind {
    short_names: &["cj"],
    categories: &["all"],
    subresources: &[Subresource::Status],
    older: older::CRON_JOB,
    columns: &[
        NAME,
        Column::text("Schedule", "The schedule in Cron format, see https://en.wikipedia.org/wiki/Cron."),
        Column::text(
            "Timezone",
            "The time zone name for the given schedule, see https://en.wikipedia.org/wiki/List_of_tz_database_time_zones.",
        ),
        Column {
            r#type: "boolean",
            ..Column::text(
                "Suspend",
                "This flag tells the controller to suspend subsequent executions, it does not apply to already started executions.",
            )
        },
        Column::number("Active", "A list of pointers to currently running jobs."),
        Column::text(
            "Last Schedule",
            "Information when was the last time the job was successfully scheduled.",
        ),
        AGE,
        CONTAINERS,
        IMAGES,
        Column::text("Selector", "A label query over pods that should match the pod count.").wide(),
    ],
    cells: print,
    default,
    prepare_create: strategy::create_with_status,
    prepare_update: strategy::update_with_status,
    validate,
    generation: true,
    ..base::<CronJob>("cronjob")
};

/// What names of jobs, made of the CronJob's and a time, leave for it.
const NAME_MAX: usize = 52;

fn print(cron: &Object, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&cron["spec"], &cron["status"]);
    let job = &spec["jobTemplate"]["spec"];
    let [containers, images] = cells::containers_and_images(&job["template"]);
    let last = match text(&status["lastScheduleTime"]) {
        "" => "<none>".to_owned(),
        time => age::cell(Some(time), now),
    };
    vec![
        cells::name(cron),
        text(&spec["schedule"]).into(),
        cells::or_none(&spec["timeZone"]),
        if flag(&spec["suspend"]) { "True" } else { "False" }.into(),
        items(&status["active"]).len().into(),
        last.into(),
        cells::aged(cron, now),
        containers,
        images,
        cells::selector(&job["selector"]),
    ]
}

fn default(cron: &mut Object) {
    let Some(spec) = member(cron, "spec") else { return };
    default_to(spec, "concurrencyPolicy", "Allow");
    default_to(spec, "suspend", false);
    default_to(spec, "successfulJobsHistoryLimit", 3);
    default_to(spec, "failedJobsHistoryLimit", 1);
    if let Some(job) = crate::walk::at(spec, &["jobTemplate", "spec"]) {
        workload::template_defaults(job);
    }
}

/// H7.2: what cannot be read is refused, and the zone is a field of its own.
fn schedule(spec: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let (schedule, at) = (text(&spec["schedule"]), path.child("schedule"));
    if schedule.is_empty() {
        errors.push(FieldError::required(&at, ""));
        return;
    }
    if let Err(detail) = cron::Schedule::parse(schedule) {
        errors.push(FieldError::invalid(&at, schedule, detail));
    }
    if schedule.contains("TZ") {
        let detail = match spec["timeZone"].is_null() {
            true => "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            false => "cannot use both timeZone field and TZ or CRON_TZ in schedule",
        };
        errors.push(FieldError::invalid(&at, schedule, detail));
    }
}

fn time_zone(spec: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let Some(zone) = spec["timeZone"].as_str() else { return };
    let detail = match zone {
        "" => "timeZone must be nil or non-empty string".to_owned(),
        _ if zone.eq_ignore_ascii_case("local") => {
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones".to_owned()
        }
        _ if cron::time_zone(zone).is_none() => format!("unknown time zone {zone}"),
        _ => return,
    };
    errors.push(FieldError::invalid(&path.child("timeZone"), zone, detail));
}

fn validate(cron: &Object) -> Vec<FieldError> {
    let mut errors = metadata::namespaced(cron);
    let (spec, path) = (&cron["spec"], Path::new("spec"));
    if meta::name(cron).len() > NAME_MAX {
        let detail = format!("must be no more than {NAME_MAX} characters");
        errors.push(FieldError::invalid(&Path::new("metadata.name"), meta::name(cron), detail));
    }
    schedule(spec, &path, &mut errors);
    time_zone(spec, &path, &mut errors);
    supported(spec, "concurrencyPolicy", &["Allow", "Forbid", "Replace"], &path, &mut errors);
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        workload::not_negative(spec, field, &path, &mut errors);
    }
    let (job, at) = (&spec["jobTemplate"]["spec"], path.child("jobTemplate").child("spec"));
    job::rules::validate_spec(job, &at, &mut errors);
    if flag(&job["manualSelector"]) {
        errors.push(FieldError::not_supported(&at.child("manualSelector"), true, ["nil", "false"]));
    }
    if present(&job["selector"]) {
        errors.push(FieldError::invalid(
            &at.child("selector"),
            job["selector"].clone(),
            "`selector` will be auto-generated",
        ));
    }
    errors
}
