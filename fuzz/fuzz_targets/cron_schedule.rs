//! Schedules of CronJobs from anybody.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::cron::schedule(bytes));
