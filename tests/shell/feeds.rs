//! Settings of feeds: modes, addresses, and the contact that exchanges see.

use crate::support::base::Base;
use crate::support::exchange::{Answer, Exchange};
use crate::support::program::Program;
use crate::support::samples::last_minute;

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_setting_of_a_feed_is_named_whatever_the_command() {
    let long = format!("[{{kind=\"okx\",contact=\"{}\"}}]", "a".repeat(201));
    let contact = "expected a mail address or an https URL of 1 to 200 printable ASCII \
                   characters, without spaces, parentheses and backslashes";
    let cases = [
        (
            "[{kind=\"binance\",mode=\"push\"}]",
            "setting feeds.0.mode = \"push\": expected stream or poll",
        ),
        (
            "[{kind=\"binance\"},{kind=\"cryptowatch\",mode=\"stream\"}]",
            "setting feeds.1.mode = \"stream\": expected poll: cryptowatch has no stream",
        ),
        (
            "[{kind=\"bybit\",stream_url=\"https://me:secret@host\"}]",
            "setting feeds.0.stream_url = \"https://***@host\": expected an address like \
             wss://stream.example.com/ws",
        ),
        (
            "[{kind=\"bybit\",stream_url=\"host:443\"}]",
            "expected an address like wss://stream.example.com/ws",
        ),
        (
            "[{kind=\"bybit\",base_url=\"https://x\",stream_url=\"wss://me:secret@host\"}]",
            "setting feeds.0.stream_url = \"wss://***@host\": expected an address without user and \
             password",
        ),
        (
            "[{kind=\"binance\",stream_url=\"wss://host?token=secret\"}]",
            "setting feeds.0.stream_url = \"***\": expected feeds.0.base_url to be set, too",
        ),
        (
            "[{kind=\"bybit\",mode=\"stream\",base_url=\"https://me:secret@host\"}]",
            "setting feeds.0.base_url = \"***\": expected feeds.0.stream_url to be set, too",
        ),
        (
            "[{kind=\"binance\",mode=\"stream\",base_url=\"https://host\"}]",
            "expected feeds.0.stream_url to be set, too: a stream needs both or neither",
        ),
        (
            "[{kind=\"simulated\",mode=\"poll\"}]",
            "setting feeds.0.mode = \"poll\": expected none: simulated is no exchange",
        ),
        ("[{kind=\"okx\",contact=\"\"}]", contact),
        (
            "[{kind=\"okx\",api_key=\"secret\"}]",
            "setting feeds.0.api_key = \"given\": expected none: a feed of kind okx does not",
        ),
        (
            "[{kind=\"okx\"},{kind=\"simulated\",markets=[\"a\"]}]",
            "setting feeds.1.markets = \"given\": expected none: a feed of kind simulated does not",
        ),
        (
            "[{kind=\"okx\"},{kind=\"kraken\"},{kind=\"okx\",contact=\"a@b\"}]",
            "setting feeds.2.kind = \"okx\": expected another exchange: feeds.0 is of the same",
        ),
        ("[{kind=\"okx\",contact=\"the operators\"}]", contact),
        ("[{kind=\"okx\",contact=\"ops@exämple.com\"}]", contact),
        (
            "[{kind=\"okx\",contact=\"(ops)\"}]",
            "setting feeds.0.contact = \"(ops)\": expected a mail address or an https URL",
        ),
        (long.as_str(), contact),
    ];
    for (feeds, expected) in cases {
        let program = Program::bare().with("MARKETLAKE_FEEDS", feeds);
        for command in ["config", "metrics"] {
            let said = program.run(&[command]).await;
            assert_eq!(said.code, 2, "{feeds}: {said:?}");
            assert!(said.err.contains(expected), "{feeds}: {}", said.err);
            assert!(!said.err.contains("secret"), "{}", said.err);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_exchange_is_streamed_or_polled_and_secrets_of_its_addresses_are_not_shown() {
    let kinds = ["binance", "kraken", "coinbase", "okx", "bybit", "bitstamp"];
    let modes = ["stream", "poll"];
    for (kind, mode) in kinds.iter().flat_map(|kind| modes.map(|mode| (kind, mode))) {
        let feeds = format!(
            "[{{kind=\"{kind}\",mode=\"{mode}\",contact=\"https://lake.example.com\",\
             base_url=\"https://me:hush@api.example.com\",\
             stream_url=\"wss://stream.example.com/ws?token=hush\"}}]"
        );
        let program = Program::bare().with("MARKETLAKE_FEEDS", feeds);
        let out = program.ok(&["config"]).await;
        assert!(!out.contains("hush"), "{out}");
        let line = |name: &str| {
            let line = out.lines().find(|line| line.starts_with(name));
            line.unwrap_or_else(|| panic!("{name}: {out}")).to_owned()
        };
        assert!(line("feeds.0.mode ").contains(mode), "{out}");
        assert!(line("feeds.0.contact ").contains("https://lake.example.com"));
        assert!(line("feeds.0.stream_url ").contains("wss://stream.example.com/ws"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_run_cannot_read_a_stream_and_says_what_it_can() {
    let base = Base::local().await;
    let cases = [
        (
            "[{kind=\"binance\",mode=\"stream\"}]",
            "setting feeds.0.mode = \"stream\": expected poll: a single run cannot read a stream",
        ),
        (
            "[{kind=\"simulated\"},{kind=\"kraken\",mode=\"stream\"}]",
            "setting feeds.1.mode = \"stream\": expected poll: a single run cannot read a stream",
        ),
    ];
    for (feeds, expected) in cases {
        let program = Program::on(&base).with("MARKETLAKE_FEEDS", feeds);
        let said = program.run(&["run", "ingest-minute"]).await;
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains(expected), "{}", said.err);
        // Other jobs need no feed.
        program.ok(&["run", "expire-subscriptions"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_run_polls_and_the_exchange_sees_the_contact() {
    let base = Base::local().await;
    let exchange = Exchange::with([Answer::tickers(&[("A", "1")])]).await;
    let feeds = format!(
        "[{{kind=\"binance\",base_url=\"{}\",contact=\"ops@example.com\"}}]",
        exchange.url
    );
    let program = Program::on(&base).with("MARKETLAKE_FEEDS", feeds);
    let slot = last_minute().await.to_string();
    program.ok(&["run", "ingest-minute", "--slot", &slot]).await;
    // It gets no candles, and has requested them.
    let from = [
        "--from",
        "2026-01-01T00:00:00Z",
        "--to",
        "2026-01-01T00:01:00Z",
    ];
    let backfill = ["backfill", "--feed", "binance", "--pairs", "a"];
    program.run(&[&backfill[..], &from[..]].concat()).await;
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!("marketlake/{version} (+ops@example.com)");
    let agents = exchange.user_agents();
    assert!(agents.len() >= 2, "{agents:?}");
    assert!(
        agents.iter().flatten().all(|agent| *agent == expected),
        "{agents:?}"
    );
    assert_eq!(exchange.requests()[0], "/api/v3/ticker/24hr");
}
