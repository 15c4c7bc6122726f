//! Detector: a subscription fires or not, and records why.

use marketlake_alerts::delivery::outbox::EnqueueOptions;
use marketlake_alerts::subscriptions::{Access, Transition, history};
use marketlake_alerts::{Subscription, SubscriptionSpec};
use marketlake_model::Millis;
use sea_orm::ConnectionTrait;

use crate::support::alerting::{Alerting, wants};
use crate::support::base::{Base, on_both};
use crate::support::samples::{series, start};

const ID: &str = "binance:hottry:volume";

async fn watched(base: &Base, new: SubscriptionSpec) -> (Alerting, Subscription) {
    let alerting = Alerting::on(base).await;
    alerting.calm(&[ID]).await;
    let subscription = alerting.subscribe(new).await;
    (alerting, subscription)
}

async fn minutes(alerting: &Alerting) -> Vec<i64> {
    alerting
        .alerts()
        .await
        .into_iter()
        .map(|(minute, ..)| minute)
        .collect()
}

/// Reasons of state changes, oldest first.
async fn whys(alerting: &Alerting, subscription: &Subscription) -> Vec<String> {
    let whys = history::whys(&alerting.database, &subscription.id, 100)
        .await
        .unwrap();
    let said = whys.into_iter().rev().map(|why| {
        format!(
            "{} {:?}>{:?}: {}",
            why.ts.minute().number() - start().number(),
            why.from,
            why.to,
            why.reason
        )
    });
    said.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_is_one_alert_and_each_change_says_why() {
    on_both(async |base: Base| {
        let (alerting, subscription) = watched(&base, wants("hottry:volume")).await;
        alerting
            .play(ID, 0, &["100", "340", "350", "100", "101"])
            .await;
        assert_eq!(
            alerting.alerts().await,
            [(1, ID.to_owned(), "340".to_owned())]
        );
        assert_eq!(
            whys(&alerting, &subscription).await,
            [
                "1 Ok>Firing: 3.40x the mean, beyond 3x",
                "3 Firing>Ok: 0.92x the mean, no longer beyond 3x",
            ]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_alert_the_metric_is_quiet_for_the_cooldown() {
    let base = Base::local().await;
    let quick = SubscriptionSpec {
        cooldown_minutes: Some(5),
        ..wants("hottry:volume")
    };
    let (alerting, subscription) = watched(&base, quick).await;
    alerting
        .play(ID, 0, &["340", "100", "400", "100", "100", "500", "100"])
        .await;
    assert_eq!(minutes(&alerting).await, [0, 5]);
    let whys = whys(&alerting, &subscription).await;
    assert!(
        whys[2].ends_with("beyond 3x; no mail: within 5 minutes of the last"),
        "{whys:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_fires_after_so_many_minutes_in_a_row_and_comes_back_below_the_resolve_factor() {
    let base = Base::local().await;
    let patient = SubscriptionSpec {
        for_minutes: Some(3),
        resolve_factor: Some("2".to_owned()),
        cooldown_minutes: Some(0),
        ..wants("hottry:volume")
    };
    let (alerting, subscription) = watched(&base, patient).await;
    // Two in a row are not enough; a hole neither counts nor breaks; 2.5x is still no calm.
    alerting
        .play(
            ID,
            0,
            &[
                "340", "350", "100", "400", "_", "420", "450", "300", "500", "100",
            ],
        )
        .await;
    assert_eq!(minutes(&alerting).await, [6]);
    let whys = whys(&alerting, &subscription).await;
    assert_eq!(whys.len(), 5, "{whys:?}");
    assert!(
        whys[0].contains("Ok>Pending") && whys[0].ends_with("beyond 3x for 1 of 3 minutes"),
        "{whys:?}"
    );
    assert!(
        whys[3].contains("Pending>Firing") && whys[3].ends_with("for 3 minutes in a row"),
        "{whys:?}"
    );
    assert!(
        whys[4].contains("9 Firing>Ok") && whys[4].ends_with("no longer beyond 2x"),
        "{whys:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fall_fires_where_falls_are_asked_for() {
    let base = Base::local().await;
    let down = SubscriptionSpec {
        direction: Some("down".to_owned()),
        ..wants("hottry:volume")
    };
    let (alerting, _) = watched(&base, down).await;
    alerting.play(ID, 0, &["400", "33", "100"]).await;
    assert_eq!(minutes(&alerting).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_data_neither_fires_nor_resolves() {
    on_both(async |base: Base| {
        let fresh = SubscriptionSpec {
            window_minutes: Some(4),
            min_samples: Some(3),
            cooldown_minutes: Some(0),
            ..wants("hottry:volume")
        };
        let (alerting, subscription) = watched(&base, fresh).await;
        // It fires; then samples are missing; when they are back it is still firing, without
        // another mail.
        alerting
            .play(
                ID,
                0,
                &["340", "_", "_", "_", "900", "800", "900", "9000", "100"],
            )
            .await;
        assert_eq!(minutes(&alerting).await, [0]);
        let whys = whys(&alerting, &subscription).await;
        assert!(
            whys[1].starts_with("3 Firing>NoData: 2 of at least 3 samples in 4 minutes"),
            "{whys:?}"
        );
        assert!(whys[2].contains("NoData>Firing: data is back"), "{whys:?}");
        assert!(whys[3].contains("Firing>Ok"), "{whys:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_has_at_most_so_many_and_a_subscription_ends_after_so_many() {
    on_both(async |base: Base| {
        let few = SubscriptionSpec {
            cooldown_minutes: Some(0),
            max_per_day: Some(2),
            max_alerts: Some(2),
            ..wants("hottry:volume")
        };
        let (alerting, subscription) = watched(&base, few).await;
        alerting
            .play(ID, 0, &["340", "100", "400", "100", "500", "100"])
            .await;
        assert_eq!(minutes(&alerting).await, [0, 2]);
        let after = Subscription::find(&alerting.database, &subscription.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            after.state,
            marketlake_alerts::subscriptions::SubscriptionState::Expired
        );
        let daily = SubscriptionSpec {
            cooldown_minutes: Some(0),
            max_per_day: Some(1),
            ..wants("hottry:volume")
        };
        let daily = alerting.subscribe(daily).await;
        alerting.play(ID, 6, &["900", "100", "1000", "100"]).await;
        let said = whys(&alerting, &daily).await;
        assert!(
            said[2].ends_with("no mail: the maximum of 1 per day is reached"),
            "{said:?}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_subscription_is_not_evaluated() {
    let base = Base::local().await;
    let short = SubscriptionSpec {
        expires_at: Some(start().plus(2).start()),
        cooldown_minutes: Some(0),
        ..wants("hottry:volume")
    };
    let (alerting, _) = watched(&base, short).await;
    alerting.play(ID, 0, &["100", "340", "100", "500"]).await;
    assert_eq!(minutes(&alerting).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snoozed_subscription_is_evaluated_without_a_word_and_a_paused_one_is_not() {
    on_both(async |base: Base| {
        let (alerting, subscription) = watched(&base, wants("hottry:volume")).await;
        let change = async |change: Transition| {
            let now = alerting.now().await;
            Subscription::change(
                &alerting.database,
                &subscription.id,
                Access::All,
                &change,
                now,
            )
            .await
            .unwrap()
            .unwrap();
        };
        change(Transition::Snooze(start().plus(2).start())).await;
        alerting.play(ID, 0, &["340", "100"]).await;
        change(Transition::Pause).await;
        alerting.play(ID, 2, &["400", "100"]).await;
        change(Transition::Resume).await;
        alerting.play(ID, 4, &["500", "100"]).await;
        assert_eq!(minutes(&alerting).await, [4]);
        let said = whys(&alerting, &subscription).await;
        assert!(said[0].ends_with("no mail: snoozed"), "{said:?}");
        assert_eq!(said.len(), 4, "{said:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_evaluated_twice_is_one_alert_and_lists_and_patterns_mean_what_they_say() {
    on_both(async |base: Base| {
        let alerting = Alerting::on(&base).await;
        let ids = ["x:aausdt", "x:bbusdt", "x:cceur", "y:aausdt:volume"];
        alerting.calm(&ids).await;
        for metric in ["aausdt, x:cceur", "*usdt", "*", "x:bbusdt"] {
            alerting.subscribe(wants(metric)).await;
        }
        for id in ids {
            alerting.commit(series(id, 0, &["1000"])).await;
        }
        assert_eq!(alerting.evaluate(start()).await.alerts, 2 + 2 + 4 + 1);
        alerting
            .database
            .execute_unprepared("delete from job_runs")
            .await
            .unwrap();
        alerting
            .database
            .execute_unprepared("delete from rule_states")
            .await
            .unwrap();
        let again = alerting.evaluate(start()).await;
        assert_eq!((again.alerts, again.deliveries), (0, 0));
        assert_eq!(alerting.alerts().await.len(), 9);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jumps_evaluated_long_after_their_minute_are_recorded_and_not_sent() {
    let base = Base::local().await;
    let (alerting, _) = watched(&base, wants("hottry:volume")).await;
    alerting.commit(series(ID, 0, &["340"])).await;
    alerting.lake.queries().follow(0).await.unwrap();
    let verdict = marketlake_alerts::detection::evaluate(&alerting.lake, start())
        .await
        .unwrap();
    let transaction = marketlake_entities::database::begin_write(&alerting.database)
        .await
        .unwrap();
    verdict
        .record(
            &transaction,
            Millis(1),
            EnqueueOptions {
                stale: Some("stale news: evaluated 7 h after its minute came in"),
                ..EnqueueOptions::default()
            },
        )
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let delivery = alerting.delivery().await;
    assert_eq!(
        delivery.state,
        marketlake_entities::records::deliveries::DeliveryState::Dead
    );
    assert_eq!(alerting.alerts().await.len(), 1);
}
