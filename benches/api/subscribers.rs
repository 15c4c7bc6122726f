//! 10,000 WebSockets: the time until all have a minute, and the cost of each.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::measure::{Place, figure};
use crate::server::Server;

const SUBSCRIBERS: usize = 10_000;
const SLOTS: usize = 20;

pub fn run(place: &Place) -> anyhow::Result<()> {
    let mut server = Server::start(place, "subscribers", 10_000)?;
    let before = server.resident()?;
    let mut clients = Command::new(std::env::current_exe()?)
        .arg("clients")
        .arg(&server.address)
        .arg(SUBSCRIBERS.to_string())
        .arg(SLOTS.to_string())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = clients.stdout.take().context("no output")?;
    let mut lines = BufReader::new(output).lines();
    let first = lines.next().context("the clients ended")??;
    anyhow::ensure!(first == "ready", "{first}");
    let idle = server.resident()?;
    server.begin()?;
    let heard: Vec<String> = lines.collect::<Result<_, _>>()?;
    let busy = server.resident()?;
    anyhow::ensure!(clients.wait()?.success(), "the clients failed");
    let committed: HashMap<i64, i64> = server
        .said("minute")
        .iter()
        .map(|line| {
            let (minute, at) = line.split_once(' ').context("no time")?;
            Ok((minute.parse()?, at.parse()?))
        })
        .collect::<anyhow::Result<_>>()?;
    // In the order of the minutes, since the clients say them so.
    let mut times = Vec::new();
    for line in heard {
        let mut words = line.split_whitespace().skip(1);
        let mut next = || anyhow::Ok(words.next().context("too short")?.parse::<i64>()?);
        let (minute, count, last) = (next()?, next()?, next()?);
        anyhow::ensure!(
            usize::try_from(count)? == SUBSCRIBERS,
            "minute {minute}: {count} of {SUBSCRIBERS} heard of it"
        );
        let at = committed.get(&minute).context("a minute never committed")?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        times.push((last - at) as f64 / 1e3);
    }
    anyhow::ensure!(times.len() == SLOTS, "{} minutes", times.len());
    let each: Vec<String> = times.iter().map(|took| format!("{took:.0}")).collect();
    crate::say(&format!("milliseconds of each slot: {}", each.join(" ")));
    times.sort_unstable_by(f64::total_cmp);
    let name =
        format!("{SUBSCRIBERS} WebSockets, {SLOTS} slots: commit to the last one's word, median");
    figure(&name, times[SLOTS / 2], "ms");
    figure("  the slowest slot", times[SLOTS - 1], "ms");
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let each = |resident: f64| (resident - before) / SUBSCRIBERS as f64 / 1024.0;
    figure("resident a subscriber: all subscribed", each(idle), "KiB");
    figure("  and after those slots", each(busy), "KiB");
    Ok(())
}
