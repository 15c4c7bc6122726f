//! Statistics and latest values: known outcomes, on every engine and every state of an hour.

use marketlake_lake::{Span, Statistic};

use super::conformance::everywhere;
use crate::support::samples::{metric, series, start};

#[tokio::test(flavor = "multi_thread")]
async fn every_statistic_has_its_places_and_its_unranked() {
    let mut samples = series("a:up", 0, &["10", "12", "11", "15"]);
    samples.extend(series("a:down", 58, &["-4", "8", "-8", "-2"]));
    samples.extend(series("a:zero", 0, &["0", "1", "-1"]));
    samples.extend(series("a:single", 2, &["9"]));
    samples.extend(series("a:up:volume", 0, &["100", "250", "1"]));
    samples.extend(series("a:down:volume", 0, &["1"]));
    samples.extend(series("a:down:volume24h", 10, &["5", "400"]));
    let places = [
        (
            Statistic::Mean,
            vec![("a:up", 12.0), ("a:zero", 0.0), ("a:down", -1.5)],
        ),
        (
            Statistic::Range,
            vec![("a:down", 16.0), ("a:up", 5.0), ("a:zero", 2.0)],
        ),
        (
            Statistic::Change,
            vec![("a:up", 5.0), ("a:down", 2.0), ("a:zero", -1.0)],
        ),
        // The earliest value of a:zero is zero, and so is its mean.
        (
            Statistic::PercentChange,
            vec![("a:down", 50.0), ("a:up", 50.0)],
        ),
        (
            Statistic::RelativeStddev,
            vec![
                ("a:down", (139.0_f64 / 3.0).sqrt() / 1.5),
                ("a:up", (14.0_f64 / 3.0).sqrt() / 12.0),
            ],
        ),
        (Statistic::Volume, vec![("a:down", 400.0), ("a:up", 351.0)]),
    ];
    everywhere(&samples, async |engine, day| {
        for (statistic, expected) in &places {
            let ranking = engine.ranking("price", *statistic, day).await.unwrap();
            let found: Vec<&str> = ranking.ranked().iter().map(|s| s.metric.id()).collect();
            let ids: Vec<&str> = expected.iter().map(|(id, _)| *id).collect();
            assert_eq!(found, ids, "{statistic}");
            for (standing, (_, value)) in ranking.ranked().iter().zip(expected) {
                let off = (standing.value - value).abs();
                assert!(
                    off <= 1e-9 * value.abs().max(1.0),
                    "{statistic}: {standing:?}, expected {value}"
                );
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_sample_is_the_last_one_of_a_span() {
    let mut samples = series("a:one", 0, &["1", "2", "3"]);
    samples.extend(series("b:late", 90, &["7"]));
    everywhere(&samples, async |engine, day| {
        let metrics = [metric("b:late"), metric("a:none"), metric("a:one")];
        let shown = async |span| -> Vec<Option<String>> {
            let latest = engine.latest(&metrics, span).await.unwrap();
            let shown = latest
                .iter()
                .map(|point| point.map(|p| p.value.to_string()));
            shown.collect()
        };
        assert_eq!(
            shown(day).await,
            [Some("7".to_owned()), None, Some("3".to_owned())]
        );
        let early = Span {
            from: start(),
            to: start().plus(1),
        };
        assert_eq!(shown(early).await, [None, None, Some("2".to_owned())]);
    })
    .await;
}
