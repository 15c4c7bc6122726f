//! Recorded tickers of a real exchange: what its poll makes of them.

use marketlake_model::Exact;
use serde_json::Value;

use super::feed;
use crate::feeds::kept;
use crate::support::exchange::{Answer, Exchange};
use crate::support::recordings;
use crate::support::samples::start;

#[tokio::test]
async fn recorded_tickers_of_binance_are_read_digit_for_digit() {
    let Some(folder) = recordings::folder() else {
        return;
    };
    let path = folder.join("gocryptotrader/binance_ticker24hr_mock.json");
    let recorded: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut answers = recorded["GET"].as_array().into_iter().flatten();
    let of_all = answers.find(|answer| answer["queryString"] == "").unwrap();
    let tickers = of_all["data"].as_array().unwrap();
    assert_eq!(tickers.len(), 6);
    let samples = |ticker: &Value| {
        let name = ticker["symbol"].as_str().unwrap().to_lowercase();
        let value = |field: &str| ticker[field].as_str().unwrap().parse::<Exact>().unwrap();
        let price = format!("binance:{name}={}", value("lastPrice"));
        [
            price,
            format!("binance:{name}:volume24h={}", value("volume")),
        ]
    };
    let mut expected: Vec<String> = tickers.iter().flat_map(samples).collect();
    expected.sort();
    let exchange = Exchange::with([Answer::ok(of_all["data"].to_string())]).await;
    let feed = feed("binance", &exchange.url, None);
    let batch = feed.samples(start()).await.unwrap();
    assert_eq!((kept(&batch), batch.rejected), (expected, 0));
}
