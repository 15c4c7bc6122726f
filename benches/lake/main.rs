//! Benchmarks of speed and size: `benches/run` makes the data, calls this, and sends the peers the
//! same queries.
//!
//! `lake DAY.parquet [PART ..]`: one day of 10,000 metrics; parts: files, answers, ingest, window,
//! import, growth. All without any.

#![expect(unreachable_pub, reason = "a program of its own")]

mod answers;
mod cloud;
mod files;
mod growth;
#[expect(dead_code, reason = "shared with the program")]
#[path = "../../src/wiring/http.rs"]
mod http_apis;
mod imports;
mod ingest;
mod measure;
mod windows;

use std::path::PathBuf;

use measure::Place;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let Some(day) = arguments.next().map(PathBuf::from) else {
        // `cargo bench` without a day has nothing to measure.
        say("lake: expected the day's file, see benches/run");
        return Ok(());
    };
    if day.as_os_str() == "window-start" || day.as_os_str() == "day-merge" {
        let place = Place::of(arguments.next().unwrap_or_default().into());
        let name = arguments.next().unwrap_or_default();
        let metrics = arguments.next().unwrap_or_default().parse()?;
        return if day.as_os_str() == "window-start" {
            windows::start_only(&place, &name, metrics).await
        } else {
            windows::compact_only(&place, &name, metrics).await
        };
    }
    let parts: Vec<String> = arguments.collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|p| p == part);
    let place = Place::new()?;
    if wanted("import") {
        imports::run(&place, &day).await?;
    }
    if wanted("files") || wanted("answers") {
        let lake = files::run(&place, &day).await?;
        if wanted("answers") {
            answers::run(&lake).await?;
        }
    }
    if wanted("ingest") {
        ingest::run(&place).await?;
    }
    if wanted("window") {
        windows::run(&place).await?;
    }
    if wanted("growth") {
        growth::run(&place).await?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "its figures are its output")]
fn say(line: &str) {
    println!("{line}");
}
