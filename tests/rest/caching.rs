//! Responses that are cached, by the server and by clients.

use serde_json::Value;

use super::{HISTORY, serve};
use crate::support::base::{Base, on_both};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::program::Program;

const ROUTES: [&str; 6] = [
    "/v1/metrics",
    "/v1/metrics/tie",
    "/v1/metric/tie/timeseries",
    "/v1/metric/tie/rank",
    "/v1/ranking",
    "/v1/jumps",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_has_not_changed_is_not_sent_again() {
    on_both(async |base: Base| {
        let server = Client::owning(serve(&base, HISTORY).await);
        for route in ROUTES {
            let first = server.get(route).await;
            assert_eq!(first.status.as_u16(), 200, "{route}");
            let age = first
                .header("cache-control")
                .rsplit_once("max-age=")
                .unwrap()
                .1
                .to_owned();
            assert!(
                (1..=60).contains(&age.parse::<u32>().unwrap()),
                "{route}: {age}"
            );
            let etag = first.header("etag").to_owned();
            for tags in [etag.clone(), "*".to_owned(), format!("\"x\", {etag}")] {
                let again = server.with("if-none-match", &tags).get(route).await;
                assert_eq!(
                    (again.status.as_u16(), again.body.len()),
                    (304, 0),
                    "{route}"
                );
                assert_eq!(again.header("etag"), etag);
            }
            let other = server.with("if-none-match", "W/\"0\"").get(route).await;
            assert_eq!(other.body, first.body, "{route}");
            let packed = server
                .with("accept-encoding", "zstd")
                .get("/v1/metrics")
                .await;
            assert_eq!(packed.header("content-encoding"), "zstd");
        }
        let tie = "/v1/metric/tie/timeseries";
        let (before, rank) = (
            server.get(tie).await,
            server.get("/v1/metric/hottry/rank").await,
        );
        let file = base.path().join("more.csv");
        std::fs::write(
            &file,
            "metric,ts,value\nkraken:tie,2026-11-24T10:03:00Z,8\n",
        )
        .unwrap();
        Program::on(&base)
            .ok(&["import", file.to_str().unwrap()])
            .await;
        let tagged = server.with("if-none-match", before.header("etag"));
        let after = eventually("the new sample", async || {
            let answer = tagged.get(tie).await;
            (answer.status.as_u16() == 200).then_some(answer)
        })
        .await;
        let rows: Value = after.value();
        assert_eq!(rows["data"].as_array().unwrap().len(), 3);
        // A response that the commit did not change is the same.
        let same = server
            .with("if-none-match", rank.header("etag"))
            .get("/v1/metric/hottry/rank")
            .await;
        assert_eq!(same.status.as_u16(), 304);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_question_is_answered_once_a_commit() {
    let base = Base::local().await;
    let server = Client::owning(serve(&base, HISTORY).await);
    let figure = async |face: &str, outcome: &str| -> u64 {
        let figures = server.metrics().await;
        let start =
            format!("marketlake_response_cache_total{{api=\"{face}\",outcome=\"{outcome}\"}} ");
        let line = figures.lines().find_map(|line| line.strip_prefix(&start));
        line.map_or(0, |number| number.parse().unwrap())
    };
    let requests = (0..50).map(|_| server.get("/v1/ranking?statistic=range"));
    futures::future::join_all(requests).await;
    assert_eq!(
        (figure("rest", "miss").await, figure("rest", "hit").await),
        (1, 49)
    );
    let requests =
        (0..50).map(|_| server.graphql("{ ranking(statistic: RANGE) { nodes { rank } } }"));
    futures::future::join_all(requests).await;
    assert_eq!(
        (
            figure("graphql", "miss").await,
            figure("graphql", "hit").await
        ),
        (1, 49)
    );
    assert!(
        server
            .metrics()
            .await
            .contains("marketlake_response_cache_hit_ratio{api=\"rest\"} 0.98")
    );
    // Errors are not kept.
    for _ in 0..2 {
        assert_eq!(
            server.get("/v1/metric/nope/rank").await.status.as_u16(),
            404
        );
    }
    assert_eq!(figure("rest", "miss").await, 3);
}
