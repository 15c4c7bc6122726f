//! `GET /v1/metrics`: what there is.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::Uri;
use axum::response::Response;
use marketlake_lake::{Lake, Listed};
use parking_lot::Mutex;
use serde::Serialize;

use super::parameters::Parameters;
use super::{Problem, rows};

/// The lake, and the rows of its newest listing as JSON, which are the same for a minute.
pub(crate) struct Metrics {
    lake: Arc<Lake>,
    kept: Mutex<Option<Arc<Rendered>>>,
}

/// A listing's rows, one behind the other with commas between.
struct Rendered {
    of: Arc<Vec<Listed>>,
    json: String,
    /// Where each row begins and ends.
    places: Vec<(usize, usize)>,
}

#[derive(Serialize)]
struct Row<'a> {
    metric: &'a str,
    id: &'a str,
    market: &'a str,
    pair: &'a str,
    measure: &'a str,
}

impl Metrics {
    pub(crate) fn new(lake: Arc<Lake>) -> Self {
        Self {
            lake,
            kept: Mutex::default(),
        }
    }

    fn rendered(&self, listed: Arc<Vec<Listed>>) -> Result<Arc<Rendered>, Problem> {
        let mut kept = self.kept.lock();
        match kept.as_ref() {
            Some(rendered) if Arc::ptr_eq(&rendered.of, &listed) => Ok(Arc::clone(rendered)),
            _ => {
                let rendered = Arc::new(Rendered::new(listed)?);
                *kept = Some(Arc::clone(&rendered));
                Ok(rendered)
            }
        }
    }
}

impl Rendered {
    fn new(listed: Arc<Vec<Listed>>) -> Result<Self, Problem> {
        let mut json = String::new();
        let mut places = Vec::with_capacity(listed.len());
        for listed in listed.iter() {
            if !json.is_empty() {
                json.push(',');
            }
            let start = json.len();
            json += &serde_json::to_string(&row(listed)).map_err(Problem::internal)?;
            places.push((start, json.len()));
        }
        Ok(Self {
            of: listed,
            json,
            places,
        })
    }

    /// The rows from one to before another.
    fn slice(&self, from: usize, to: usize) -> &str {
        if from >= to {
            return "";
        }
        &self.json[self.places[from].0..self.places[to - 1].1]
    }
}

/// Answers with the metrics that have a sample in the last 24 hours, by id.
pub(crate) async fn get(
    State(metrics): State<Arc<Metrics>>,
    query: Query<HashMap<String, String>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::new(query, &["at", "limit", "cursor"])?;
    let (limit, behind) = (parameters.limit()?, parameters.cursor()?);
    let listed = metrics.lake.listing(parameters.minute("at")?).await?;
    let start = behind.map_or(0, |id| {
        listed.partition_point(|l| l.metric.id() <= id.as_str())
    });
    let end = listed.len().min(start + limit);
    let page = &listed[start..end];
    let next = page.last().filter(|_| end < listed.len());
    let next = next.map(|last| last.metric.id());
    let simulated = page.iter().any(|listed| listed.metric.is_simulated());
    let rendered = metrics.rendered(Arc::clone(&listed))?;
    let page = rows::rendered_page(&uri, rendered.slice(start, end), next);
    Ok(rows::marked(page, simulated))
}

fn row(listed: &Listed) -> Row<'_> {
    let metric = &listed.metric;
    Row {
        metric: &listed.name,
        id: metric.id(),
        market: metric.market(),
        pair: metric.pair(),
        measure: metric.measure(),
    }
}
