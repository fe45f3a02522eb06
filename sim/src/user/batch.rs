//! Users and what comes to an end: Jobs of all shapes, and CronJobs.

use kelson_machinery::meta;
use serde_json::{Value, json};

use super::User;
use crate::node::ENDS;

impl User<'_> {
    pub(super) fn batch(&mut self) {
        let (job, cron) = (format!("{}-job", self.app), format!("{}-cron", self.app));
        match self.random.below(12) {
            0..=4 => {
                let number = self.random.below(3);
                let metadata = self.labelled(format!("{job}-{number}"), &[]);
                let spec = self.job_spec();
                self.create(
                    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}),
                );
            }
            5 | 6 => self.make_cron(cron),
            7 => self.alter_some_job(),
            8 if !self.calm => {
                if let Some(place) = self.any("jobs") {
                    self.namespace = if place.key.namespace == "shop" { "shop" } else { "default" };
                    self.delete("jobs", &place.key.name);
                }
            }
            9 if !self.calm => self.delete("cronjobs", &cron),
            _ => {
                let suspend = self.random.once_in(3);
                self.edit("cronjobs", &cron, |object| object["spec"]["suspend"] = suspend.into());
            }
        }
    }

    fn job_spec(&mut self) -> Value {
        let restart = if self.random.once_in(3) { "OnFailure" } else { "Never" };
        let mut spec = json!({
            "parallelism": 1 + self.random.below(3), "backoffLimit": self.random.below(5),
            "template": {
                "metadata": {"labels": {ENDS: "true"}},
                "spec": {"restartPolicy": restart, "containers": [{"name": "c", "image": "work:0"}]},
            },
        });
        match self.random.below(4) {
            0 => {}
            1 => {
                spec["completions"] = (1 + self.random.below(4)).into();
                spec["completionMode"] = "Indexed".into();
                if restart == "Never" && self.random.once_in(2) {
                    spec["backoffLimitPerIndex"] = self.random.below(3).into();
                    spec["backoffLimit"] = Value::Null;
                    spec["maxFailedIndexes"] = self.random.below(3).into();
                }
            }
            _ => spec["completions"] = (1 + self.random.below(4)).into(),
        }
        if self.random.once_in(4) {
            spec["activeDeadlineSeconds"] = (5 + self.random.below(60)).into();
        }
        if self.random.once_in(3) {
            spec["ttlSecondsAfterFinished"] = self.random.below(60).into();
        }
        if self.random.once_in(5) {
            spec["suspend"] = true.into();
        }
        if self.random.once_in(4) {
            spec["podReplacementPolicy"] = "Failed".into();
        }
        spec
    }

    fn make_cron(&mut self, name: String) {
        let policy = ["Allow", "Forbid", "Replace"][self.random.below(3)];
        let schedule = ["* * * * *", "*/5 * * * *", "@hourly"][self.random.below(3)];
        let mut job = self.job_spec();
        job["ttlSecondsAfterFinished"] = Value::Null;
        let mut spec = json!({
            "schedule": schedule, "concurrencyPolicy": policy, "jobTemplate": {"spec": job},
            "successfulJobsHistoryLimit": self.random.below(3), "failedJobsHistoryLimit": self.random.below(2),
        });
        if self.random.once_in(3) {
            spec["startingDeadlineSeconds"] = (10 + self.random.below(200)).into();
        }
        let metadata = self.labelled(name, &[]);
        self.create(json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec}));
    }

    /// Holds a Job or lets it go on, or has it do more or less at once.
    fn alter_some_job(&mut self) {
        let Some(place) = self.any("jobs") else { return };
        let (suspend, parallelism) = (self.random.once_in(3), self.random.below(4));
        let turn = self.random.once_in(2);
        let _ = self.api.edit(&place, crate::api::Part::Main, |job| match turn {
            true => meta::set(job, &["spec", "suspend"], suspend),
            false => meta::set(job, &["spec", "parallelism"], parallelism),
        });
    }
}
