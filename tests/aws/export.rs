//! A part of the lake for somebody else.

use std::time::Duration;

use marketlake_entities::database;

use super::history;
use crate::support::base::{Base, on_both};
use crate::support::program::Program;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_written_and_none_is_overwritten() {
    on_both(async |base: Base| {
        let program = Program::on(&base);
        program.ok(&["import", &history(&base)]).await;
        let out = base.path().join("out.parquet").display().to_string();
        let said = program
            .ok(&[
                "export",
                "b",
                "a",
                "a",
                "--from",
                "2026-11-24T11:00:00Z",
                "--out",
                &out,
            ])
            .await;
        assert!(said.starts_with("export: "), "{said}");
        let whole = std::fs::read(&out).unwrap();
        let again = program.run(&["export", "a", "--out", &out]).await;
        assert_eq!(again.code, 2);
        assert!(again.err.contains("--out"), "{again:?}");
        assert_eq!(std::fs::read(&out).unwrap(), whole);
        // Read back by our own import: into another lake.
        let other = base.again().await;
        let imported = Program::on(&other).ok(&["import", &out]).await;
        assert!(imported.contains("120 samples of 2 metrics"), "{imported}");
        let shown = |program: Program| async move {
            program
                .ok(&[
                    "timeseries",
                    "b",
                    "--format",
                    "csv",
                    "--from",
                    "2026-11-24T11:00:00Z",
                ])
                .await
        };
        assert_eq!(shown(program).await, shown(Program::on(&other)).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_lets_anyone_fetch_it_until_vacuum() {
    let base = Base::remote().await;
    let program = Program::on(&base);
    program.ok(&["import", &history(&base)]).await;
    let link = program
        .ok(&["export", "a", "--link", "--valid", "10m"])
        .await;
    let fetched = reqwest::get(link.trim()).await.unwrap();
    assert!(fetched.status().is_success(), "{fetched:?}");
    assert!(fetched.bytes().await.unwrap().starts_with(b"PAR1"));
    let forged = link.trim().replace("Expires=600", "Expires=60000");
    assert!(forged != link.trim());
    assert_eq!(reqwest::get(forged).await.unwrap().status().as_u16(), 403);
    let check = program.ok(&["check"]).await;
    assert!(
        check.contains("1 unlisted objects, 0 unknown objects, 0 foreign files, 0 problems"),
        "{check}"
    );
    // Not before the link has ended, whatever the grace.
    let sweeping = program
        .clone()
        .with("MARKETLAKE_JOBS__VACUUM_GRACE_PERIOD", "0s");
    sweeping.ok(&["vacuum"]).await;
    let fetched = reqwest::get(link.trim()).await.unwrap();
    assert!(fetched.status().is_success(), "{fetched:?}");
    let lake = base.lake().await;
    let now = database::clock(lake.database()).await.unwrap();
    let behind = now.plus(Duration::from_secs(601));
    let vacuumed = lake
        .maintenance()
        .vacuum(behind, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(vacuumed.unlisted, 1);
    assert_eq!(
        reqwest::get(link.trim()).await.unwrap().status().as_u16(),
        404
    );

    let long = program
        .run(&["export", "a", "--link", "--valid", "2h"])
        .await;
    assert_eq!(long.code, 2);
    assert!(
        long.err.contains("--valid: expected a time up to 1h"),
        "{long:?}"
    );
    let folder = Base::local().await;
    let program = Program::on(&folder);
    program.ok(&["import", &history(&folder)]).await;
    let said = program.run(&["export", "a", "--link"]).await;
    assert_eq!(said.code, 2);
    assert!(
        said.err.contains("--link: expected a store at s3://"),
        "{said:?}"
    );
}
