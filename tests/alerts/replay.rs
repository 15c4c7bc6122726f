//! Any stretch of time evaluated again gives the alert table again, bit for bit; late samples are
//! noted, and rewrite nothing.

use std::collections::BTreeSet;

use marketlake_alerts::detection::replay::{note, replay};
use marketlake_alerts::subscriptions::{Access, Transition, history};
use marketlake_alerts::{Subscription, SubscriptionSpec};
use marketlake_lake::Span;
use marketlake_model::{Minute, Sample};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::alerting::{Alerting, wants};
use crate::support::base::{Base, on_both};
use crate::support::samples::{sample, series, start};

const MINUTES: i64 = 150;

async fn evaluated(alerting: &Alerting) -> BTreeSet<Minute> {
    let all = Span {
        from: start().plus(-100),
        to: start().plus(10_000),
    };
    marketlake_jobs::evaluated_minutes(&alerting.database, all)
        .await
        .unwrap()
}

/// Plays wild minutes with all kinds of subscriptions, which are paused, snoozed and changed in
/// between.
async fn wild(base: &Base) -> Alerting {
    let alerting = Alerting::on(base).await;
    let mut random = StdRng::seed_from_u64(7);
    let ids = ["x:a:volume", "x:b:volume", "y:a:volume", "x:c"];
    let first: Vec<Sample> = ids
        .iter()
        .flat_map(|id| series(id, -70, &["100"; 70]))
        .collect();
    alerting.commit(first).await;
    let rules = [
        wants("*:volume"),
        SubscriptionSpec {
            for_minutes: Some(3),
            resolve_factor: Some("1.5".to_owned()),
            cooldown_minutes: Some(0),
            factor: Some("2".to_owned()),
            ..wants("x:*:volume")
        },
        SubscriptionSpec {
            direction: Some("down".to_owned()),
            cooldown_minutes: Some(7),
            ..wants("a:volume")
        },
        SubscriptionSpec {
            window_minutes: Some(20),
            min_samples: Some(18),
            cooldown_minutes: Some(3),
            max_per_day: Some(6),
            ..wants("x:a:volume, c")
        },
        SubscriptionSpec {
            factor: Some("1.2".to_owned()),
            window_minutes: Some(90),
            min_samples: Some(60),
            cooldown_minutes: Some(10),
            max_alerts: Some(9),
            ..wants("*")
        },
    ];
    let mut subscriptions = Vec::new();
    for rule in rules {
        subscriptions.push(alerting.subscribe(rule).await);
    }
    for minute in 0..MINUTES {
        let mut samples = Vec::new();
        for id in ids {
            if random.random_bool(0.85) {
                let wild = random.random_bool(0.2);
                let value: f64 = random.random_range(0.5..150.0) * if wild { 5.0 } else { 1.0 };
                samples.push(sample(id, minute, &format!("{value:.6}")));
            }
        }
        alerting.commit(samples).await;
        alerting.evaluate(start().plus(minute)).await;
        let which = &subscriptions[random.random_range(0..subscriptions.len())].id;
        let change = match random.random_range(0..14) {
            0 => Transition::Pause,
            1..=3 => Transition::Resume,
            4 => Transition::Snooze(start().plus(minute + 5).start()),
            5 => Transition::Edit(Box::new(SubscriptionSpec {
                factor: Some("1.7".to_owned()),
                cooldown_minutes: Some(2),
                ..wants("*:volume")
            })),
            _ => continue,
        };
        let now = alerting.now().await;
        // Not every step can be taken from every state.
        let _ = Subscription::change(&alerting.database, which, Access::All, &change, now)
            .await
            .unwrap();
    }
    alerting
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stretch_evaluated_again_gives_the_alert_table_again_bit_for_bit() {
    on_both(async |base: Base| {
        let alerting = wild(&base).await;
        let evaluated = evaluated(&alerting).await;
        let all = alerting.alerts().await;
        assert!(all.len() > 30, "{} alerts say little", all.len());
        for (from, to) in [
            (0, MINUTES - 1),
            (10, 20),
            (37, 38),
            (50, 149),
            (90, 120),
            (120, 120),
        ] {
            let span = Span {
                from: start().plus(from),
                to: start().plus(to),
            };
            let again = replay(&alerting.lake, span, &evaluated).await.unwrap();
            let expected = all
                .iter()
                .filter(|(at, ..)| (from..=to).contains(at))
                .count();
            let odd = (
                &again.other,
                &again.would_have_fired,
                &again.would_not_have_fired,
            );
            assert_eq!(again.same.len(), expected, "{from}..{to}: {odd:?}");
            assert!(
                odd.0.is_empty() && odd.1.is_empty() && odd.2.is_empty(),
                "{from}..{to}: {odd:?}"
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_or_corrected_sample_is_noted_and_what_was_sent_stays() {
    on_both(async |base: Base| {
        let alerting = Alerting::on(&base).await;
        let ids = ["x:late:volume", "x:corrected:volume"];
        alerting.calm(&ids).await;
        let late = alerting.subscribe(wants("late:volume")).await;
        let corrected = alerting.subscribe(wants("corrected:volume")).await;
        alerting
            .commit(series("x:corrected:volume", 3, &["500"]))
            .await;
        for minute in 0..5 {
            alerting.evaluate(start().plus(minute)).await;
        }
        assert_eq!(alerting.alerts().await.len(), 1);
        // One sample comes after its minute was evaluated, another is put right.
        alerting.commit(series("x:late:volume", 2, &["400"])).await;
        alerting
            .commit(series("x:corrected:volume", 3, &["110"]))
            .await;
        alerting.lake.queries().follow(0).await.unwrap();
        let span = Span::hour(start());
        let again = replay(&alerting.lake, span, &evaluated(&alerting).await)
            .await
            .unwrap();
        let now = alerting.now().await;
        assert_eq!(note(&alerting.database, &again, now).await.unwrap(), 2);
        assert_eq!(note(&alerting.database, &again, now).await.unwrap(), 0);
        let words = async |s: &Subscription| {
            let notes = history::notes(&alerting.database, &s.id, 9).await.unwrap();
            notes
                .into_iter()
                .map(|n| {
                    format!(
                        "{} {:?} {:.1}",
                        n.ts.minute().number() - start().number(),
                        n.verdict,
                        n.ratio
                    )
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&late).await, ["2 WouldHaveFired 4.0"]);
        assert_eq!(words(&corrected).await, ["3 WouldNotHaveFired 5.0"]);
        assert_eq!(
            alerting.alerts().await,
            [(3, "x:corrected:volume".to_owned(), "500".to_owned())]
        );
    })
    .await;
}
