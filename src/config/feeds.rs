//! Settings of feeds.

use std::num::NonZeroU16;
use std::path::PathBuf;

use marketlake_common::{Secret, SecretUrl, one_of};
use marketlake_feeds::{EXCHANGES, Exchange, ExchangeOptions, StreamOptions};
use serde::{Deserialize, Serialize};
use url::Url;

use super::ConfigError;
use super::section::section;
use super::types::{Checked, Count, Form, MinuteText, Required, text_forms};

/// Number of shards of a feed.
type Shards = Count<1, 64>;

/// Characters of a contact.
const MAX_CONTACT_LEN: usize = 200;

section! {
    /// Price sources by priority: the first that supplies a metric is used. The default is one
    /// feed of kind `binance`. A given list replaces the default. A replay must be the only feed.
    /// Exchanges and modes: [feeds.md](feeds.md).
    Feed {
        /// Kind: the name of an exchange ({exchanges}), `simulated` or `replay`; required.
        kind: Required<Checked<FeedKindName>> = Required(None),
        /// Mode of an exchange: `stream` ({streamed}) records price, volume, trades, high and low
        /// of each minute from its WebSocket; `poll` ({polled}) requests the last price of every
        /// pair once a minute and, except of `cryptowatch`, its volume of 24 hours. By default
        /// `stream` where the exchange has one and the command runs until it is stopped, else
        /// `poll`; also `poll` where `base_url` is given and `stream_url` is not.
        mode: Option<FeedMode> = None,
        /// Number of shards in which its metrics are ingested, 1 to 64; each is a slot that any
        /// process may claim. 1 by default.
        shards: Option<Shards> = None,
        /// Base URL of the exchange's REST API, from which a stream reads the list of pairs; the
        /// public one by default. That of `coinbase` must serve the paths of its Advanced Trade
        /// API, too, if it is polled.
        base_url: Option<Checked<ExchangeUrl>> = None,
        /// URL of the exchange's WebSocket, `ws://` or `wss://`; the public one by default.
        stream_url: Option<Checked<StreamUrl>> = None,
        /// Contact of the operator, a mail address or URL, sent to the exchange in the header
        /// `User-Agent`; none by default.
        contact: Option<Checked<Contact>> = None,
        /// Key of the exchange's API (`cryptowatch`).
        api_key: Option<Secret> = None,
        /// Exchanges to record (`cryptowatch`), by priority: the first owns the short name of a
        /// pair.
        markets: Vec<String> = Vec::new(),
        /// Seed of the generated market (`simulated`).
        seed: u64 = 0,
        /// Files of history to play (`replay`).
        files: Vec<PathBuf> = Vec::new(),
        /// Data folder of another lake whose history is played (`replay`).
        lake: Option<PathBuf> = None,
        /// Market of candles and pairs in `files` (`replay`).
        market: Option<String> = None,
        /// First minute to play (`replay`); the first recorded minute by default.
        from: Option<Checked<MinuteText>> = None,
        /// Last minute to play (`replay`); the last recorded minute by default.
        to: Option<Checked<MinuteText>> = None,
        /// Recorded minutes per minute (`replay`), up to 100000; 1 by default.
        speed: Option<Checked<ReplaySpeed>> = None,
    }
}

/// Checks that no exchange has two feeds: both would record the same metrics.
pub(super) fn check_all(feeds: &[Feed]) -> Result<(), ConfigError> {
    for (index, feed) in feeds.iter().enumerate() {
        feed.check(&format!("feeds.{index}"))?;
        let is_same = |other: &&Feed| other.kind() == feed.kind();
        let before = feeds.iter().take(index).position(|other| is_same(&other));
        if let (FeedKind::Exchange(exchange), Some(first)) = (feed.kind(), before) {
            let problem = format!("expected another exchange: feeds.{first} is of the same");
            let name = format!("feeds.{index}.kind");
            return Err(ConfigError::setting(&name, exchange.name, problem));
        }
    }
    Ok(())
}

impl Feed {
    /// Creates a feed with default settings.
    pub(crate) fn new(kind: FeedKind) -> Self {
        Self {
            kind: Required(Some(Checked::built_in(kind.name()))),
            ..Self::default()
        }
    }

    /// Checks that it has a kind, and a mode of which its exchange is capable; `path` is that of
    /// its settings.
    fn check(&self, path: &str) -> Result<(), ConfigError> {
        if self.kind.0.is_none() {
            let name = format!("{path}.kind");
            return Err(ConfigError::setting(&name, "", expected_kind()));
        }
        self.check_unused(path)?;
        let FeedKind::Exchange(exchange) = self.kind() else {
            return self.check_no_mode(path);
        };
        self.check_addresses(exchange, path)?;
        let Some(mode) = self.mode else {
            return Ok(());
        };
        let problem = match mode {
            FeedMode::Poll if !exchange.is_polled() => {
                format!("expected stream: {} is not polled", exchange.name)
            }
            FeedMode::Stream if !exchange.has_stream() => {
                format!("expected poll: {} has no stream", exchange.name)
            }
            _ => return Ok(()),
        };
        let name = format!("{path}.mode");
        Err(ConfigError::setting(&name, mode.name(), problem))
    }

