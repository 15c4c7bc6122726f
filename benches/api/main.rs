//! Benchmarks of the API under load: `benches/run api`, or `cargo bench --bench api -- run OHA
//! [PART ..]`, where OHA is the load generator's program.
//!
//! Parts: busy, subscribers. Both without any. The server and the clients are processes of their
//! own.

#![expect(unreachable_pub, reason = "a program of its own")]
#![expect(clippy::disallowed_methods, reason = "time is what is measured")]

mod busy;
mod clients;
#[expect(dead_code, reason = "shared with the program")]
#[path = "../../src/wiring/http.rs"]
mod http_apis;
#[expect(dead_code, reason = "shared with the lake's benchmark")]
#[path = "../lake/measure.rs"]
mod measure;
mod serve;
mod server;
mod subscribers;

use anyhow::Context;
use measure::Place;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let what = arguments.next();
    let rest: Vec<String> = arguments.collect();
    match (what.as_deref(), rest.as_slice()) {
        (Some("serve"), [folder, name, minutes]) => {
            serve::run(&Place::of(folder.into()), name, minutes.parse()?).await
        }
        (Some("clients"), [address, count, slots]) => {
            clients::run(address, count.parse()?, slots.parse()?).await
        }
        (Some("run"), [oha, parts @ ..]) => {
            let wanted = |part: &str| parts.is_empty() || parts.iter().any(|p| p == part);
            let place = Place::new()?;
            if wanted("busy") {
                busy::run(&place, oha).await.context("busy")?;
            }
            if wanted("subscribers") {
                subscribers::run(&place).context("subscribers")?;
            }
            Ok(())
        }
        _ => {
            // `cargo bench` measures nothing by itself.
            say("api: expected run OHA, see benches/run");
            Ok(())
        }
    }
}

#[expect(clippy::print_stdout, reason = "its figures are its output")]
fn say(line: &str) {
    println!("{line}");
}

/// This moment as microseconds since 1970: what processes of one machine can compare.
fn micros() -> i64 {
    chrono::Utc::now().timestamp_micros()
}
