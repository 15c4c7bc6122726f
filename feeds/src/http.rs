//! Asking over HTTP: timeouts, a size limit, a bounded retry with jitter, and pauses obeyed.
//!
//! Credentials go to the host that is configured and to no other, and are in no address or error
//! that leaves this file.

use std::time::Duration;

use marketlake_common::{backoff, causes};
use parking_lot::Mutex;
use reqwest::header::{HeaderMap, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use crate::FeedError;
use crate::credentials::{Credentials, follow_on_same_host};
use crate::pause::{MAX_BAN, pause};

/// How long one answer may take. With two retries it stays within a minute's half.
const PATIENCE: Duration = Duration::from_secs(8);
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Of what an exchange says in words, so much goes into errors.
const MAX_SAID_CHARS: usize = 300;
/// The largest known answer is 2 MB.
const MOST_BYTES: usize = 64 << 20;

/// One exchange's HTTP face.
pub(crate) struct Http {
    client: Client,
    patience: Duration,
    quiet_until: Mutex<Option<Instant>>,
    credentials: Credentials,
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) body: String,
    pub(crate) headers: HeaderMap,
}

impl Http {
    pub(crate) fn new(
        credentials: Credentials,
        patience: Option<Duration>,
    ) -> Result<Self, FeedError> {
        let client = Client::builder()
            .user_agent(concat!("marketlake/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(5))
            .redirect(Policy::custom(follow_on_same_host))
            .build()
            .map_err(|error| unreachable("the HTTP client", error))?;
        Ok(Self {
            credentials,
            client,
            patience: patience.unwrap_or(PATIENCE),
            quiet_until: Mutex::new(None),
        })
    }

    /// Asks and has the answer read by `parse`; transient failures of either are tried again.
    pub(crate) async fn get<T>(
        &self,
        url: &str,
        parse: impl Fn(&Answer) -> Result<T, FeedError> + Send + Sync,
    ) -> Result<T, FeedError> {
        let mut attempt = 1;
        loop {
            self.refuse_while_quiet(url)?;
            let result = self
                .ask(url)
                .await
                .and_then(|answer| parse(&answer))
                .map_err(|error| error.map_text(|text| self.credentials.scrub(text)));
            match result {
                Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                    tracing::debug!(%error, attempt, "asking again");
                    sleep(backoff(FIRST_PAUSE, LONGEST_PAUSE, attempt, rand::random())).await;
                    attempt += 1;
                }
                Err(error) => {
                    if let Some(pause) = error.pause() {
                        self.be_quiet_for(pause);
                    }
                    return Err(error);
                }
                Ok(parsed) => return Ok(parsed),
            }
        }
    }

    /// Keeps every further question back for a while; a longer pause that is under way stays.
    pub(crate) fn be_quiet_for(&self, pause: Duration) {
        let until = Instant::now().checked_add(pause.min(MAX_BAN));
        let mut quiet_until = self.quiet_until.lock();
        *quiet_until = (*quiet_until).max(until);
    }

    fn refuse_while_quiet(&self, url: &str) -> Result<(), FeedError> {
        let quiet_until = *self.quiet_until.lock();
        match quiet_until.map(|until| until.saturating_duration_since(Instant::now())) {
            Some(pause) if !pause.is_zero() => Err(FeedError::Throttled {
                url: url.to_owned(),
                pause,
                message: "still within the pause that it asked for; not asked again".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    async fn ask(&self, url: &str) -> Result<Answer, FeedError> {
        let whole = async {
            let request = self.client.get(self.credentials.address(url));
            let response = self.credentials.sign(request).send().await;
            let response = response.map_err(|error| unreachable(url, error))?;
            read(url, response).await
        };
        timeout(self.patience, whole).await.unwrap_or_else(|_| {
            Err(FeedError::Slow {
                url: url.to_owned(),
                limit: self.patience,
            })
        })
    }
}

async fn read(url: &str, mut response: Response) -> Result<Answer, FeedError> {
    let status = response.status();
    let headers = response.headers().clone();
    let mut bytes = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| unreachable(url, error))?
    {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MOST_BYTES {
            return Err(malformed(url, "more than 64 MiB"));
        }
    }
    if status.is_success() {
        let body = String::from_utf8(bytes).map_err(|error| malformed(url, error))?;
        return Ok(Answer { body, headers });
    }
    let message = match headers.get(LOCATION) {
        Some(location) if status.is_redirection() => elsewhere(location),
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

/// Where a redirect leads that is not followed.
fn elsewhere(location: &HeaderValue) -> String {
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
        reason: said(&reason.to_string()),
    }
}

/// What an exchange said, shortened: it may be of any length.
pub(crate) fn said(text: &str) -> String {
    text.chars().take(MAX_SAID_CHARS).collect()
}