    /// A setting that its kind does not use is a mistake: of the name, or of the kind.
    fn check_unused(&self, path: &str) -> Result<(), ConfigError> {
        let kind = self.kind();
        let exchange = match kind {
            FeedKind::Exchange(exchange) => Some(exchange),
            FeedKind::Simulated | FeedKind::Replay => None,
        };
        let (is_exchange, is_replay) = (exchange.is_some(), kind == FeedKind::Replay);
        let has_markets = exchange.is_some_and(|exchange| exchange.has_markets);
        let settings = [
            ("base_url", self.base_url.is_some(), is_exchange),
            ("stream_url", self.stream_url.is_some(), is_exchange),
            ("contact", self.contact.is_some(), is_exchange),
            ("api_key", self.api_key.is_some(), has_markets),
            ("markets", !self.markets.is_empty(), has_markets),
            ("seed", self.seed != 0, kind == FeedKind::Simulated),
            ("files", !self.files.is_empty(), is_replay),
            ("lake", self.lake.is_some(), is_replay),
            ("market", self.market.is_some(), is_replay),
            ("from", self.from.is_some(), is_replay),
            ("to", self.to.is_some(), is_replay),
            ("speed", self.speed.is_some(), is_replay),
        ];
        let unused = settings
            .iter()
            .find(|(_, is_given, is_used)| *is_given && !is_used);
        match unused {
            Some((setting, ..)) => Err(ConfigError::setting(
                &format!("{path}.{setting}"),
                "given",
                format!(
                    "expected none: a feed of kind {} does not use it",
                    kind.name()
                ),
            )),
            None => Ok(()),
        }
    }

    /// A mode is an exchange's.
    fn check_no_mode(&self, path: &str) -> Result<(), ConfigError> {
        let Some(mode) = self.mode else {
            return Ok(());
        };
        let problem = format!("expected none: {} is no exchange", self.kind().name());
        Err(ConfigError::setting(
            &format!("{path}.mode"),
            mode.name(),
            problem,
        ))
    }

    /// A stream and its list of pairs are of one server: both addresses are given, or none.
    fn check_addresses(&self, exchange: &Exchange, path: &str) -> Result<(), ConfigError> {
        let (given, missing) = match (self.base_url.is_some(), self.stream_url.is_some()) {
            (true, false) => ("base_url", "stream_url"),
            (false, true) => ("stream_url", "base_url"),
            _ => return Ok(()),
        };
        if self.mode(exchange, true) == FeedMode::Poll && self.stream_url.is_none() {
            return Ok(());
        }
        let problem =
            format!("expected {path}.{missing} to be set, too: a stream needs both or neither");
        let name = format!("{path}.{given}");
        Err(ConfigError::setting(&name, "given", problem))
    }

    /// Its kind; a feed that was loaded has one.
    pub(crate) fn kind(&self) -> FeedKind {
        self.kind.0.as_deref().copied().unwrap_or(FeedKind::DEFAULT)
    }

    /// Mode of its exchange. The default depends on whether the command runs until it is stopped.
    /// Another server is streamed only from an address that is given: the exchange's own stream
    /// would be of another market.
    pub(crate) fn mode(&self, exchange: &Exchange, runs_long: bool) -> FeedMode {
        let is_elsewhere = self.base_url.is_some() && self.stream_url.is_none();
        match self.mode {
            Some(mode) => mode,
            None if is_elsewhere && exchange.is_polled() => FeedMode::Poll,
            None if runs_long && exchange.has_stream() => FeedMode::Stream,
            None => FeedMode::Poll,
        }
    }

    /// Markets that it ingests, as far as the settings name them.
    pub(crate) fn ingested_markets(&self) -> Vec<String> {
        match self.kind() {
            FeedKind::Exchange(exchange) => exchange.markets(&self.exchange_options()),
            FeedKind::Simulated => vec![marketlake_model::SIMULATED.to_owned()],
            FeedKind::Replay => self.market.iter().cloned().collect(),
        }
    }

    /// Options of the feed that polls its exchange.
    pub(crate) fn exchange_options(&self) -> ExchangeOptions {
        ExchangeOptions {
            base_url: self.base_url.as_deref().cloned(),
            api_key: self.api_key.clone(),
            markets: self.markets.clone(),
            contact: self.contact.as_deref().cloned(),
            ..ExchangeOptions::default()
        }
    }

