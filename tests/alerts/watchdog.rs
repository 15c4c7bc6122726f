//! Watchdog: operators get one notice when an incident begins, and one when it is over.

use marketlake_alerts::delivery::watchdog::{Finding, IncidentKind, reconcile};
use marketlake_entities::records::deliveries;
use marketlake_model::Millis;
use sea_orm::ConnectionTrait;

use crate::support::alerting::Alerting;
use crate::support::base::{Base, on_both};
use crate::support::mailbox::{Fault, Mailbox};
use crate::support::program::Program;

fn finding(kind: IncidentKind, subject: &str) -> Finding {
    Finding {
        kind,
        subject: subject.to_owned(),
        detail: "3 times in a row, the last time: no route to host".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_incident_is_two_mails_however_long_it_lasts() {
    on_both(async |base: Base| {
        let alerting = Alerting::on(&base).await;
        let (feed, job) = (
            finding(IncidentKind::FeedStale, "all"),
            finding(IncidentKind::JobFailing, "ingest-minute"),
        );
        let mut settled = Vec::new();
        let begun = alerting.now().await.0 - 600_000;
        for (minute, found) in [
            vec![feed.clone()],
            vec![feed.clone(), job.clone()],
            vec![feed.clone()],
            vec![],
            vec![],
        ]
        .into_iter()
        .enumerate()
        {
            let now = Millis(begun + 60_000 * i64::try_from(minute).unwrap());
            let done = reconcile(&alerting.database, &found, Some("ops@lake.example"), now)
                .await
                .unwrap();
            settled.push((done.opened, done.closed));
        }
        assert_eq!(settled, [(1, 0), (1, 0), (0, 1), (0, 1), (0, 0)]);
        let mailbox = Mailbox::open(Fault::None).await;
        assert_eq!(alerting.send(&mailbox.url).await.sent, 4);
        let mut subjects: Vec<String> = mailbox
            .mails()
            .iter()
            .map(|mail| {
                mail.lines()
                    .find(|l| l.starts_with("Subject"))
                    .unwrap()
                    .to_owned()
            })
            .collect();
        subjects.sort();
        assert_eq!(
            subjects,
            [
                "Subject: [marketlake] no new minute comes in",
                "Subject: [marketlake] over: no new minute comes in",
                "Subject: [marketlake] over: the job ingest-minute keeps failing",
                "Subject: [marketlake] the job ingest-minute keeps failing",
            ]
        );
    })
    .await;
}

/// The job itself finds all three: a feed that does not answer, a job that fails for it, deliveries
/// that die.
#[tokio::test(flavor = "multi_thread")]
async fn the_watchdog_finds_a_stale_feed_failing_jobs_and_dying_deliveries() {
    let base = Base::local().await;
    let alerting = Alerting::on(&base).await;
    let now = alerting.now().await;
    let minute = |back: i64| now.minute().plus(-back).start();
    for back in 1..=3 {
        alerting.database.execute_unprepared(&format!(
            "insert into job_runs (job, slot, shard, state, token, attempts, not_before, error, created_at, finished_at) \
             values ('ingest-minute', {}, 0, 'failed', 1, 1, 0, 'feed binance: no route', {now}, \
             {now})",
            minute(back).0, now = now.0 - 3_600_000 + back,
        )).await.unwrap();
        alerting.database.execute_unprepared(&format!(
            "insert into deliveries (id, kind, channel, address, destination, state, token, attempts, unknowns, not_before, error, created_at, finished_at) \
             values ('d{back}', 'alert', 'mail', 'a@b.cd', 'mail:b.cd', 'dead', 1, 1, 0, 0, \
             '550', {now}, {now})", now = now.0,
        )).await.unwrap();
    }
    alerting
        .database
        .execute_unprepared(&format!(
            "update job_runs set finished_at = {}",
            now.0 - 1_000
        ))
        .await
        .unwrap();
    let program = Program::on(&base).with("MARKETLAKE_ALERTS__OPERATOR", "ops@lake.example");
    let said = program
        .ok(&["run", "watchdog", "--slot", &minute(0).to_string()])
        .await;
    assert!(
        said.contains(r#"{"closed":0,"findings":3,"opened":3}"#),
        "{said}"
    );
    let letters = alerting
        .deliveries()
        .await
        .into_iter()
        .filter(|row| row.kind == deliveries::DeliveryKind::Incident);
    let content: Vec<String> = letters.filter_map(|row| row.content).collect();
    for expected in [
        "no new minute comes in",
        "the job ingest-minute keeps failing",
        "feed binance: no route",
        "deliveries are given up",
        "3 in the last 15 minutes",
    ] {
        assert!(
            content.iter().any(|text| text.contains(expected)),
            "{expected}: {content:?}"
        );
    }
    assert_eq!(content.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_feeds_that_gives_nothing_for_long_is_an_incident_of_its_own() {
    let base = Base::local().await;
    let alerting = Alerting::on(&base).await;
    let now = alerting.now().await;
    for back in 0..=12 {
        let slot = now.minute().plus(-back).start();
        let failed = if back == 3 {
            r#"["dead: no route"]"#
        } else {
            r#"["dead: no route","flaky: 503"]"#
        };
        alerting.database.execute_unprepared(&format!(
            "insert into job_runs (job, slot, shard, state, token, attempts, not_before, outcome, created_at, finished_at) \
             values ('ingest-minute', {}, 0, 'done', 1, 1, 0, '{{\"feeds_failed\":{failed}}}', \
                 {now}, {now})",
            slot.0, now = now.0,
        )).await.unwrap();
    }
    let program = Program::on(&base).with("MARKETLAKE_ALERTS__OPERATOR", "ops@lake.example");
    let slot = now.minute().start().to_string();
    let said = program.ok(&["run", "watchdog", "--slot", &slot]).await;
    assert!(said.contains(r#""findings":1,"opened":1"#), "{said}");
    let letters = alerting.deliveries().await.into_iter();
    let content: Vec<String> = letters.filter_map(|row| row.content).collect();
    assert!(
        content[0].contains("the feed dead delivers no samples"),
        "{content:?}"
    );
    assert!(
        content[0].contains("dead delivered nothing for over 10 minutes"),
        "{content:?}"
    );
}
