//! Benchmarks of the claims about alerts: `benches/run alerts`, or `cargo bench --bench alerts --
//! run [PART ..]`.
//!
//! Parts: evaluate, burst, live, chart, backtest. All without any.

#![expect(unreachable_pub, reason = "a program of its own")]
#![expect(clippy::disallowed_methods, reason = "time is what is measured")]

mod backtests;
mod burst;
mod charts;
mod evaluate;
mod live;
mod market;
#[expect(dead_code, reason = "shared with the lake's benchmark")]
#[path = "../lake/measure.rs"]
mod measure;
mod sink;

use measure::Place;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    if arguments.next().as_deref() != Some("run") {
        // `cargo bench` measures nothing by itself.
        say("alerts: expected run, see benches/run");
        return Ok(());
    }
    let parts: Vec<String> = arguments.collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|p| p == part);
    let place = Place::new()?;
    if wanted("chart") {
        charts::run()?;
    }
    if wanted("evaluate") {
        evaluate::run(&place).await?;
    }
    if wanted("burst") {
        burst::run(&place).await?;
    }
    if wanted("backtest") {
        backtests::run(&place).await?;
    }
    if wanted("live") {
        live::run(&place).await?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "its figures are its output")]
fn say(line: &str) {
    println!("{line}");
}
