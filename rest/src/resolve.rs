//! Resolution of metric names in paths and parameters.

use marketlake_http::problem::Problem;
use marketlake_lake::Lake;
use marketlake_model::Metric;

/// Resolves a name or id.
pub(crate) async fn resolve(lake: &Lake, name: &str) -> Result<Metric, Problem> {
    let metric = lake.resolve(name).await?;
    metric.ok_or_else(|| Problem::unknown_metric(name))
}
