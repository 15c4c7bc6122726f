//! Credentials of a feed, sent to the configured host only.

use marketlake_common::{SecretUrl, scrub};
use percent_encoding::percent_decode_str;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::redirect::{Action, Attempt};
use url::Url;

const MAX_REDIRECTS: usize = 5;

/// API key, user and parameters, which are never shown.
#[derive(Default)]
pub(crate) struct Credentials {
    api_key: Option<(HeaderName, HeaderValue)>,
    user: Option<(String, String)>,
    query: Option<String>,
    secrets: Vec<String>,
}

impl Credentials {
    /// Takes user, password and parameters out of an address, so that it can be shown.
    pub(crate) fn take_from(base: &mut Url) -> Self {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let configured = SecretUrl::from(base.to_string());
        let secrets = configured.secrets().into_iter().map(str::to_owned);
        let user = decoded(base.username());
        let password = base.password().map(decoded).unwrap_or_default();
        let taken = Self {
            api_key: None,
            secrets: secrets.collect(),
            user: (!user.is_empty() || !password.is_empty()).then_some((user, password)),
            query: base.query().map(str::to_owned),
        };
        base.set_query(None);
        base.set_fragment(None);
        // Cannot fail for an address with a host.
        let _ = base.set_username("");
        let _ = base.set_password(None);
        taken
    }

    /// With an API key, which goes out as a header. `None` where no header may hold it.
    pub(crate) fn with_api_key(mut self, name: HeaderName, key: &str) -> Option<Self> {
        let mut value = HeaderValue::from_str(key).ok()?;
        value.set_sensitive(true);
        self.api_key = Some((name, value));
        self.secrets.push(key.to_owned());
        Some(self)
    }

    /// Text without them: some servers repeat in an error the request.
    pub(crate) fn scrub(&self, text: &str) -> String {
        scrub(text, self.secrets.iter().map(String::as_str))
    }

    /// Adds them to a request.
    pub(crate) fn sign(&self, mut request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        if let Some((name, value)) = &self.api_key {
            request = request.header(name, value);
        }
        if let Some((user, password)) = &self.user {
            request = request.basic_auth(user, Some(password));
        }
        request
    }

    /// An address as it goes out: with the configured parameters.
    pub(crate) fn address(&self, url: &str) -> String {
        match &self.query {
            None => url.to_owned(),
            Some(query) if url.contains('?') => format!("{url}&{query}"),
            Some(query) => format!("{url}?{query}"),
        }
    }
}

/// Follows redirects on the first address' scheme, host and port only. Elsewhere reqwest would take
/// along every header that it does not know as a secret, and the parameters.
pub(crate) fn follow_on_same_host(attempt: Attempt<'_>) -> Action {
    let of = |url: &Url| {
        let host = url.host_str().map(str::to_owned);
        (url.scheme().to_owned(), host, url.port_or_known_default())
    };
    let is_same = attempt.previous().first().map(of) == Some(of(attempt.url()));
    if is_same && attempt.previous().len() <= MAX_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}
