//! Response formats: by `format`, else by `Accept`.

use axum::http::{HeaderMap, StatusCode};
use marketlake_common::excerpt;
use marketlake_http::accept;
use marketlake_http::problem::Problem;

use crate::query_params::QueryParams;

/// Response formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `{"data":[..],"next":..}`.
    Rows,
    /// Shared values once, and an array for each column.
    Columns,
    Csv,
    /// A JSON object a line.
    Ndjson,
    /// Arrow's IPC streaming format.
    Arrow,
    Parquet,
}

const NAMES: [(&str, Format); 6] = [
    ("rows", Format::Rows),
    ("columns", Format::Columns),
    ("csv", Format::Csv),
    ("ndjson", Format::Ndjson),
    ("arrow", Format::Arrow),
    ("parquet", Format::Parquet),
];

impl Format {
    pub(super) fn of(params: &QueryParams, headers: &HeaderMap) -> Result<Self, Problem> {
        if let Some(name) = params.get("format") {
            let known = NAMES.into_iter().find(|(own, _)| *own == name);
            return known.map(|(_, format)| format).ok_or_else(|| {
                let expected = "expected rows, columns, csv, ndjson, arrow or parquet";
                Problem::bad_parameter("format", &format!("{expected}, got {:?}", excerpt(name)))
            });
        }
        accept::best(headers, Self::Rows, Self::of_media_type).ok_or_else(|| {
            let detail = "accept: expected application/json, text/csv, application/x-ndjson, \
                application/vnd.apache.arrow.stream or application/vnd.apache.parquet among the \
                media types";
            Problem::new(StatusCode::NOT_ACCEPTABLE, "Not acceptable", detail)
        })
    }

    fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            "application/json" | "application/*" | "*/*" => Some(Self::Rows),
            "text/csv" | "text/*" => Some(Self::Csv),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
                Some(Self::Ndjson)
            }
            "application/vnd.apache.arrow.stream" => Some(Self::Arrow),
            "application/vnd.apache.parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Rows | Self::Columns => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}
