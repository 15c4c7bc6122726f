//! Backtests: alerts that a rule would have sent, before it is saved.

use marketlake_alerts::{Rule, SubscriptionSpec, Warning, backtest};
use marketlake_model::JumpRule;

use crate::support::alerting::{Alerting, wants};
use crate::support::base::{Base, on_both};
use crate::support::samples::{series, start};

const ID: &str = "x:a:volume";

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_says_how_many_mails_when_the_largest_ratio_and_which_days_were_quiet() {
    on_both(async |base: Base| {
        let alerting = Alerting::on(&base).await;
        alerting.calm(&[ID]).await;
        alerting
            .commit(series(ID, 0, &["340", "100", "400", "100"]))
            .await;
        alerting.commit(series(ID, 100, &["250"])).await;
        let rule = Rule::new(JumpRule::default());
        let at = start().plus(100);
        let found = backtest(&alerting.lake, &"a:volume".parse().unwrap(), &rule, 3, at)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (found.metrics, found.samples, found.mails, found.suppressed),
            (1, 65, 1, 1)
        );
        assert_eq!(found.alerts[0].ts, start());
        let farthest = found.farthest.as_ref().unwrap();
        assert_eq!(
            (farthest.ts, farthest.value.to_string().as_str()),
            (start().plus(2), "400")
        );
        let days: Vec<(&str, usize)> = found
            .days
            .iter()
            .map(|(day, n)| (day.as_str(), *n))
            .collect();
        assert_eq!(
            days,
            [
                ("2026-11-21", 0),
                ("2026-11-22", 0),
                ("2026-11-23", 0),
                ("2026-11-24", 1)
            ]
        );
        assert_eq!(
            (found.quiet_days(), found.noisy_days(), found.warning()),
            (3, 0, None)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn none_and_more_than_five_a_day_are_warnings() {
    let base = Base::local().await;
    let alerting = Alerting::on(&base).await;
    alerting.calm(&[ID]).await;
    let never = wants("a:volume").check_rule().unwrap();
    let found = backtest(&alerting.lake, &never.0, &never.1, 1, start())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.warning(), Some(Warning::Never));
    let values: Vec<String> = (0..60)
        .map(|at| {
            if at % 2 == 0 {
                format!("{}", 1_000 * (at + 1))
            } else {
                "100".to_owned()
            }
        })
        .collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    alerting.commit(series(ID, 0, &values)).await;
    let eager = SubscriptionSpec {
        cooldown_minutes: Some(0),
        factor: Some("1.5".to_owned()),
        ..wants("a:volume")
    };
    let eager = eager.check_rule().unwrap();
    let found = backtest(&alerting.lake, &eager.0, &eager.1, 1, start().plus(59))
        .await
        .unwrap()
        .unwrap();
    assert!(found.mails > 10, "{}", found.mails);
    assert_eq!(found.warning(), Some(Warning::TooOften));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_and_the_detector_agree() {
    let base = Base::local().await;
    let alerting = Alerting::on(&base).await;
    alerting.calm(&[ID]).await;
    let new = SubscriptionSpec {
        for_minutes: Some(2),
        cooldown_minutes: Some(4),
        ..wants("a:volume")
    };
    alerting.subscribe(new.clone()).await;
    alerting
        .play(
            ID,
            0,
            &[
                "340", "360", "100", "400", "420", "_", "500", "100", "600", "700", "100",
            ],
        )
        .await;
    let (pattern, rule) = new.check_rule().unwrap();
    let found = backtest(&alerting.lake, &pattern, &rule, 1, start().plus(10))
        .await
        .unwrap()
        .unwrap();
    let tested: Vec<i64> = found
        .alerts
        .iter()
        .map(|jump| jump.ts.number() - start().number())
        .collect();
    let live: Vec<i64> = alerting
        .alerts()
        .await
        .into_iter()
        .map(|(at, ..)| at)
        .collect();
    assert!(!live.is_empty());
    assert_eq!(tested, live);
}
