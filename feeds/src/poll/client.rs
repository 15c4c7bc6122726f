//! HTTP client of an exchange: timeouts, a size limit, bounded retries with jitter, and the pauses
//! that the exchange requests.
//!
//! Credentials go to the host that is configured and to no other, and are in no address or error
//! that leaves this file.

use std::sync::Arc;
use std::time::Duration;

use marketlake_common::{RetryPolicy, causes};
use parking_lot::Mutex;
use reqwest::header::{HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use tokio::time::{Instant, timeout};
use url::Url;

use super::api_error::{ApiError, ReadApiError, body_start};
use super::credentials::{Credentials, follow_on_same_host};
use super::retry_after::{MAX_BAN, pause, pause_until};
use crate::error::FeedError;

/// Timeout of one request. With two retries it stays within half a minute.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);
const MAX_ATTEMPTS: u32 = 3;
/// Name and version that exchanges see.
const PROGRAM: &str = concat!("marketlake/", env!("CARGO_PKG_VERSION"));
const POLICY: RetryPolicy = RetryPolicy {
    initial_backoff: Duration::from_millis(500),
    max_backoff: Duration::from_secs(2),
};
/// Characters of an exchange's message that go into errors.
const MAX_MESSAGE_CHARS: usize = 300;
/// The largest known answer is 2 MB.
const MAX_BODY_BYTES: usize = 64 << 20;
/// Header in which Binance reports the used weight.
const USED_WEIGHT: &str = "x-mbx-used-weight-1m";
/// Limit of the used weight, of the 6,000 a minute that an IP address has at Binance.
const MAX_USED_WEIGHT: u64 = 5_000;
const WEIGHT_PAUSE: Duration = Duration::from_secs(60);

/// Pause that an exchange requests of an address: all clients of one exchange share it.
#[derive(Clone, Debug, Default)]
pub struct SharedPause(Arc<Mutex<Option<Instant>>>);

impl SharedPause {
    /// Pauses for a while; a longer pause that is under way stays.
    fn extend(&self, pause: Duration) {
        let until = Instant::now().checked_add(pause.min(MAX_BAN));
        let mut paused_until = self.0.lock();
        *paused_until = (*paused_until).max(until);
    }

    /// Rest of the pause.
    fn rest(&self) -> Duration {
        let until = *self.0.lock();
        until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(Instant::now())
        })
    }
}

/// HTTP client of one exchange.
pub(crate) struct ExchangeClient {
    client: Client,
    timeout: Duration,
    pause: SharedPause,
    credentials: Credentials,
    api_errors: Option<ReadApiError>,
}

/// Whole response.
pub(crate) struct HttpResponse {
    pub(crate) body: String,
    pub(crate) headers: HeaderMap,
}

impl ExchangeClient {
    pub(crate) fn new(
        credentials: Credentials,
        timeout: Option<Duration>,
        contact: Option<&str>,
    ) -> Result<Self, FeedError> {
        let client = Client::builder()
            .user_agent(user_agent(contact))
            .connect_timeout(Duration::from_secs(5))
            .redirect(Policy::custom(follow_on_same_host))
            .build()
            .map_err(|error| unreachable("the HTTP client", error))?;
        Ok(Self {
            credentials,
            client,
            timeout: timeout.unwrap_or(REQUEST_TIMEOUT),
            pause: SharedPause::default(),
            api_errors: None,
        })
    }

    /// With a pause that other clients of the exchange share.
    pub(crate) fn with_pause(mut self, pause: SharedPause) -> Self {
        self.pause = pause;
        self
    }

    /// With the errors that the exchange reports in the body of an answer.
    pub(crate) fn with_api_errors(mut self, read: ReadApiError) -> Self {
        self.api_errors = Some(read);
        self
    }

    /// Requests a URL and parses the response, once it is no error that the exchange reports and
    /// looks like JSON; retries transient failures of either.
    pub(crate) async fn get<T>(
        &self,
        url: &str,
        parse: impl Fn(&HttpResponse) -> Result<T, FeedError> + Send + Sync,
    ) -> Result<T, FeedError> {
        let attempt = async || {
            self.check_paused(url)?;
            let response = self.request(url).await;
            let parsed = response.and_then(|response| {
                self.track_used_weight(&response.headers);
                parse(&response)
            });
            parsed.map_err(|error| error.map_text(|text| self.credentials.scrub(text)))
        };
        let max_attempts = |error: &FeedError, failures| {
            let attempts = if error.is_transient() {
                MAX_ATTEMPTS
            } else {
                1
            };
            if failures < attempts {
                tracing::debug!(%error, failures, "retrying");
            }
            attempts
        };
        let result = POLICY.retry(attempt, max_attempts).await;
        if let Some(pause) = result.as_ref().err().and_then(FeedError::pause) {
            self.pause_for(pause);
        }
        result
    }

    /// Tracks the weight that Binance has counted for this address in the current minute: near the
    /// limit, all requests pause for a minute.
    fn track_used_weight(&self, headers: &HeaderMap) {
        let used = headers
            .get(USED_WEIGHT)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if used.is_some_and(|used| used >= MAX_USED_WEIGHT) {
            tracing::warn!(used, "near the weight limit, pausing for a minute");
            self.pause_for(WEIGHT_PAUSE);
        }
    }

