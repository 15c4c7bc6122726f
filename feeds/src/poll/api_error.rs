//! Errors that an exchange reports in the body of an answer, with any status: many come with 200.
//!
//! A body without one is no error here, whatever its status.

use std::borrow::Cow;
use std::time::Duration;

use marketlake_model::Millis;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{Text, decimal_text};

/// Characters of a body that an error shows.
const MAX_BODY_CHARS: usize = 200;
/// Pause after Bybit's status 403: its documentation names ten minutes.
const BYBIT_BLOCK: Duration = Duration::from_secs(600);

/// Error of an exchange's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// The exchange has no such symbol; its message.
    UnknownSymbol(String),
    /// Too many requests.
    Throttled {
        /// Start of the body.
        message: String,
        /// Pause that the exchange requires, where its documentation names one.
        pause: Option<Duration>,
    },
    /// Too many requests, and no more are answered before a time by the exchange's clock.
    Banned {
        /// Start of the body.
        message: String,
        /// End of the ban.
        until: Millis,
    },
    /// Any other error: the start of the body.
    Other(String),
}

impl ApiError {
    /// Too many requests, without a time.
    fn throttled(body: &str) -> Self {
        Self::Throttled {
            message: body_start(body),
            pause: None,
        }
    }
}

/// Finds the error in an answer, by its status and body.
pub(crate) type ReadApiError = fn(status: u16, body: &str) -> Option<ApiError>;

/// Start of a body for an error: its first 200 characters, with spaces for control characters.
pub(crate) fn body_start(body: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    body.chars().take(MAX_BODY_CHARS).map(plain).collect()
}

/// Parses a body that may hold an error; anything but a JSON object holds none.
fn object<'a, T: Deserialize<'a>>(body: &'a str) -> Option<T> {
    let is_object = body.trim_start().starts_with('{');
    is_object.then(|| serde_json::from_str(body).ok()).flatten()
}

/// Message of an exchange, or the start of the body where it gives none.
fn message(text: Option<Text<'_>>, body: &str) -> String {
    let text = text.map(|text| text.0).filter(|text| !text.is_empty());
    text.map_or_else(|| body_start(body), |text| body_start(&text))
}

#[derive(Deserialize)]
struct BinanceError<'a> {
    code: Option<i64>,
    #[serde(borrow)]
    msg: Option<Text<'a>>,
}

/// Binance's error: `{"code":-1121,"msg":"Invalid symbol."}`. A ban names its end in the message,
/// in milliseconds by Binance's clock: `banned until 1774784983833`.
///
/// Source: Binance's spot API documentation, "Error Codes".
pub(crate) fn binance(_status: u16, body: &str) -> Option<ApiError> {
    let error: BinanceError<'_> = object(body)?;
    Some(match error.code? {
        0 => return None,
        -1121 => ApiError::UnknownSymbol(message(error.msg, body)),
        -1003 => {
            let until = error.msg.and_then(|text| banned_until(&text.0));
            until.map_or_else(
                || ApiError::throttled(body),
                |until| ApiError::Banned {
                    message: body_start(body),
                    until,
                },
            )
        }
        _ => ApiError::Other(body_start(body)),
    })
}

/// End of a ban that a message names.
fn banned_until(message: &str) -> Option<Millis> {
    let (_, rest) = message.split_once("banned until ")?;
    let end = rest.find(|c: char| !c.is_ascii_digit());
    let digits = end.map_or(Some(rest), |end| rest.get(..end))?;
    digits.parse().ok().map(Millis)
}

#[derive(Deserialize)]
struct KrakenErrors<'a> {
    #[serde(borrow, default)]
    error: Vec<Text<'a>>,
}

