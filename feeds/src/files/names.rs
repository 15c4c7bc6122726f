//! Resolution of metric names in files, each parsed once.

use std::collections::HashMap;

use marketlake_model::{Metric, PRICE};

/// Names that were met so far.
pub(super) struct Names {
    market: Option<String>,
    known: HashMap<Vec<u8>, Metric>,
    last: Option<(Vec<u8>, Metric)>,
}

impl Names {
    /// `market` comes before a pair alone.
    pub(super) fn new(market: Option<String>) -> Self {
        Self {
            market,
            known: HashMap::new(),
            last: None,
        }
    }

    /// An id as it is; a pair alone, or `pair:measure`, only with a market: then the market comes
    /// before it.
    pub(super) fn metric(&mut self, name: &[u8]) -> Result<Metric, String> {
        match &self.last {
            Some((last, metric)) if last == name => return Ok(metric.clone()),
            _ => (),
        }
        let metric = match self.known.get(name) {
            Some(metric) => metric.clone(),
            None => {
                let metric = self.parse(name)?;
                self.known.insert(name.to_vec(), metric.clone());
                metric
            }
        };
        self.last = Some((name.to_vec(), metric.clone()));
        Ok(metric)
    }

    fn parse(&self, name: &[u8]) -> Result<Metric, String> {
        let text = std::str::from_utf8(name).map_err(|_| "metric: expected UTF-8".to_owned())?;
        let parsed = match (&self.market, text.split_once(':')) {
            (None, None) => {
                return Err(format!(
                    "metric: {text:?} has no market, expected an id like binance:hottry, or \
                     --market"
                ));
            }
            (Some(market), None) => Metric::new(market, text, PRICE),
            (Some(market), Some((first, _))) if first != market && text.split(':').count() == 2 => {
                format!("{market}:{text}").parse()
            }
            _ => text.parse(),
        };
        parsed.map_err(|error| format!("metric: {error}"))
    }
}
