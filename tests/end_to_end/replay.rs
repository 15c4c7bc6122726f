//! A replay: ingest, detect, one mail; and no second one, however often.

use std::io::{Read, Write};

use sea_orm::ConnectionTrait;
use serde_json::value::RawValue;

use super::{history, replaying, runs, subscribe, wait_for_minutes};
use crate::support::DEEP;
use crate::support::base::{Base, on_both};
use crate::support::mailbox::{Fault, Mailbox};
use crate::support::program::Program;
use crate::support::{eventually, recordings};

async fn one_mail(base: &Base, files: &[String], minutes: usize, value: &str) {
    let database = base.database().await;
    let mailbox = Mailbox::open(Fault::None).await;
    let program = replaying(base, files, 6_000).with("MARKETLAKE_MAIL__URL", &mailbox.url);
    subscribe(&program, "ethbtc").await;
    let mut server = program.up(&[]).await;
    wait_for_minutes(&database, minutes).await;
    eventually("the mail", async || {
        (!mailbox.mails().is_empty()).then_some(())
    })
    .await;
    server.interrupt().await;
    assert!(mailbox.mails()[0].contains(value), "{}", mailbox.mails()[0]);

    // A second start has nothing to do; slots done again change nothing; nor does the whole replay
    // anew.
    let samples = base.lake().await.stats().await.unwrap().samples;
    database
        .execute_unprepared("delete from job_runs")
        .await
        .unwrap();
    let mut server = program.up(&[]).await;
    wait_for_minutes(&database, minutes).await;
    eventually("quiet", async || {
        (runs(&database, "deliver-alerts", "running").await == 0).then_some(())
    })
    .await;
    server.interrupt().await;
    assert_eq!(mailbox.mails().len(), 1);
    assert_eq!(base.lake().await.stats().await.unwrap().samples, samples);
    assert_eq!(
        base.lake()
            .await
            .maintenance()
            .check(DEEP)
            .await
            .unwrap()
            .problems,
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tripled_minute_is_one_mail_and_stays_one() {
    on_both(async |base: Base| {
        let file = history(&base, 70, Some(64));
        one_mail(&base, &[file], 70, "2018-01-21 01:04 UTC").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_candles_with_a_tripled_minute_are_one_mail() {
    let Some(folder) = recordings::folder() else {
        return;
    };
    let base = Base::local().await;
    let mut files = Vec::new();
    let mut minutes = std::collections::BTreeSet::new();
    for name in ["ETH_BTC-1m.json.gz", "LTC_BTC-1m.json.gz"] {
        let mut text = String::new();
        let file = std::fs::File::open(folder.join("freqtrade/1m_201801").join(name)).unwrap();
        flate2::read::GzDecoder::new(file)
            .read_to_string(&mut text)
            .unwrap();
        let mut rows: Vec<Vec<Box<RawValue>>> = serde_json::from_str(&text).unwrap();
        rows.truncate(90);
        if name.starts_with("ETH") {
            let close: f64 = rows[70][4].get().parse().unwrap();
            rows[70][4] = RawValue::from_string(format!("{:.8}", close * 3.1)).unwrap();
        }
        minutes.extend(rows.iter().map(|row| row[0].get().to_owned()));
        let path = base.path().join(name);
        let mut gz = flate2::write::GzEncoder::new(
            std::fs::File::create(&path).unwrap(),
            flate2::Compression::fast(),
        );
        gz.write_all(serde_json::to_string(&rows).unwrap().as_bytes())
            .unwrap();
        gz.finish().unwrap();
        files.push(path.display().to_string());
    }
    let (first, last) = (minutes.first().unwrap(), minutes.last().unwrap());
    let span = (last.parse::<usize>().unwrap() - first.parse::<usize>().unwrap()) / 60_000 + 1;
    // A minute without any sample is done without detection: here each has one.
    assert_eq!(span, minutes.len());
    one_mail(&base, &files, span, "Subject: ETH/BTC 3.1x its last hour").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_history_of_another_lake_is_played_as_if_it_were_live() {
    let (recorded, playing) = (Base::local().await, Base::local().await);
    let file = history(&recorded, 70, Some(64));
    // The other lake lies as one does by default: below one folder.
    let folder = recorded.path().join("recorded");
    let data = folder.to_str().unwrap();
    Program::bare().ok(&["--data", data, "import", &file]).await;
    let database = playing.database().await;
    let mailbox = Mailbox::open(Fault::None).await;
    let feed = format!("[{{kind=\"replay\",lake=\"{data}\",speed=6000.0}}]");
    let program = Program::on(&playing)
        .with("MARKETLAKE_FEEDS", feed)
        .with("MARKETLAKE_MAIL__URL", &mailbox.url);
    subscribe(&program, "ethbtc").await;
    let mut server = program.up(&[]).await;
    wait_for_minutes(&database, 70).await;
    eventually("the mail", async || {
        (!mailbox.mails().is_empty()).then_some(())
    })
    .await;
    let played = server.text("/v1/metric/ethbtc/timeseries").await;
    server.interrupt().await;
    let other = Program::bare()
        .ok(&["--data", data, "timeseries", "ethbtc", "--format", "csv"])
        .await;
    let rows = other
        .lines()
        .skip(1)
        .map(|line| line.rsplit_once(',').unwrap().1)
        .collect::<Vec<_>>();
    assert_eq!(rows.len(), 70);
    assert!(
        rows.iter()
            .all(|value| played.contains(&format!("\"value\":{value}}}"))),
        "{played}"
    );
    let missing = Program::on(&playing)
        .with("MARKETLAKE_FEEDS", "[{kind=\"replay\",lake=\"/nowhere\"}]")
        .run(&["up"])
        .await;
    assert_eq!(missing.code, 2);
    assert!(
        missing
            .err
            .contains("setting feeds.0.lake = \"/nowhere\": expected the data folder of a lake"),
        "{missing:?}"
    );
}