/// Kraken's errors, with status 200: `{"error":["EQuery:Unknown asset pair"]}`. Entries that begin
/// with `W` are warnings.
///
/// Source: docs.kraken.com, "Spot Errors".
pub(crate) fn kraken(_status: u16, body: &str) -> Option<ApiError> {
    let errors: KrakenErrors<'_> = object(body)?;
    let mut errors = errors.error.into_iter().map(|text| text.0);
    let error = errors.find(|error| error.starts_with('E'))?;
    let unknown = ["EQuery:Unknown asset pair", "EQuery:Invalid asset pair"];
    let throttled = [
        "EAPI:Rate limit exceeded",
        "EGeneral:Too many requests",
        "EGeneral:Temporary lockout",
        "EService:Throttled",
        "EService: Throttled",
    ];
    let begins_with = |texts: &[&str]| texts.iter().any(|text| error.starts_with(text));
    Some(if begins_with(&unknown) {
        ApiError::UnknownSymbol(body_start(&error))
    } else if begins_with(&throttled) {
        ApiError::throttled(body)
    } else {
        ApiError::Other(body_start(body))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CoinbaseError<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
}

/// Coinbase's error: `{"message":"NotFound"}`, with 404 for an unknown product.
///
/// Source: docs.cdp.coinbase.com, "Exchange REST API", "Errors".
pub(crate) fn coinbase(status: u16, body: &str) -> Option<ApiError> {
    let error: CoinbaseError<'_> = object(body)?;
    match status {
        404 => Some(ApiError::UnknownSymbol(body_start(&error.message))),
        429 => Some(ApiError::throttled(body)),
        _ => Some(ApiError::Other(body_start(body))),
    }
}

#[derive(Deserialize)]
struct OkxError<'a> {
    #[serde(borrow)]
    code: &'a RawValue,
    #[serde(borrow)]
    msg: Option<Text<'a>>,
}

/// OKX's error: `{"code":"51001","msg":"..","data":[]}`, with code 0 for none.
///
/// Source: okx.com/docs-v5, "Error Code": 51001 instrument does not exist, 50011 and 50061 too many
/// requests.
pub(crate) fn okx(_status: u16, body: &str) -> Option<ApiError> {
    let error: OkxError<'_> = object(body)?;
    match decimal_text(error.code) {
        "0" => None,
        "51001" => Some(ApiError::UnknownSymbol(message(error.msg, body))),
        "50011" | "50061" => Some(ApiError::throttled(body)),
        _ => Some(ApiError::Other(body_start(body))),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BybitError<'a> {
    ret_code: i64,
    #[serde(borrow)]
    ret_msg: Option<Text<'a>>,
}

/// Bybit's error: `{"retCode":10001,"retMsg":"Not supported symbols"}`. 10001 stands for any wrong
/// parameter; only the message says that it is the symbol. Status 403 blocks an address that sent
/// too many requests.
///
/// Source: Bybit's v5 API documentation, "Error Codes" and "Rate Limit Rules".
pub(crate) fn bybit(status: u16, body: &str) -> Option<ApiError> {
    if status == 403 {
        return Some(ApiError::Throttled {
            message: body_start(body),
            pause: Some(BYBIT_BLOCK),
        });
    }
    let error: BybitError<'_> = object(body)?;
    let names_symbol = |text: &Text<'_>| text.0.to_lowercase().contains("symbol");
    match error.ret_code {
        0 => None,
        10_001 if error.ret_msg.as_ref().is_some_and(names_symbol) => {
            Some(ApiError::UnknownSymbol(message(error.ret_msg, body)))
        }
        10_006 | 10_018 => Some(ApiError::throttled(body)),
        _ => Some(ApiError::Other(body_start(body))),
    }
}

#[derive(Deserialize)]
struct BitstampError<'a> {
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    response_code: Option<&'a RawValue>,
}

/// Bitstamp's error: status 404 for an unknown pair, else an object with `status` = `error`, or
/// with a code.
///
/// Source: bitstamp.net/api, "Error codes" and "Request limits".
pub(crate) fn bitstamp(status: u16, body: &str) -> Option<ApiError> {
    if status == 404 {
        return Some(ApiError::UnknownSymbol("not found".to_owned()));
    }
    let error: BitstampError<'_> = object(body)?;
    let is_error = error.status.is_some_and(|text| text.0 == "error")
        || error.error.or(error.code).or(error.response_code).is_some();
    let is_throttled = status == 429 || body.to_lowercase().contains("rate limit");
    match (is_error, is_throttled) {
        (true, true) => Some(ApiError::throttled(body)),
        (true, false) => Some(ApiError::Other(body_start(body))),
        (false, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(message: &str) -> Option<ApiError> {
        Some(ApiError::UnknownSymbol(message.to_owned()))
    }

    #[test]
    fn an_unknown_symbol_is_told_from_other_errors() {
        let invalid = r#"{"code":-1121,"msg":"Invalid symbol."}"#;
        assert_eq!(binance(400, invalid), unknown("Invalid symbol."));
        let invalid = r#"{"error":["EQuery:Unknown asset pair"]}"#;
        assert_eq!(kraken(200, invalid), unknown("EQuery:Unknown asset pair"));
        let missing = r#"{"message":"NotFound"}"#;
        assert_eq!(coinbase(404, missing), unknown("NotFound"));
        let missing = r#"{"code":"51001","msg":"Instrument ID doesn't exist.","data":[]}"#;
        assert_eq!(okx(200, missing), unknown("Instrument ID doesn't exist."));
        let missing = r#"{"retCode":10001,"retMsg":"Not supported symbols","result":{}}"#;
        assert_eq!(bybit(200, missing), unknown("Not supported symbols"));
        assert_eq!(bitstamp(404, "<html>"), unknown("not found"));
        for (read, body) in [
            (binance as ReadApiError, r#"{"code":-1100,"msg":"Illegal"}"#),
            (kraken, r#"{"error":["EGeneral:Invalid arguments"]}"#),
            (coinbase, r#"{"message":"Bad Request"}"#),
            (okx, r#"{"code":"50000","msg":"Body is empty"}"#),
            (bybit, r#"{"retCode":10001,"retMsg":"Request interval"}"#),
            (bitstamp, r#"{"status":"error","reason":"Invalid"}"#),
        ] {
            assert_eq!(read(400, body), Some(ApiError::Other(body.to_owned())));
        }
    }

    #[test]
    fn an_answer_without_an_error_is_none() {
        for (read, body) in [
            (binance as ReadApiError, r#"[[1,"2"]]"#),
            (binance, r#"{"timezone":"UTC","symbols":[]}"#),
            (kraken, r#"{"error":["WGeneral:Deprecated"],"result":{}}"#),
            (coinbase, "[]"),
            (coinbase, r#"{"products":[],"message":"x"}"#),
            (okx, r#"{"code":"0","msg":"","data":[]}"#),
            (bybit, r#"{"retCode":0,"retMsg":"OK","result":{}}"#),
            (bitstamp, r#"{"data":{"ohlc":[],"pair":"BTC/USD"}}"#),
            (binance, "<html>busy</html>"),
        ] {
            assert_eq!(read(200, body), None, "{body}");
        }
    }

    #[test]
    fn a_ban_names_its_end_and_a_limit_does_not() {
        let body = r#"{"code":-1003,"msg":"IP(1.2.3.4) banned until 1774784983833. Use streams."}"#;
        let until = Millis(1_774_784_983_833);
        let message = body.to_owned();
        assert_eq!(
            binance(418, body),
            Some(ApiError::Banned { message, until })
        );
        for (read, body) in [
            (
                binance as ReadApiError,
                r#"{"code":-1003,"msg":"banned until x"}"#,
            ),
            (kraken, r#"{"error":["EAPI:Rate limit exceeded"]}"#),
            (kraken, r#"{"error":["EGeneral:Too many requests"]}"#),
            (okx, r#"{"code":"50011","msg":"Rate limit reached"}"#),
            (bybit, r#"{"retCode":10006,"retMsg":"Too many visits!"}"#),
        ] {
            assert_eq!(read(200, body), Some(ApiError::throttled(body)), "{body}");
        }
        let blocked = bybit(403, "access too frequent");
        let pause = Some(Duration::from_secs(600));
        let message = "access too frequent".to_owned();
        assert_eq!(blocked, Some(ApiError::Throttled { message, pause }));
    }
}
