//! Rows and columns of a response, independent of its format.

mod binary;
mod text;

use axum::http::header::{CONTENT_TYPE, LINK};
use axum::http::{HeaderValue, Uri};
use axum::response::{IntoResponse, Response};
use marketlake_http::cursor;
use marketlake_http::limits::response_size::MaxBytes;
use marketlake_http::problem::Problem;
use marketlake_model::{Exact, Minute};
use serde_json::Value;

use super::format::Format;
use crate::query_params::QueryParams;

/// One column.
pub(super) struct Column {
    name: &'static str,
    values: Values,
    /// All rows have the same, which the metadata says.
    is_shared: bool,
}

/// The values of a column.
pub(super) enum Values {
    Text(Vec<String>),
    Time(Vec<Minute>),
    /// Exact numbers; in binary forms as the nearest float, and beside it exactly, as the lake's
    /// own files have them.
    Exact(Vec<Exact>),
    /// Exact numbers; in binary forms as the nearest float.
    Number(Vec<Exact>),
    Float(Vec<Option<f64>>),
    Count(Vec<u64>),
}

/// Rows of an answer.
#[derive(Default)]
pub(super) struct Table {
    columns: Vec<Column>,
    /// Metadata that all rows share.
    shared: Vec<(&'static str, Value)>,
    is_simulated: bool,
}

impl Table {
    pub(super) fn new(is_simulated: bool) -> Self {
        Self {
            is_simulated,
            ..Self::default()
        }
    }

    /// Says something of all rows.
    pub(super) fn share(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.shared.push((name, value.into()));
        self
    }

    pub(super) fn column(mut self, name: &'static str, values: Values) -> Self {
        self.columns.push(Column {
            name,
            values,
            is_shared: false,
        });
        self
    }

    /// A column that the metadata of [`Format::Columns`] says once.
    pub(super) fn shared_column(mut self, name: &'static str, value: &str, rows: usize) -> Self {
        self.columns.push(Column {
            name,
            values: Values::Text(vec![value.to_owned(); rows]),
            is_shared: true,
        });
        self
    }

    fn rows(&self) -> usize {
        self.columns.first().map_or(0, |column| column.values.len())
    }

    /// The answer; `next` is the place behind which the next page begins, where there is one.
    pub(super) fn respond(
        &self,
        format: Format,
        max: MaxBytes,
        uri: &Uri,
        next: Option<&str>,
    ) -> Result<Response, Problem> {
        let next = next.map(cursor::encode);
        let body = match format {
            Format::Rows => text::rows(self, max, next.as_deref())?,
            Format::Columns => text::columns(self, max, next.as_deref())?,
            Format::Ndjson => text::ndjson(self, max)?,
            Format::Csv => text::csv(self, max)?,
            Format::Arrow => binary::arrow(self).map_err(Problem::internal)?,
            Format::Parquet => binary::parquet(self).map_err(Problem::internal)?,
        };
        max.check(body.len())?;
        let mut response = body.into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(format.content_type()),
        );
        if let Some(next) = next
            && let Ok(link) = HeaderValue::from_str(&link_to(uri, &next))
        {
            headers.insert(LINK, link);
        }
        Ok(marked(response, self.is_simulated))
    }
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Time(values) => values.len(),
            Self::Exact(values) | Self::Number(values) => values.len(),
            Self::Float(values) => values.len(),
            Self::Count(values) => values.len(),
        }
    }
}

/// Rows of a page: JSON is always paged, other formats where a limit is given.
pub(super) fn limit(params: &QueryParams, format: Format) -> Result<usize, Problem> {
    match (params.limit()?, format) {
        (Some(limit), _) => Ok(limit),
        (None, Format::Rows) => Ok(crate::query_params::MAX_ROWS),
        (None, _) => Ok(usize::MAX),
    }
}

/// Marks an answer that holds made-up values, whatever its shape has room for.
pub(super) fn marked(mut response: Response, is_simulated: bool) -> Response {
    if is_simulated {
        response
            .headers_mut()
            .insert("marketlake-simulated", HeaderValue::from_static("true"));
    }
    response
}

fn link_to(uri: &Uri, cursor: &str) -> String {
    let others = uri
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let query: Vec<String> = others
        .map(str::to_owned)
        .chain([format!("cursor={cursor}")])
        .collect();
    format!("<{}?{}>; rel=\"next\"", uri.path(), query.join("&"))
}
