//! Load drill: a server under idle, slow and hostile clients beside ordinary requests.
//!
//! `scripts/drill load [MINUTES]` runs it, by default for 60 minutes. It starts `marketlake up` on a
//! simulated market, then for the whole time: 2,000 idle, 200 slow and 50 hostile clients from many
//! addresses of 127.0.0.0/8, and 200 requests a second whose latency is measured from when each was
//! due. It fails unless no minute is missed, the 99th percentile is below 50 ms, memory at the end
//! is within 20 % of its value after 10 minutes (or after a sixth of a shorter run), and the
//! number of open descriptors does not grow.

#![expect(unreachable_pub, reason = "a program of its own")]

mod hostile;
mod idle;
mod process;
mod requests;
mod slow;
mod socket;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use process::Server;
use verdict::{Counters, Observation};

const IDLE_CLIENTS: usize = 2_000;
const SLOW_CLIENTS: usize = 200;
const HOSTILE_CLIENTS: usize = 50;
/// Time between two looks at the process.
const OBSERVE_INTERVAL: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let Some(minutes) = arguments.next() else {
        // `cargo bench` runs no drill by itself.
        say("load: expected the number of minutes, see scripts/drill");
        return Ok(());
    };
    let minutes: u64 = minutes.parse().context("expected a number of minutes")?;
    anyhow::ensure!(minutes > 0, "expected one minute or more");
    run(Duration::from_secs(minutes * 60)).await
}

async fn run(length: Duration) -> anyhow::Result<()> {
    let mut server = Server::start().await?;
    say(&format!(
        "server {} at {}, for {} s",
        server.id(),
        server.address(),
        length.as_secs()
    ));
    let counters = Arc::new(Counters::default());
    let stop = CancellationToken::new();
    let mut clients = JoinSet::new();
    for number in 0..IDLE_CLIENTS {
        clients.spawn(idle::run(
            number,
            server.address(),
            counters.clone(),
            stop.clone(),
        ));
    }
    for number in 0..SLOW_CLIENTS {
        clients.spawn(slow::run(
            number,
            server.address(),
            counters.clone(),
            stop.clone(),
        ));
    }
    for number in 0..HOSTILE_CLIENTS {
        clients.spawn(hostile::run(
            number,
            server.address(),
            counters.clone(),
            stop.clone(),
        ));
    }
    clients.spawn(requests::run(
        server.address(),
        counters.clone(),
        stop.clone(),
    ));
    let begun = Instant::now();
    let mut seen = Vec::new();
    while begun.elapsed() < length {
        tokio::time::sleep(OBSERVE_INTERVAL).await;
        let observation = Observation {
            at: begun.elapsed(),
            resident_bytes: server.resident_bytes()?,
            descriptors: server.descriptors()?,
        };
        if seen.len() % 6 == 5 {
            say(&format!("{observation}; {counters}"));
        }
        seen.push(observation);
    }
    stop.cancel();
    while clients.join_next().await.is_some() {}
    let minutes = server.recorded_minutes(length).await?;
    server.end().await?;
    let check = server.check().await?;
    verdict::judge(length, &seen, &counters, &minutes, &check)
}

#[expect(clippy::print_stdout, reason = "its figures are its output")]
fn say(line: &str) {
    println!("{line}");
}
