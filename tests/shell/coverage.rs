//! `marketlake coverage`: the missing minutes of a metric, and the gaps of the markets.

use super::file;
use crate::rest::coverage::{WITH_MISSING, insert_gaps};
use crate::support::base::{Base, on_both};
use crate::support::program::Program;

#[tokio::test(flavor = "multi_thread")]
async fn coverage_lists_missing_minutes_and_gaps_and_ends_with_figures() {
    on_both(async |base: Base| {
        let program = Program::on(&base);
        let path = file(&base, "h.csv", WITH_MISSING);
        program.ok(&["import", &path]).await;
        insert_gaps(&base).await;
        for engine in ["datafusion", "memory"] {
            let arguments = ["coverage", "hottry", "--engine", engine, "--format", "csv"];
            let said = program.run(&arguments).await;
            assert_eq!(said.code, 0, "{said:?}");
            assert_eq!(
                said.out,
                "from,to,minutes,reason,state,detail\n\
                 2026-11-24T10:03:00Z,2026-11-24T10:04:00Z,2,missed,open,no process ran\n\
                 2026-11-24T10:02:00Z,2026-11-24T10:02:00Z,1,not_recorded,,\n"
            );
            let figures = "coverage: hottry: 4 of 7 minutes from 2026-11-24T10:00:00Z to \
                2026-11-24T10:06:00Z, 1 filled from the exchange's history; 3 missing\n";
            assert!(said.err.ends_with(figures), "{said:?}");
        }
        let said = program.run(&["coverage", "--format", "csv"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(
            said.out,
            "market,from,to,minutes,reason,state,samples,detail\n\
             binance,2026-11-24T10:03:00Z,2026-11-24T10:04:00Z,2,missed,open,0,no process ran\n\
             binance,2026-11-24T10:01:00Z,2026-11-24T10:01:00Z,1,missed,filled,3,\n\
             kraken,2026-11-24T10:05:00Z,2026-11-24T10:05:00Z,1,feed_failed,lost,0,\
             kraken: answered 500\n"
        );
        let figures = "coverage: 4 gaps: 2 open, 1 filled, 1 lost\n";
        assert!(said.err.ends_with(figures), "{said:?}");
        let later = ["coverage", "--from", "2026-11-24T10:05:00Z"];
        let later = program.json(&later).await;
        assert_eq!(later.as_array().unwrap().len(), 1, "{later}");
        assert_eq!(later[0]["market"], "kraken");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_use_of_coverage_ends_with_status_2() {
    let base = Base::local().await;
    let program = Program::on(&base);
    let path = file(&base, "h.csv", WITH_MISSING);
    program.ok(&["import", &path]).await;
    let day = "2026-11-24T00:00:00Z";
    for (arguments, expected) in [
        (vec!["nope"], "no metric \"nope\" was ever recorded"),
        (vec!["hottry", "--from", "noon"], "--from: expected a time"),
        (
            vec!["hottry", "--from", "2020-01-01T00:00:00Z"],
            "--from: expected at most 527040 minutes up to 2026-11-24T10:06:00Z",
        ),
        (
            vec!["--from", "2026-11-25T00:00:00Z", "--to", day],
            "--from: expected a time up to 2026-11-24T00:00:00Z, got 2026-11-25T00:00:00Z",
        ),
    ] {
        let said = program
            .run(&[&["coverage"][..], &arguments[..]].concat())
            .await;
        assert_eq!(said.code, 2, "{arguments:?}: {said:?}");
        assert!(said.err.contains(expected), "{arguments:?}: {}", said.err);
    }
}
