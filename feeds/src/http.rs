//! Asking over HTTP: timeouts, a size limit, a bounded retry with jitter, and pauses obeyed.

use std::time::Duration;

use marketlake_entities::{backoff, causes};
use parking_lot::Mutex;
use reqwest::header::HeaderMap;
use reqwest::{Client, Response, StatusCode};
use tokio::time::{Instant, sleep, timeout};

use crate::FeedError;
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
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) body: String,
    pub(crate) headers: HeaderMap,
}

impl Http {
    pub(crate) fn new(patience: Option<Duration>) -> Result<Self, FeedError> {
        let client = Client::builder()
            .user_agent(concat!("marketlake/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(5))
            .build()
            .map_err(|error| unreachable("the HTTP client", &error))?;
        Ok(Self {
            client,
            patience: patience.unwrap_or(PATIENCE),
            quiet_until: Mutex::new(None),
        })
    }

    /// Asks and has the answer read by `parse`; transient failures of either are tried again.
    pub(crate) async fn get<T>(
        &self,
        url: &str,
        headers: &HeaderMap,
        parse: impl Fn(&Answer) -> Result<T, FeedError> + Send + Sync,
    ) -> Result<T, FeedError> {
        let mut attempt = 1;
        loop {
            self.refuse_while_quiet(url)?;
            let result = self
                .ask(url, headers)
                .await
                .and_then(|answer| parse(&answer));
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

    async fn ask(&self, url: &str, headers: &HeaderMap) -> Result<Answer, FeedError> {
        let whole = async {
            let response = self.client.get(url).headers(headers.clone()).send().await;
            read(url, response.map_err(|error| unreachable(url, &error))?).await
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
        .map_err(|error| unreachable(url, &error))?
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
    let message: String = String::from_utf8_lossy(&bytes).chars().take(200).collect();
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

fn unreachable(url: &str, error: &(dyn std::error::Error + 'static)) -> FeedError {
    FeedError::Unreachable {
        url: url.to_owned(),
        reason: causes(error).last().unwrap_or(error).to_string(),
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
