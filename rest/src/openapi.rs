//! OpenAPI 3.1 document of the REST API. Each route is documented where it is written.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::schemas::{AggregateName, DirectionName, FormatName, ProblemBody, StatisticName};
use crate::{jumps, metric, metrics, rank, ranking, subscriptions, timeseries};

struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("key", bearer);
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "marketlake",
        description = "Every crypto price, every minute. Times are RFC 3339, UTC; a metric is addressed by its name (hottry) or id (binance:hottry). Errors are application/problem+json.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        metrics::get, metric::get, timeseries::get, rank::get, ranking::get, jumps::get,
        subscriptions::list, subscriptions::create, subscriptions::get, subscriptions::edit,
        subscriptions::change, subscriptions::delete, subscriptions::test,
    ),
    components(schemas(ProblemBody, FormatName, StatisticName, AggregateName, DirectionName)),
    security((), ("key" = [])),
    modifiers(&Security),
)]
struct ApiDoc;

/// Builds the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    ApiDoc::openapi()
}
