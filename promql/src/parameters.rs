//! Parameters of the query string and of forms; some come several times.

use std::time::Duration;

use axum::extract::{FromRequest, RawForm, Request};
use axum::http::Method;
use marketlake_model::parse_time;
use promql_parser::util::parse_duration;

use super::value::PromError;

/// A request's parameters.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Parameters {
    type Rejection = PromError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PromError> {
        let mut all = pairs(request.uri().query().unwrap_or_default().as_bytes());
        if request.method() == Method::POST {
            let form = RawForm::from_request(request, state).await;
            let form = form.map_err(|rejection| PromError::BadData(rejection.body_text()))?;
            all.extend(pairs(&form.0));
        }
        Ok(Self(all))
    }
}

fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(encoded).into_owned().collect()
}

impl Parameters {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.all(name);
        all.next()
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(move |(own, _)| own == name);
        named.map(|(_, value)| value.as_str())
    }

    pub(super) fn needed(&self, name: &str) -> Result<&str, PromError> {
        self.get(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| PromError::BadData(format!("{name}: expected one, got none")))
    }

    /// An instant in milliseconds: seconds since 1970, or RFC 3339.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, PromError> {
        let Some(text) = self.get(name).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let wrong = || {
            let shown: String = text.chars().take(40).collect();
            let expected = "expected seconds since 1970 or a time as RFC 3339";
            PromError::BadData(format!("{name}: {expected}, got {shown:?}"))
        };
        if let Ok(seconds) = text.parse::<f64>() {
            return millis(seconds).map(Some).ok_or_else(wrong);
        }
        let time = parse_time(text).map_err(|_| wrong())?;
        Ok(Some(time.0))
    }

    /// A length of time in milliseconds: seconds, or `5m`.
    pub(super) fn step(&self, name: &str) -> Result<i64, PromError> {
        let text = self.needed(name)?;
        let wrong = || {
            let shown: String = text.chars().take(40).collect();
            PromError::BadData(format!(
                "{name}: expected seconds above zero, or a time like 5m, got {shown:?}"
            ))
        };
        let step = match text.parse::<f64>() {
            Ok(seconds) => millis(seconds).ok_or_else(wrong)?,
            Err(_) => {
                let time: Duration = parse_duration(text).map_err(|_| wrong())?;
                i64::try_from(time.as_millis()).map_err(|_| wrong())?
            }
        };
        if step > 0 { Ok(step) } else { Err(wrong()) }
    }
}

/// Far enough for any time, and near enough for sums of them.
const FARTHEST: f64 = 1e12;

#[expect(clippy::cast_possible_truncation, reason = "it is checked to fit")]
fn millis(seconds: f64) -> Option<i64> {
    let fits = seconds.is_finite() && seconds.abs() <= FARTHEST;
    fits.then(|| (seconds * 1_000.0).round() as i64)
}
