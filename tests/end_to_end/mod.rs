//! The whole way, from a feed to an answer or a mail.

mod alert_kills;
mod candles;
mod catalog_losses;
mod crash;
mod cryptowatch;
mod fleet;
mod kills;
mod process;
mod replay;
mod restore;
mod stream;

use std::fmt::Write;

use marketlake_model::Minute;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use crate::support::base::Base;
use crate::support::program::Program;
use crate::support::samples::minute;
use crate::support::until_all;

/// The first minute of [`history`].
pub fn first() -> Minute {
    minute("2018-01-21T00:00:00Z")
}

/// Real prices of ETH/BTC on Bittrex, 2018-01-21, one a minute, in hundred-millionths; the one at
/// `tripled` times three and a bit.
const PRICES: [u32; 16] = [
    8_994_001, 8_990_000, 8_999_999, 9_005_000, 8_980_010, 8_985_000, 8_991_200, 9_000_000,
    9_012_345, 8_999_000, 8_987_654, 8_976_543, 8_990_001, 8_995_000, 8_998_765, 9_001_000,
];

/// A history of a number of minutes as a CSV file.
pub fn history(base: &Base, minutes: usize, tripled: Option<usize>) -> String {
    let mut text = "metric,ts,value\n".to_owned();
    for index in 0..minutes {
        let price = PRICES[index % PRICES.len()];
        let price = if Some(index) == tripled {
            price * 3 + 700_000
        } else {
            price
        };
        let ts = first().plus(i64::try_from(index).unwrap());
        writeln!(
            text,
            "bittrex:ethbtc,{ts},{price}e-8\nbittrex:other,{ts},0.5"
        )
        .unwrap();
    }
    let path = base.path().join("history.csv");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// The program with a replay of files.
pub fn replaying(base: &Base, files: &[String], speed: u32) -> Program {
    let files: Vec<String> = files.iter().map(|f| format!("\"{f}\"")).collect();
    let feed = format!(
        "[{{kind=\"replay\",market=\"bittrex\",speed={speed}.0,files=[{}]}}]",
        files.join(",")
    );
    Program::on(base).with("MARKETLAKE_FEEDS", feed)
}

pub async fn subscribe(program: &Program, metric: &str) {
    let arguments = [
        "subscriptions",
        "create",
        "--metric",
        metric,
        "--address",
        "trader@example.com",
    ];
    program.ok(&arguments).await;
}

/// Number of runs of a job in a state.
pub async fn runs(database: &DatabaseConnection, job: &str, state: &str) -> i64 {
    let sql =
        format!("select count(*) as n from job_runs where job = '{job}' and state = '{state}'");
    let row = database
        .query_one_raw(Statement::from_string(database.get_database_backend(), sql))
        .await
        .unwrap()
        .unwrap();
    row.try_get("", "n").unwrap()
}

/// Waits until that many minutes are ingested and evaluated.
pub async fn wait_for_minutes(database: &DatabaseConnection, minutes: usize) {
    let minutes = i64::try_from(minutes).unwrap();
    until_all(
        "minutes to be ingested and evaluated",
        (minutes, minutes),
        async || {
            let ingested = runs(database, "ingest-minute", "done").await;
            (ingested, runs(database, "detect-jumps", "done").await)
        },
    )
    .await;
}
