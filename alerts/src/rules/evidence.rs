//! Evidence: the rows that an alert was decided on, kept with it for ever, whatever is corrected
//! later.

use marketlake_common::BoxError;
use marketlake_entities::database;
use marketlake_entities::records::evidence::{ActiveModel, Column, Model};
use marketlake_lake::Point;
use marketlake_model::{Metric, Millis, Minute};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, DbErr, Set};

use crate::error::AlertError;

/// The samples of one metric in a window and at the minute that was evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The metric.
    pub metric: Metric,
    /// The minute that was evaluated.
    pub ts: Minute,
    /// Length of the window, in minutes.
    pub window: u32,
    /// Points by time; the evaluated one last.
    pub points: Vec<Point>,
    /// Ids of the live segments that held them.
    pub segments: Vec<i64>,
}

impl Evidence {
    /// Key of the evidence: the same for the same metric, minute and window.
    #[must_use]
    pub fn id(metric: &Metric, ts: Minute, window: u32) -> String {
        format!("{metric}@{ts}/{window}")
    }

    pub(crate) fn from_row(row: &Model) -> Result<Self, AlertError> {
        let corrupt = |reason: BoxError| AlertError::corrupt("evidence", &row.id, reason);
        let pairs: Vec<(String, String)> =
            serde_json::from_str(&row.samples).map_err(|error| corrupt(error.into()))?;
        let mut points = Vec::with_capacity(pairs.len());
        for (ts, value) in pairs {
            let ts = marketlake_model::parse_time(&ts)
                .map_err(|error| corrupt(error.into()))?
                .minute();
            let value = AlertError::parsed("evidence", &row.id, &value)?;
            points.push(Point { ts, value });
        }
        Ok(Self {
            metric: AlertError::parsed("evidence", &row.id, &row.metric)?,
            ts: row.ts.minute(),
            window: u32::try_from(row.window_minutes).map_err(|error| corrupt(error.into()))?,
            points,
            segments: serde_json::from_str(&row.segments).map_err(|error| corrupt(error.into()))?,
        })
    }

    fn into_row(self, now: Millis) -> ActiveModel {
        let pairs = self.points.iter();
        let pairs: Vec<(String, String)> = pairs
            .map(|point| (point.ts.to_string(), point.value.to_string()))
            .collect();
        ActiveModel {
            id: Set(Self::id(&self.metric, self.ts, self.window)),
            metric: Set(self.metric.to_string()),
            ts: Set(self.ts.start()),
            window_minutes: Set(i32::try_from(self.window).unwrap_or(i32::MAX)),
            samples: Set(serde_json::json!(pairs).to_string()),
            segments: Set(serde_json::json!(self.segments).to_string()),
            created_at: Set(now),
        }
    }
}

/// Writes evidence that is not there yet.
pub(crate) async fn insert(
    connection: &impl ConnectionTrait,
    all: Vec<Evidence>,
    now: Millis,
) -> Result<(), DbErr> {
    let rows = all.into_iter().map(|one| one.into_row(now)).collect();
    let once = OnConflict::column(Column::Id).do_nothing().to_owned();
    database::insert_all(connection, rows, Some(once)).await?;
    Ok(())
}
