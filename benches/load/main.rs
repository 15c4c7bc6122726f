//! Load drill: a server under idle, slow and hostile clients beside ordinary requests.
//!
//! `scripts/drill load [MINUTES]` runs it, by default for 60 minutes. It starts `marketlake up` on
//! a simulated market, then for the whole time: 2,000 idle, 200 slow and 50 hostile clients from
//! many addresses of 127.0.0.0/8, and 200 requests a second whose latency is measured from when
//! each was due. It fails unless no minute is missed, the 99th percentile is below 50 ms, memory at
//! the end is within 20 % of its value after 10 minutes (or after a sixth of a shorter run), and
//! the number of open descriptors does not grow.

#![expect(unreachable_pub, reason = "a program of its own")]

mod hostile;
mod idle;
mod process;
mod requests;
mod slow;
mod socket;
mod verdict;

use std::net::SocketAddr;
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

/// The clients of a run.
struct Clients {
    to: SocketAddr,
    counters: Arc<Counters>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Clients {
    /// Starts `count` clients of a kind, each with its number.
    fn start<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        count: usize,
        run: impl Fn(usize, SocketAddr, Arc<Counters>, CancellationToken) -> F,
    ) {
        for number in 0..count {
            let client = run(number, self.to, self.counters.clone(), self.stop.clone());
            self.tasks.spawn(client);
        }
    }

    async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn run(length: Duration) -> anyhow::Result<()> {
    let mut server = Server::start().await?;
    say(&format!(
        "server {} at {}, for {} s",
        server.id(),
        server.address(),
        length.as_secs()
    ));
    let mut clients = Clients {
        to: server.address(),
        counters: Arc::default(),
        stop: CancellationToken::new(),
        tasks: JoinSet::new(),
    };
    clients.start(IDLE_CLIENTS, idle::run);
    clients.start(SLOW_CLIENTS, slow::run);
    clients.start(HOSTILE_CLIENTS, hostile::run);
    clients.start(requests::CONNECTIONS, requests::run);
    let counters = Arc::clone(&clients.counters);
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
    clients.stop().await;
    let minutes = server.recorded_minutes(length).await?;
    server.end().await?;
    let check = server.check().await?;
    verdict::evaluate(length, &seen, &counters, &minutes, &check)
}

#[expect(clippy::print_stdout, reason = "its figures are its output")]
fn say(line: &str) {
    println!("{line}");
}
