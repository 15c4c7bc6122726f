//! `GET /api/v3/klines`: a symbol's minutes, a thousand an answer of weight 2.
//!
//! Source: Binance's spot API documentation. A row is `[open time, open, high, low, close, volume,
//! close time, ..]`; minutes without trades may be absent. A row whose time lies outside of the
//! requested minutes is left out and counted: exchanges have changed milliseconds to
//! microseconds before.

use marketlake_model::{Exact, Metric, Millis, Minute, PRICE, Sample, VOLUME};
use serde_json::value::RawValue;

use crate::error::FeedError;
use crate::json::decimal_text;
use crate::poll::binance::{Binance, MARKET};
use crate::poll::client::{HttpResponse, malformed};

/// Rows of an answer at most.
const PAGE_ROWS: usize = 1_000;

impl Binance {
    /// Every symbol that is traded, in lower case, by name.
    ///
    /// # Errors
    /// A [`FeedError`], as of [`Feed::samples`](crate::Feed::samples).
    pub async fn symbols(&self) -> Result<Vec<String>, FeedError> {
        let batch = self.prices(Minute::from_number(0)).await?;
        let mut symbols: Vec<String> = batch
            .samples
            .iter()
            .map(|sample| sample.metric.pair().to_owned())
            .collect();
        symbols.sort_unstable();
        Ok(symbols)
    }

    /// A symbol's closing prices and traded volumes, minute by minute from `from` to `to`, both
    /// within.
    ///
    /// # Errors
    /// A [`FeedError`]; after [`FeedError::Throttled`] retry once the pause is over.
    pub async fn minutes(
        &self,
        symbol: &str,
        from: Minute,
        to: Minute,
    ) -> Result<Vec<Sample>, FeedError> {
        let mut samples = Vec::new();
        let (mut next, mut outside, mut example) = (from, 0, None);
        while next <= to {
            let page = self.page(symbol, next, to).await?;
            outside += page.outside;
            example = example.or(page.example);
            let Some(last) = page.samples.last().map(|sample| sample.ts) else {
                break;
            };
            samples.extend(page.samples);
            if page.rows < PAGE_ROWS || last < next {
                break;
            }
            next = last.plus(1);
        }
        if let Some(example) = example {
            if samples.is_empty() {
                let url = self.endpoint(&["api", "v3", "klines"])?;
                return Err(malformed(url.as_str(), example));
            }
            tracing::warn!(
                symbol,
                rows = outside,
                example,
                "rows outside the requested minutes are ignored"
            );
        }
        Ok(samples)
    }

    async fn page(&self, symbol: &str, from: Minute, to: Minute) -> Result<Page, FeedError> {
        let mut url = self.endpoint(&["api", "v3", "klines"])?;
        url.query_pairs_mut()
            .append_pair("symbol", &symbol.to_uppercase())
            .append_pair("interval", "1m")
            .append_pair("startTime", &from.start().0.to_string())
            .append_pair("endTime", &to.start().0.to_string())
            .append_pair("limit", &PAGE_ROWS.to_string());
        let read = |answer: &HttpResponse| {
            self.track_used_weight(&answer.headers);
            parse(url.as_str(), symbol, (from, to), &answer.body)
        };
        self.client.get(url.as_str(), read).await
    }
}

/// One answer.
struct Page {
    samples: Vec<Sample>,
    rows: usize,
    /// Rows outside of the requested minutes, and the first of them.
    outside: usize,
    example: Option<String>,
}

fn parse(
    url: &str,
    symbol: &str,
    (from, to): (Minute, Minute),
    body: &str,
) -> Result<Page, FeedError> {
    let metric =
        |measure| Metric::new(MARKET, symbol, measure).map_err(|error| malformed(url, error));
    let (price, volume) = (metric(PRICE)?, metric(VOLUME)?);
    let rows: Vec<Vec<&RawValue>> =
        serde_json::from_str(body).map_err(|error| malformed(url, error))?;
    let mut page = Page {
        samples: Vec::with_capacity(rows.len().min(PAGE_ROWS) * 2),
        rows: rows.len(),
        outside: 0,
        example: None,
    };
    for (number, row) in rows.iter().enumerate() {
        let wrong =
            |field: &str, text: &str| malformed(url, format!("row {number}: {field}: got {text}"));
        let [time, _, _, _, close, traded, ..] = row[..] else {
            return Err(wrong("expected 6 fields and more", &row.len().to_string()));
        };
        let millis = time.get().parse().map_err(|_| wrong("time", time.get()))?;
        let ts = Millis(millis).minute();
        if ts < from || ts > to {
            page.outside += 1;
            page.example.get_or_insert_with(|| {
                format!(
                    "row {number}: time: expected milliseconds from {from} to {to}, got {millis}"
                )
            });
            continue;
        }
        for (metric, field, value) in [(&price, "close", close), (&volume, "volume", traded)] {
            let text = decimal_text(value);
            let value: Exact = text.parse().map_err(|_| wrong(field, text))?;
            if value.is_negative() {
                return Err(wrong(field, text));
            }
            page.samples.push(Sample {
                metric: metric.clone(),
                ts,
                value,
            });
        }
    }
    Ok(page)
}
