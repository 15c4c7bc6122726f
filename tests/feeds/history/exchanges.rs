//! Table of the exchanges: candles and errors in the forms of their documentation and of
//! recordings.

use marketlake_model::{Minute, parse_time};

use super::cases::{CandleRequest, RestCase};
use crate::support::rest_exchange::RestRequest;

/// A minute of a number of milliseconds.
fn of_millis(millis: i64) -> Minute {
    Minute::from_number(millis.div_euclid(60_000))
}

/// The first minute that begins at a time or after it.
fn from_millis(millis: i64) -> Minute {
    of_millis(millis.saturating_add(59_999))
}

/// Rows that a request limits the answer to.
fn limit(request: &RestRequest, default: usize, max: usize) -> usize {
    let limit = request
        .number("limit")
        .and_then(|limit| limit.try_into().ok());
    limit.unwrap_or(default).min(max)
}

/// Milliseconds of a time in seconds or as RFC 3339.
fn time(text: &str) -> Option<i64> {
    let seconds = text.parse::<i64>().map(|seconds| seconds * 1_000).ok();
    seconds.or_else(|| Some(parse_time(text).ok()?.0))
}

pub static CASES: [RestCase; 6] = [BINANCE, KRAKEN, COINBASE, OKX, BYBIT, BITSTAMP];

