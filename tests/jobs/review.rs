//! Review: hours with samples that came after their evaluation are evaluated again.

use std::sync::Arc;

use marketlake_alerts::subscriptions::history;
use marketlake_jobs::{Job, PlanningTime, ReviewJumps, RunOnce, Runner};
use marketlake_model::Millis;
use tokio_util::sync::CancellationToken;

use crate::support::alerting::{Alerting, wants};
use crate::support::base::{Base, on_both};
use crate::support::samples::{series, start};

const ID: &str = "x:late:volume";

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_is_reviewed_once_for_each_time_that_samples_come_late() {
    on_both(async |base: Base| {
        let alerting = Alerting::on(&base).await;
        alerting.calm(&[ID]).await;
        let subscription = alerting.subscribe(wants("late:volume")).await;
        alerting
            .commit(series("x:other:volume", 0, &["1"; 90]))
            .await;
        for minute in 0..10 {
            alerting.evaluate(start().plus(minute)).await;
        }
        let job = ReviewJumps::new(Arc::clone(&alerting.lake));
        let due = async |job: &ReviewJumps| -> Vec<Millis> {
            let now = alerting.now().await;
            let due = job
                .plan(PlanningTime {
                    now,
                    minute: now.minute(),
                })
                .await
                .unwrap();
            due.into_iter().map(|due| due.slot).collect()
        };
        // Samples that came before their minutes were evaluated need no review.
        assert_eq!(due(&job).await, []);
        alerting.commit(series(ID, 5, &["700"])).await;
        let hour = start().hour().start();
        // It concerns the minute itself, and the evaluated ones of the longest window after it: all
        // in one hour.
        assert_eq!(due(&job).await, [hour]);
        assert_eq!(due(&job).await, []);
        let runner = Runner::new(
            alerting.database.clone(),
            "test".to_owned(),
            CancellationToken::new(),
        );
        let ran = runner.run_once(&job, hour, 0, false).await.unwrap();
        assert!(
            matches!(&ran, RunOnce::Done(outcome) if outcome.contains(r#""would_have_fired":1"#)),
            "{ran:?}"
        );
        let notes = history::notes(&alerting.database, &subscription.id, 9)
            .await
            .unwrap();
        assert_eq!((notes.len(), notes[0].ts), (1, start().plus(5).start()));
        // Another process that starts anew finds nothing to do either; the next late sample opens
        // the hour again.
        assert_eq!(due(&ReviewJumps::new(Arc::clone(&alerting.lake))).await, []);
        alerting.commit(series(ID, 7, &["9000"])).await;
        assert_eq!(due(&job).await, [hour]);
        assert_eq!(alerting.alerts().await.len(), 0);
    })
    .await;
}
