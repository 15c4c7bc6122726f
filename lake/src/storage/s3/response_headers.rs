//! Interceptor that captures the headers of the last response, whatever its status.

use std::sync::Arc;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context as interceptor;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::{DateTime, Format};
use marketlake_model::Millis;
use parking_lot::Mutex;

/// Captures the headers of the last response.
#[derive(Clone, Debug, Default)]
pub(super) struct HeaderCapture(Arc<Mutex<Headers>>);

/// Those that are of use.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers {
    /// The server's time, to the second.
    pub(super) date: Option<Millis>,
    /// Region of the bucket.
    pub(super) region: Option<String>,
}

impl HeaderCapture {
    pub(super) fn headers(&self) -> Headers {
        self.0.lock().clone()
    }
}

impl Intercept for HeaderCapture {
    fn name(&self) -> &'static str {
        "seen"
    }

    fn read_after_transmit(
        &self,
        context: &interceptor::BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        let date = headers.get("date");
        let date = date.and_then(|text| DateTime::from_str(text, Format::HttpDate).ok());
        let date = date.map(|date| Millis(date.secs().saturating_mul(1_000)));
        let region = headers.get("x-amz-bucket-region").map(str::to_owned);
        *self.0.lock() = Headers { date, region };
        Ok(())
    }
}