const BINANCE: RestCase = RestCase {
    name: "binance",
    pairs_path: "/api/v3/exchangeInfo",
    symbol: |base, quote| format!("{base}{quote}"),
    request: |request| {
        let is_it = request.path == "/api/v3/klines" && request.text("interval") == "1m";
        is_it.then_some(CandleRequest {
            symbol: request.text("symbol").to_owned(),
            from: from_millis(request.number("startTime")?),
            to: of_millis(request.number("endTime")?),
            limit: limit(request, 500, 1_000),
        })
    },
    row: |row| {
        let (time, end, trades) = (row.time, row.time.saturating_add(59_999), row.trades);
        let [open, high, low, close, volume] = row.numbers();
        format!(
            r#"[{time},{open},{high},{low},{close},{volume},{end},"1.5",{trades},"0.5","0.7","0"]"#
        )
    },
    answer: |_, rows| format!("[{rows}]"),
    is_newest_first: false,
    has_json_numbers: false,
    has_trades: true,
    omits_quiet_minutes: false,
    unknown_symbol: (400, r#"{"code":-1121,"msg":"Invalid symbol."}"#),
    throttled: &[
        (
            200,
            r#"{"code":-1003,"msg":"Too much request weight used."}"#,
        ),
        (
            400,
            r#"{"code":-1003,"msg":"Too much request weight used."}"#,
        ),
    ],
    failure: (
        200,
        r#"{"code":-1000,"msg":"An unknown error occurred while processing the request."}"#,
        "An unknown error occurred",
    ),
};

const KRAKEN: RestCase = RestCase {
    name: "kraken",
    pairs_path: "/0/public/AssetPairs",
    symbol: |base, quote| {
        let name = |currency: &str| currency.replace("BTC", "XBT").replace("DOGE", "XDG");
        format!("{}{}", name(base), name(quote))
    },
    request: |request| {
        let is_it =
            request.path == "/0/public/OHLC" && ["", "1"].contains(&request.text("interval"));
        // Only candles after `since` come, and the newest 720 at most; here, that many after it.
        let from = from_millis(
            request
                .number("since")?
                .saturating_mul(1_000)
                .saturating_add(1),
        );
        is_it.then_some(CandleRequest {
            symbol: request.text("pair").to_owned(),
            from,
            to: from.plus(719),
            limit: 720,
        })
    },
    row: |row| {
        let (time, trades) = (row.time / 1_000, row.trades);
        let [open, high, low, close, volume] = row.numbers();
        format!(r#"[{time},{open},{high},{low},{close},"1.5",{volume},{trades}]"#)
    },
    answer: |symbol, rows| {
        format!(r#"{{"error":[],"result":{{"X{symbol}":[{rows}],"last":1795514340}}}}"#)
    },
    is_newest_first: false,
    has_json_numbers: false,
    has_trades: true,
    omits_quiet_minutes: false,
    unknown_symbol: (200, r#"{"error":["EQuery:Unknown asset pair"]}"#),
    throttled: &[
        (200, r#"{"error":["EAPI:Rate limit exceeded"]}"#),
        (200, r#"{"error":["EGeneral:Too many requests"]}"#),
    ],
    failure: (
        200,
        r#"{"error":["EService:Unavailable"]}"#,
        "EService:Unavailable",
    ),
};

const COINBASE: RestCase = RestCase {
    name: "coinbase",
    pairs_path: "/products",
    symbol: |base, quote| format!("{base}-{quote}"),
    request: |request| {
        let symbol = request
            .path
            .strip_prefix("/products/")?
            .strip_suffix("/candles")?;
        let (from, to) = (time(request.text("start"))?, time(request.text("end"))?);
        // It answers no request for more than 300 candles.
        let is_it = request.text("granularity") == "60" && (to - from) / 60_000 <= 300;
        is_it.then_some(CandleRequest {
            symbol: symbol.to_owned(),
            from: from_millis(from),
            to: of_millis(to),
            limit: 300,
        })
    },
    row: |row| {
        let time = row.time / 1_000;
        let [open, high, low, close, volume] = row.numbers();
        format!("[{time},{low},{high},{open},{close},{volume}]")
    },
    answer: |_, rows| format!("[{rows}]"),
    is_newest_first: true,
    has_json_numbers: true,
    has_trades: false,
    omits_quiet_minutes: true,
    unknown_symbol: (404, r#"{"message":"NotFound"}"#),
    throttled: &[(429, r#"{"message":"Public rate limit exceeded"}"#)],
    failure: (
        503,
        r#"{"message":"ServiceUnavailable"}"#,
        "ServiceUnavailable",
    ),
};

const OKX: RestCase = RestCase {
    name: "okx",
    pairs_path: "/api/v5/public/instruments",
    symbol: |base, quote| format!("{base}-{quote}"),
    request: |request| {
        let max = match request.path.strip_prefix("/api/v5/market/")? {
            "history-candles" => 100,
            "candles" => 300,
            _ => return None,
        };
        // Candles before `after` and after `before`.
        let is_it = ["", "1m"].contains(&request.text("bar"));
        is_it.then_some(CandleRequest {
            symbol: request.text("instId").to_owned(),
            from: from_millis(request.number("before")?.saturating_add(1)),
            to: of_millis(request.number("after")?.saturating_sub(1)),
            limit: limit(request, 100, max),
        })
    },
    row: |row| {
        let time = row.time;
        let [open, high, low, close, volume] = row.numbers();
        format!(r#"["{time}",{open},{high},{low},{close},{volume},"1.5","1.5","1"]"#)
    },
    answer: |_, rows| format!(r#"{{"code":"0","msg":"","data":[{rows}]}}"#),
    is_newest_first: true,
    has_json_numbers: false,
    has_trades: false,
    omits_quiet_minutes: false,
    unknown_symbol: (
        200,
        r#"{"code":"51001","msg":"Instrument ID or Spread ID doesn't exist.","data":[]}"#,
    ),
    throttled: &[
        (
            200,
            r#"{"code":"50011","msg":"Too Many Requests","data":[]}"#,
        ),
        (
            429,
            r#"{"code":"50011","msg":"Too Many Requests","data":[]}"#,
        ),
    ],
    failure: (
        200,
        r#"{"code":"50001","msg":"Service temporarily unavailable.","data":[]}"#,
        "Service temporarily unavailable",
    ),
};

const BYBIT: RestCase = RestCase {
    name: "bybit",
    pairs_path: "/v5/market/instruments-info",
    symbol: |base, quote| format!("{base}{quote}"),
    request: |request| {
        let is_it = request.path == "/v5/market/kline"
            && request.text("category") == "spot"
            && request.text("interval") == "1";
        is_it.then_some(CandleRequest {
            symbol: request.text("symbol").to_owned(),
            from: from_millis(request.number("start")?),
            to: of_millis(request.number("end")?),
            limit: limit(request, 200, 1_000),
        })
    },
    row: |row| {
        let time = row.time;
        let [open, high, low, close, volume] = row.numbers();
        format!(r#"["{time}",{open},{high},{low},{close},{volume},"1.5"]"#)
    },
    answer: |symbol, rows| {
        format!(
            r#"{{"retCode":0,"retMsg":"OK","result":{{"category":"spot","symbol":"{symbol}",
            "list":[{rows}]}},"retExtInfo":{{}},"time":1795514400000}}"#
        )
    },
    is_newest_first: true,
    has_json_numbers: false,
    has_trades: false,
    omits_quiet_minutes: false,
    unknown_symbol: (
        200,
        r#"{"retCode":10001,"retMsg":"Not supported symbols","result":{},"retExtInfo":{}}"#,
    ),
    throttled: &[
        (
            200,
            r#"{"retCode":10006,"retMsg":"Too many visits!","result":{}}"#,
        ),
        (403, "403, access too frequent"),
    ],
    failure: (
        200,
        r#"{"retCode":10016,"retMsg":"Server error","result":{}}"#,
        "Server error",
    ),
};

const BITSTAMP: RestCase = RestCase {
    name: "bitstamp",
    pairs_path: "/api/v2/markets/",
    symbol: |base, quote| format!("{base}{quote}").to_lowercase(),
    request: |request| {
        let symbol = request
            .path
            .strip_prefix("/api/v2/ohlc/")?
            .strip_suffix('/')?;
        let is_it = request.text("step") == "60";
        // Where both times are given, it answers the candles up to the last one.
        let (to, limit) = (request.number("end")?, limit(request, 1, 1_000));
        let to = of_millis(to.saturating_mul(1_000));
        let count = i64::try_from(limit).ok()?;
        is_it.then_some(CandleRequest {
            symbol: symbol.to_owned(),
            from: to.plus(1 - count),
            to,
            limit,
        })
    },
    row: |row| {
        let time = row.time / 1_000;
        let [open, high, low, close, volume] = row.numbers();
        format!(
            r#"{{"close":{close},"high":{high},"low":{low},"open":{open},"timestamp":"{time}",
            "volume":{volume}}}"#
        )
    },
    answer: |symbol, rows| format!(r#"{{"data":{{"ohlc":[{rows}],"pair":"{symbol}"}}}}"#),
    is_newest_first: false,
    has_json_numbers: false,
    has_trades: false,
    omits_quiet_minutes: false,
    unknown_symbol: (404, "<html><body>Not found</body></html>"),
    throttled: &[(
        429,
        r#"{"status":"error","reason":"Request rate limit exceeded"}"#,
    )],
    failure: (
        503,
        r#"{"status":"error","reason":"Maintenance"}"#,
        "Maintenance",
    ),
};
