//! Every job runs in each deployment.

use chrono::Utc;
use marketlake_model::{Millis, Minute};

use super::root;
use crate::support::base::Base;
use crate::support::program::Program;

/// Commands that do the work of jobs without the slot table.
const COMMANDS: [(&str, &str); 4] = [
    ("compact-hourly", r#""command": ["compact"]"#),
    ("compact-daily", r#""command": ["compact"]"#),
    ("publish-manifests", r#""command": ["athena", "publish"]"#),
    ("vacuum", r#""command": ["vacuum"]"#),
];

/// All jobs, by the message that an unknown one gets.
async fn jobs(program: &Program) -> Vec<String> {
    let said = program.run(&["run", "no-job"]).await;
    let names = said.err.split("expected one of ").nth(1);
    let names = names.and_then(|names| names.split(", got").next()).unwrap();
    names.split(", ").map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_job_runs_in_each_template() {
    let base = Base::local().await;
    let jobs = jobs(&Program::on(&base)).await;
    assert_eq!(jobs, marketlake_jobs::JOB_NAMES);
    let read = |name: &str| std::fs::read_to_string(root().join("deploy").join(name)).unwrap();
    let serverless = read("serverless.yaml");
    for job in &jobs {
        let run = format!(r#""command": ["run", "{job}""#);
        let command = COMMANDS.iter().find(|(name, _)| name == job);
        let is_command = command.is_some_and(|(_, command)| serverless.contains(command));
        assert!(serverless.contains(&run) || is_command, "{job}");
    }
    // Its services are of all roles, which have all jobs.
    let template = read("template.yaml");
    for role in ["api", "scheduler", "deliver"] {
        let command = format!("Command: [up, --role, {role}]");
        assert_eq!(template.matches(&command).count(), 1, "{role}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_a_slot_runs_the_newest_that_is_due() {
    let base = Base::local().await;
    let program = Program::on(&base).with("MARKETLAKE_FEEDS", "[{kind=\"simulated\"}]");
    let first = program.ok(&["run", "expire-subscriptions"]).await;
    assert!(first.contains(":00:00Z: done"), "{first}");
    // The last minute that is over.
    let last = || Millis::from(Utc::now()).minute().plus(-1);
    let before = last();
    let ingested = program.ok(&["run", "ingest-minute"]).await;
    let is_of = |minute: Minute| ingested.starts_with(&format!("ingest-minute {minute}: done"));
    assert!(is_of(before) || is_of(last()), "{ingested}");
    let again = program.run(&["run", "detect-jumps"]).await;
    assert_eq!((again.code, again.out.as_str()), (0, ""), "{again:?}");
    assert!(
        again.err.contains("detect-jumps: no slot is due"),
        "{again:?}"
    );
}
