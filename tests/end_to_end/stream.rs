//! The README's alert on a streamed exchange: from a message of the exchange to a mail.

use std::fmt::Write;
use std::time::{Duration, Instant};

use chrono::Utc;
use marketlake_model::{Millis, Minute};
use serde_json::{Value, json};

use crate::support::alerting::link;
use crate::support::base::Base;
use crate::support::eventually;
use crate::support::exchange::Answer;
use crate::support::mailbox::{Fault, Mailbox};
use crate::support::program::Program;
use crate::support::stream_exchange::{Script, StreamExchange};

const LISTINGS: &str = r#"{"symbols":[
    {"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT"},
    {"symbol":"ETHUSDT","status":"TRADING","baseAsset":"ETH","quoteAsset":"USDT"}]}"#;

/// Acknowledges a request as Binance does.
fn acknowledge(message: &str) -> Vec<String> {
    let request: Value = serde_json::from_str(message).unwrap();
    vec![json!({"result": null, "id": request["id"]}).to_string()]
}

/// A candle of a minute, as of now.
fn candle(symbol: &str, minute: Minute, volume: &str, is_closed: bool) -> String {
    let begin = minute.start().0;
    let kline = json!({"t": begin, "T": begin + 59_999, "s": symbol, "i": "1m", "f": 1, "L": 9,
        "o": "100", "c": "101.50", "h": "102", "l": "99", "v": volume, "n": 9, "x": is_closed,
        "q": "1", "V": "1", "Q": "1", "B": "0"});
    let event = json!({"e": "kline", "E": now().0, "s": symbol, "k": kline});
    json!({"stream": format!("{}@kline_1m", symbol.to_lowercase()), "data": event}).to_string()
}

fn now() -> Millis {
    Millis::from(Utc::now())
}

/// Two hours of volumes, all 1, up to the last minute that is over, as a CSV file.
fn calm_hours(base: &Base) -> String {
    let mut text = "metric,ts,value\n".to_owned();
    let newest = now().minute().plus(-1);
    for back in 0..120 {
        let ts = newest.plus(-back);
        writeln!(
            text,
            "binance:btcusdt:volume,{ts},1\nbinance:ethusdt:volume,{ts},1"
        )
        .unwrap();
    }
    let path = base.path().join("calm.csv");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// The mutation that the README shows.
fn readme_alert() -> String {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let readme = readme.unwrap();
    let blocks = readme.split("```graphql\n").skip(1);
    let mut mutations = blocks.filter_map(|block| block.split("```").next());
    let create = mutations.find(|text| text.contains("createSubscription"));
    create.expect("an alert in the README").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alert_of_the_readme_is_mailed_when_a_streamed_volume_jumps() {
    let base = Base::local().await;
    let exchange = StreamExchange::start(
        [Answer::ok(LISTINGS)],
        [Script::accept(acknowledge, Vec::new())],
    )
    .await;
    let mailbox = Mailbox::open(Fault::None).await;
    let feeds = format!(
        "[{{kind=\"binance\",base_url=\"{}\",stream_url=\"ws://{}/stream\"}}]",
        exchange.rest.url, exchange.host
    );
    let program = Program::on(&base)
        .with("MARKETLAKE_FEEDS", feeds)
        .with("MARKETLAKE_MAIL__URL", &mailbox.url);
    program.ok(&["import", &calm_hours(&base)]).await;
    let server = program.up(&[]).await;
    let created = server.graphql_as_operator(&readme_alert()).await;
    let errors = &created["data"]["createSubscription"]["userErrors"];
    assert_eq!(errors, &json!([]), "{created}");
    let question = eventually("the mail with the link that confirms", async || {
        mailbox.mails().pop()
    })
    .await;
    let confirm = server.url(&link(&question, "confirm"));
    let confirmed = reqwest::Client::builder().build().unwrap().post(confirm);
    let form = confirmed.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(form.send().await.unwrap().status(), 200);
    exchange.connections(1).await;
    exchange.messages(0, 1).await;
    let minute = now().minute();
    exchange.send(candle("BTCUSDT", minute, "3.5", true)).await;
    exchange.send(candle("ETHUSDT", minute, "3", true)).await;
    let sent = Instant::now();
    let end = minute.plus(1).start();
    eventually("the end of the minute", async || {
        (now() >= end).then_some(())
    })
    .await;
    let over = Instant::now();
    // What shows that nothing of the minute is under way.
    let later = end.plus(Duration::from_secs(3));
    eventually("three seconds more", async || {
        (now() >= later).then_some(())
    })
    .await;
    exchange
        .send(candle("BTCUSDT", minute.plus(1), "1", false))
        .await;
    let mail = eventually("the mail", async || mailbox.mails().into_iter().nth(1)).await;
    eprintln!(
        "the mail came {:.1} s after the candle, {:.1} s after the minute's end",
        sent.elapsed().as_secs_f32(),
        over.elapsed().as_secs_f32()
    );
    assert!(mail.contains("trader@example.com"), "{mail}");
    assert!(mail.contains("btcusdt:volume"), "{mail}");
    // Three times the mean is no jump, and the prices have no hour before them.
    let jumps = server.json("/v1/jumps").await;
    let jumped: Vec<&Value> = jumps["data"].as_array().unwrap().iter().collect();
    assert_eq!(jumped.len(), 1, "{jumps}");
    assert_eq!(jumped[0]["metric"], "btcusdt:volume", "{jumps}");
    assert_eq!(jumped[0]["timestamp"], minute.to_string(), "{jumps}");
    for (metric, value) in [
        ("btcusdt", "101.5"),
        ("btcusdt:volume", "3.5"),
        ("btcusdt:high", "102"),
        ("btcusdt:low", "99"),
        ("btcusdt:trades", "9"),
    ] {
        let rows = server
            .text(&format!("/v1/metric/{metric}/timeseries"))
            .await;
        let row = format!(r#""timestamp":"{minute}","value":{value}}}"#);
        assert!(rows.contains(&row), "{metric}: {rows}");
    }
}