    /// Pauses all requests for a while; a longer pause that is under way stays.
    pub(crate) fn pause_for(&self, pause: Duration) {
        self.pause.extend(pause);
    }

    fn check_paused(&self, url: &str) -> Result<(), FeedError> {
        let pause = self.pause.rest();
        if pause.is_zero() {
            return Ok(());
        }
        Err(FeedError::Throttled {
            url: url.to_owned(),
            pause,
            message: "still within the pause that it requested; no request was sent".to_owned(),
        })
    }

    async fn request(&self, url: &str) -> Result<HttpResponse, FeedError> {
        let whole = async {
            let request = self.client.get(self.credentials.address(url));
            let response = self.credentials.sign(request).send().await;
            let response = response.map_err(|error| unreachable(url, error))?;
            read(url, response, self.api_errors).await
        };
        timeout(self.timeout, whole).await.unwrap_or_else(|_| {
            Err(FeedError::Slow {
                url: url.to_owned(),
                limit: self.timeout,
            })
        })
    }
}

/// Header `User-Agent`: the program, and the operator's contact if there is one.
pub(crate) fn user_agent(contact: Option<&str>) -> String {
    match contact {
        Some(contact) => format!("{PROGRAM} (+{contact})"),
        None => PROGRAM.to_owned(),
    }
}

async fn read(
    url: &str,
    mut response: Response,
    api_errors: Option<ReadApiError>,
) -> Result<HttpResponse, FeedError> {
    let status = response.status();
    let headers = response.headers().clone();
    let mut bytes = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| unreachable(url, error))?
    {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_BODY_BYTES {
            return Err(malformed(url, "more than 64 MiB"));
        }
    }
    let body = match status.is_success() {
        true => String::from_utf8(bytes).map_err(|error| malformed(url, error))?,
        false => String::from_utf8_lossy(&bytes).into_owned(),
    };
    let api_error = api_errors.filter(|_| !status.is_redirection());
    if let Some(error) = api_error.and_then(|read| read(status.as_u16(), &body)) {
        return Err(from_api_error(url, error, status, &headers));
    }
    if !status.is_success() {
        return Err(unsuccessful(url, status, &headers, &body));
    }
    if !body.trim_start().starts_with(['{', '[']) {
        let shown = body_start(&body);
        return Err(malformed(url, format!("expected JSON, got: {shown}")));
    }
    Ok(HttpResponse { body, headers })
}

/// Error of a status that is no success, where the exchange reports none in the body.
fn unsuccessful(url: &str, status: StatusCode, headers: &HeaderMap, body: &str) -> FeedError {
    let message = match headers.get(LOCATION) {
        Some(location) if status.is_redirection() => redirect_message(location),
        _ => body_start(body),
    };
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::IM_A_TEAPOT => {
            throttled(url, status, &message, pause(status, headers))
        }
        _ => FeedError::Status {
            url: url.to_owned(),
            status: status.as_u16(),
            message,
        },
    }
}

fn throttled(url: &str, status: StatusCode, message: &str, pause: Duration) -> FeedError {
    FeedError::Throttled {
        url: url.to_owned(),
        pause,
        message: format!("{}: {message}", status.as_u16()),
    }
}

/// Error that the exchange reports in the body.
fn from_api_error(
    url: &str,
    error: ApiError,
    status: StatusCode,
    headers: &HeaderMap,
) -> FeedError {
    match error {
        ApiError::UnknownSymbol(message) => FeedError::UnknownSymbol {
            url: url.to_owned(),
            message,
        },
        ApiError::Throttled {
            message,
            pause: required,
        } => {
            let requested = pause(status, headers);
            let longest = required.map_or(requested, |required| required.max(requested));
            throttled(url, status, &message, longest)
        }
        ApiError::Banned { message, until } => {
            let ban = pause_until(until, headers);
            let requested = headers.contains_key(RETRY_AFTER);
            let requested = requested.then(|| pause(status, headers));
            let longest = requested.map_or(ban, |requested| requested.max(ban));
            throttled(url, status, &message, longest)
        }
        ApiError::Other(body) => unsuccessful(url, status, headers, &body),
    }
}

/// Message about a redirect that is not followed.
fn redirect_message(location: &HeaderValue) -> String {
    let url = location
        .to_str()
        .ok()
        .and_then(|text| Url::parse(text).ok());
    let host = url
        .as_ref()
        .and_then(Url::host_str)
        .unwrap_or("another address");
    format!("redirects are followed on the configured host only, this one leads to {host}")
}

fn unreachable(url: &str, error: reqwest::Error) -> FeedError {
    // Its own address has our parameters.
    let error = error.without_url();
    FeedError::Unreachable {
        url: url.to_owned(),
        reason: causes(&error).last().unwrap_or(&error).to_string(),
    }
}

pub(crate) fn malformed(url: &str, reason: impl ToString) -> FeedError {
    FeedError::Malformed {
        url: url.to_owned(),
        reason: truncate_message(&reason.to_string()),
    }
}

/// Truncates an exchange's message, which may be of any length.
pub(crate) fn truncate_message(text: &str) -> String {
    text.chars().take(MAX_MESSAGE_CHARS).collect()
}