    /// Options of its exchange's stream.
    pub(crate) fn stream_options(&self) -> StreamOptions {
        StreamOptions {
            base_url: self.base_url.as_deref().cloned(),
            stream_url: self.stream_url.as_deref().cloned(),
            contact: self.contact.as_deref().cloned(),
            ..StreamOptions::default()
        }
    }

    /// Number of its shards, if it is configured.
    pub(crate) fn shards(&self) -> Option<NonZeroU16> {
        let count = self.shards.map(|count| u16::try_from(count.get()).ok());
        count.flatten().and_then(NonZeroU16::new)
    }

    /// Whether it returns minutes of the past.
    pub(crate) fn has_history(&self) -> bool {
        matches!(self.kind(), FeedKind::Simulated | FeedKind::Replay)
    }
}

/// Kind of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FeedKind {
    /// An exchange.
    Exchange(&'static Exchange),
    /// Recorded files, or another lake.
    Replay,
    /// A generated market.
    Simulated,
}

impl FeedKind {
    /// Kind of the feed without settings.
    pub(crate) const DEFAULT: Self = Self::Exchange(&EXCHANGES[0]);

    /// Name in the settings.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Exchange(exchange) => exchange.name,
            Self::Replay => "replay",
            Self::Simulated => "simulated",
        }
    }

    /// All kinds: the exchanges, then the others.
    fn all() -> impl Iterator<Item = Self> {
        let exchanges = EXCHANGES.iter().map(Self::Exchange);
        exchanges.chain([Self::Simulated, Self::Replay])
    }
}

/// Mode of an exchange's feed.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FeedMode {
    /// The exchange sends what happens over a WebSocket.
    Stream,
    /// The exchange is requested once a minute.
    Poll,
}

impl FeedMode {
    /// Name in the settings.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Poll => "poll",
        }
    }
}

text_forms! {
    /// Kind of a feed.
    FeedKindName: FeedKind, |text| FeedKind::all()
        .find(|kind| kind.name() == text)
        .ok_or_else(expected_kind);
    /// Contact in the comment of a `User-Agent` (RFC 9110, 5.6.5).
    Contact: String, |text| {
        let is_plain = |c: char| c.is_ascii_graphic() && !"()\\".contains(c);
        let is_contact = text.contains('@') || text.starts_with("https://");
        let is_short = (1..=MAX_CONTACT_LEN).contains(&text.len());
        match is_contact && is_short && text.chars().all(is_plain) {
            true => Ok(text.clone()),
            false => Err(format!(
                "expected a mail address or an https URL of 1 to {MAX_CONTACT_LEN} printable \
                 ASCII characters, without spaces, parentheses and backslashes"
            )),
        }
    };
}

/// Error text of an unknown kind.
fn expected_kind() -> String {
    let names: Vec<&str> = FeedKind::all().map(FeedKind::name).collect();
    format!("expected {}", one_of(&names))
}

/// Base URL of an exchange, which may hold credentials.
#[derive(Clone, Debug)]
pub(crate) enum ExchangeUrl {}

impl Form for ExchangeUrl {
    type Raw = SecretUrl;
    type Value = Url;

    fn parse(raw: &SecretUrl) -> Result<Url, String> {
        let problem = || "expected an address like https://api.example.com".to_owned();
        url(raw, ["http", "https"]).ok_or_else(problem)
    }
}

/// URL of an exchange's WebSocket, whose parameters may hold a token. A WebSocket's handshake sends
/// no user and password.
#[derive(Clone, Debug)]
pub(crate) enum StreamUrl {}

impl Form for StreamUrl {
    type Raw = SecretUrl;
    type Value = Url;

    fn parse(raw: &SecretUrl) -> Result<Url, String> {
        let problem = || "expected an address like wss://stream.example.com/ws".to_owned();
        let url = url(raw, ["ws", "wss"]).ok_or_else(problem)?;
        match url.username().is_empty() && url.password().is_none() {
            true => Ok(url),
            false => Err("expected an address without user and password".to_owned()),
        }
    }
}

/// Parses a URL of one of two schemes.
fn url(raw: &SecretUrl, schemes: [&str; 2]) -> Option<Url> {
    let url = Url::parse(raw.expose()).ok()?;
    schemes.contains(&url.scheme()).then_some(url)
}

/// Recorded minutes that a replay plays in a minute.
#[derive(Clone, Debug)]
pub(crate) enum ReplaySpeed {}

impl Form for ReplaySpeed {
    type Raw = f64;
    type Value = f64;

    fn parse(raw: &f64) -> Result<f64, String> {
        let is_valid = *raw > 0.0 && *raw <= 100_000.0;
        let problem = || "expected a number above 0 and at most 100000".to_owned();
        is_valid.then_some(*raw).ok_or_else(problem)
    }
}
