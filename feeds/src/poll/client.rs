//! HTTP client of an exchange: timeouts, a size limit, bounded retries with jitter, and the pauses
//! that the exchange requests.
//!
//! Credentials go to the host that is configured and to no other, and are in no address or error
//! that leaves this file.

use std::time::Duration;

use marketlake_common::{RetryPolicy, causes};
use parking_lot::Mutex;
use reqwest::header::{HeaderMap, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use tokio::time::{Instant, timeout};
use url::Url;

use super::credentials::{Credentials, follow_on_same_host};
use super::retry_after::{MAX_BAN, pause};
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

/// HTTP client of one exchange.
pub(crate) struct ExchangeClient {
    client: Client,
    timeout: Duration,
    paused_until: Mutex<Option<Instant>>,
    credentials: Credentials,
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
            paused_until: Mutex::new(None),
        })
    }

    /// Requests a URL and parses the response; retries transient failures of either.
    pub(crate) async fn get<T>(
        &self,
        url: &str,
        parse: impl Fn(&HttpResponse) -> Result<T, FeedError> + Send + Sync,
    ) -> Result<T, FeedError> {
        let attempt = async || {
            self.check_paused(url)?;
            let response = self.request(url).await;
            let parsed = response.and_then(|response| parse(&response));
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

    /// Pauses all requests for a while; a longer pause that is under way stays.
    pub(crate) fn pause_for(&self, pause: Duration) {
        let until = Instant::now().checked_add(pause.min(MAX_BAN));
        let mut paused_until = self.paused_until.lock();
        *paused_until = (*paused_until).max(until);
    }

    fn check_paused(&self, url: &str) -> Result<(), FeedError> {
        let paused_until = *self.paused_until.lock();
        match paused_until.map(|until| until.saturating_duration_since(Instant::now())) {
            Some(pause) if !pause.is_zero() => Err(FeedError::Throttled {
                url: url.to_owned(),
                pause,
                message: "still within the pause that it requested; no request was sent".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    async fn request(&self, url: &str) -> Result<HttpResponse, FeedError> {
        let whole = async {
            let request = self.client.get(self.credentials.address(url));
            let response = self.credentials.sign(request).send().await;
            let response = response.map_err(|error| unreachable(url, error))?;
            read(url, response).await
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

async fn read(url: &str, mut response: Response) -> Result<HttpResponse, FeedError> {
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
    if status.is_success() {
        let body = String::from_utf8(bytes).map_err(|error| malformed(url, error))?;
        return Ok(HttpResponse { body, headers });
    }
    let message = match headers.get(LOCATION) {
        Some(location) if status.is_redirection() => redirect_message(location),
        _ => String::from_utf8_lossy(&bytes).chars().take(200).collect(),
    };
    let url = url.to_owned();
    Err(match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::IM_A_TEAPOT => FeedError::Throttled {
            url,
            pause: pause(status, &headers),
            message: format!("{}: {message}", status.as_u16()),
        },
        _ => FeedError::Status {
            url,
            status: status.as_u16(),
            message,
        },
    })
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
