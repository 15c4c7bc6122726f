//! 500 requests a second of mixed questions while a minute a second is ingested and an hour
//! compacted; then four times as many, then more than it can bear.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;

use crate::measure::{Place, figure, millis};
use crate::serve::METRICS;
use crate::server::Server;

const RATE: u32 = 500;
/// At which it is said to be as it was.
const CALM: f64 = 50.0;
/// In a row, ten a second.
const PROBES: usize = 10;

/// A part of the load.
struct Load<'a> {
    name: &'a str,
    seconds: u32,
    connections: u32,
    rate: Option<u32>,
}

pub async fn run(place: &Place, oha: &str) -> anyhow::Result<()> {
    let mut server = Server::start(place, "busy", 10_000)?;
    let questions = place.path("questions");
    write_questions(&questions, &server.address)?;
    server.begin()?;
    let usual = Load {
        name: "500 requests/s",
        seconds: 60,
        connections: 64,
        rate: Some(RATE),
    };
    let fourfold = Load {
        name: "2,000 requests/s",
        seconds: 20,
        rate: Some(4 * RATE),
        ..usual
    };
    let flood = Load {
        name: "2,000 connections, as much as they can",
        seconds: 20,
        connections: 2_000,
        rate: None,
    };
    for load in [&usual, &fourfold, &flood] {
        load.put(oha, &questions)?;
        recover(&server.address, load.name).await?;
    }
    let minutes = server.said("minute").len();
    let compacted = server.said("compacted");
    crate::say(&format!(
        "meanwhile {minutes} minutes ingested, {} hours compacted (microseconds, outcome): {}",
        compacted.len(),
        compacted.join(", ")
    ));
    Ok(())
}

impl Load<'_> {
    fn put(&self, oha: &str, questions: &Path) -> anyhow::Result<()> {
        let mut command = Command::new(oha);
        command
            .args(["--no-tui", "--output-format", "json", "-w"])
            .arg("-z")
            .arg(format!("{}s", self.seconds))
            .arg("-c")
            .arg(self.connections.to_string());
        if let Some(rate) = self.rate {
            // Counted from when a request was due, so that what waits is not left out.
            command.arg("-q").arg(rate.to_string());
            command.arg("--latency-correction");
        }
        command.arg("--urls-from-file").arg(questions);
        let output = command.stderr(Stdio::inherit()).output()?;
        anyhow::ensure!(output.status.success(), "oha failed");
        let report: Value = serde_json::from_slice(&output.stdout)?;
        let latency = |of: &str| {
            report["latencyPercentiles"][of]
                .as_f64()
                .unwrap_or(f64::NAN)
                * 1e3
        };
        crate::say(&format!(
            "{}: {:.0} answered a second; p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms; by status \
             {}; errors {}",
            self.name,
            report["summary"]["requestsPerSec"]
                .as_f64()
                .unwrap_or(f64::NAN),
            latency("p50"),
            latency("p99"),
            latency("p99.9"),
            report["statusCodeDistribution"],
            report["errorDistribution"]
        ));
        Ok(())
    }
}

/// Measures the time until ten requests in a row, 0.1 s apart, are answered well and soon.
async fn recover(address: &str, after: &str) -> anyhow::Result<()> {
    let begun = Instant::now();
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(2))
        .build()?;
    let mut calm_since = None;
    let mut good = 0;
    while good < PROBES {
        anyhow::ensure!(
            begun.elapsed() < Duration::from_secs(60),
            "it never recovered"
        );
        let sent = Instant::now();
        let number = (good * 97) % METRICS;
        let url = format!("http://{address}/v1/metric/m{number:05}/rank");
        let is_good = match http.get(url).send().await {
            Ok(answer) => answer.status().is_success() && millis(sent) < CALM,
            Err(_) => false,
        };
        if is_good {
            good += 1;
            calm_since.get_or_insert(sent);
        } else {
            good = 0;
            calm_since = None;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let since = calm_since.context("no answer")?;
    let took = (since - begun).as_secs_f64();
    figure(&format!("  calm again after {after}"), took, "s");
    Ok(())
}

/// A thousand questions of all kinds, of metrics all over.
fn write_questions(path: &Path, address: &str) -> anyhow::Result<()> {
    let page = "{metrics(first:100){nodes{name latest{value} rank{rank of}}}}";
    let series = |name: &str| format!("{{timeseries(metrics:[\"{name}\"]){{times values}}}}");
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for number in 0..1_000 {
        let name = format!("m{:05}", number * 7_919 % METRICS);
        let route = match number % 10 {
            0 => "/v1/metrics?limit=100".to_owned(),
            1 | 2 => format!("/v1/metric/{name}/timeseries"),
            3 => format!("/v1/metric/{name}/timeseries?format=columns"),
            4 | 5 => format!("/v1/metric/{name}/rank"),
            6 => "/v1/ranking?limit=100".to_owned(),
            7 => graphql(page),
            8 => graphql(&series(&name)),
            _ => format!(
                "/prometheus/api/v1/query?query={}",
                escaped(&format!("avg_over_time(price{{pair=\"{name}\"}}[1h])"))
            ),
        };
        writeln!(file, "http://{address}{route}")?;
    }
    Ok(file.flush()?)
}

fn graphql(document: &str) -> String {
    format!("/graphql?query={}", escaped(document))
}

fn escaped(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
