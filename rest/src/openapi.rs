//! Frame of the OpenAPI 3.1 document. Each route is documented where it is written.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::schemas::{AggregateName, DirectionName, FormatName, ProblemBody, StatisticName};

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
        description = "Every crypto price, every minute. Times are RFC 3339, UTC; a metric is \
            addressed by its name (hottry) or id (binance:hottry). Errors are \
            application/problem+json.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(ProblemBody, FormatName, StatisticName, AggregateName, DirectionName)),
    security((), ("key" = [])),
    modifiers(&Security),
)]
struct ApiDoc;

/// Title, security and shared schemas of the document, without routes.
pub(super) fn base() -> utoipa::openapi::OpenApi {
    ApiDoc::openapi()
}
