//! Statements that Athena gets.

use marketlake_lake::{
    AthenaPolicy, Interval, JumpQuery, QueryEngine, RuleInputQuery, Span, Statistic, record_engines,
};
use marketlake_model::JumpRule;

use super::Fixture;
use crate::lake::{import, ingest};
use crate::support::samples::{metric, sample, series, start};

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_names_its_days_and_holds_no_value() {
    let fixture = Fixture::new(1).await;
    let set_up = fixture.standin.seen(0).await.len();
    let engine = &fixture.athena;
    let span = Span {
        from: start(),
        to: start().plus(30),
    };
    let one = metric("a:one");
    engine.metrics(span).await.unwrap();
    engine.timeseries(&one, span).await.unwrap();
    engine
        .series(&[one.clone(), metric("b:two")], span)
        .await
        .unwrap();
    engine
        .latest(std::slice::from_ref(&one), span)
        .await
        .unwrap();
    engine
        .ranking("price", Statistic::Volume, span)
        .await
        .unwrap();
    engine
        .buckets(&one, span, Interval::minutes(5).unwrap())
        .await
        .unwrap();
    let rule = JumpRule::default();
    for metric in [None, Some(one)] {
        engine
            .jumps(&JumpQuery { rule, span, metric })
            .await
            .unwrap();
    }
    engine
        .rule_inputs(&RuleInputQuery {
            at: span.to,
            window: 60,
            metrics: None,
        })
        .await
        .unwrap();
    let seen = fixture.standin.seen(0).await;
    assert_eq!(seen.len() - set_up, 9);
    let day = format!("'{}'", start().date());
    for query in &seen[set_up..] {
        let sql = query["sql"].as_str().unwrap();
        assert!(sql.contains("dt between ? and ?"), "{sql}");
        assert!(!sql.contains("one") && !sql.contains("2026"), "{sql}");
        let parameters = query["parameters"].as_array().unwrap();
        assert!(parameters.iter().any(|p| *p == day), "{query}");
        assert_eq!(query["state"], "SUCCEEDED", "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_goes_to_athena_by_what_it_would_read() {
    let fixture = Fixture::new(1).await;
    let span = Span {
        from: start(),
        to: start().plus(30),
    };
    let lake = fixture.base.lake().await;
    // The hour's object has some 2,000 bytes, of which a metric's share is a half.
    let bytes = fixture.lake.stats().await.unwrap();
    let bytes = u64::try_from(bytes.bytes - bytes.rollup_bytes).unwrap();
    let route = AthenaPolicy {
        older_than: None,
        larger_than: Some(bytes * 3 / 4),
    };
    lake.connect_athena(fixture.standin.options.clone(), route)
        .unwrap();
    let engine = lake.engine();
    let one = metric("a:one");
    let (points, by) = record_engines(engine.timeseries(&one, span)).await;
    assert_eq!((points.unwrap().len(), by), (3, vec!["datafusion"]));
    let (metrics, by) = record_engines(engine.metrics(span)).await;
    assert_eq!((metrics.unwrap().len(), by), (2, vec!["athena"]));
    lake.queries().follow(0).await.unwrap();
    let (metrics, by) = record_engines(engine.metrics(Span::last_24h(start().plus(2)))).await;
    assert_eq!((metrics.unwrap().len(), by), (2, vec!["memory"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_result_is_read_whole() {
    let fixture = Fixture::new(1).await;
    // 3,600 rows: more than the pages that are fetched one by one.
    let values: Vec<String> = (0..3_600).map(|at| format!("{}.25", at % 977)).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    import(&fixture.lake, &series("a:long", -2_000, &values)).await;
    let span = Span {
        from: start().plus(-2_000),
        to: start().plus(3_000),
    };
    let long = metric("a:long");
    let points = fixture.athena.timeseries(&long, span).await.unwrap();
    assert_eq!(points.len(), 3_600);
    let embedded = fixture.lake.datafusion().timeseries(&long, span).await;
    assert_eq!(points, embedded.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_question_is_asked_anew_only_after_a_commit_to_its_days() {
    let fixture = Fixture::new(1).await;
    let set_up = fixture.standin.seen(0).await.len();
    let span = Span {
        from: start(),
        to: start().plus(30),
    };
    let one = metric("a:one");
    let questions = (0..10).map(|_| fixture.athena.timeseries(&one, span));
    for points in futures::future::join_all(questions).await {
        assert_eq!(points.unwrap().len(), 3);
    }
    assert_eq!(fixture.standin.seen(0).await.len() - set_up, 1);
    ingest(&fixture.lake, &[sample("a:one", 2_000, "9")]).await;
    fixture.athena.timeseries(&one, span).await.unwrap();
    assert_eq!(fixture.standin.seen(0).await.len() - set_up, 1);
    ingest(&fixture.lake, &[sample("a:one", 20, "4.5")]).await;
    let points = fixture.athena.timeseries(&one, span).await.unwrap();
    assert_eq!(points.len(), 4, "what is committed is seen at once");
    assert_eq!(fixture.standin.seen(0).await.len() - set_up, 2);
}
