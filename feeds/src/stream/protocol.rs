//! Protocol of an exchange's public WebSocket: what to send, and how to read what comes.
//!
//! An implementation is a table and a parser: it holds no state and touches no network. The
//! connection, its deadlines and retries are in `connection.rs`, minutes are built in
//! `minute_book.rs`.

use std::borrow::Cow;
use std::time::Duration;

use marketlake_model::{Millis, Minute, Rejected};

/// A pair that an exchange lists for trading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Symbol as the stream spells it: `BTCUSDT`, `BTC/USD`, `BTC-USDT`.
    pub symbol: String,
    /// Pair of its metrics: base and quote by their common names, in lower case: `btcusdt`.
    pub pair: String,
}

impl Listing {
    /// A listing with the pair of a base and a quote currency. `XBT` is BTC and `XDG` is DOGE.
    #[must_use]
    pub fn new(symbol: &str, base: &str, quote: &str) -> Self {
        Self {
            symbol: symbol.to_owned(),
            pair: format!("{}{}", common_name(base), common_name(quote)),
        }
    }
}

/// Common name of a currency, in lower case.
fn common_name(currency: &str) -> String {
    match currency.to_lowercase().as_str() {
        "xbt" => "btc".to_owned(),
        "xdg" => "doge".to_owned(),
        name => name.to_owned(),
    }
}

/// Pairs of an answer, and the entries of it that are no pair.
#[derive(Debug, Default)]
pub struct Listings {
    /// Pairs that can be traded now.
    pub tradable: Vec<Listing>,
    /// Number of entries that do not parse, or are too many.
    pub rejected_count: u64,
    /// The first of them, each with the reason.
    pub rejected: Vec<Rejected>,
}

/// Request to subscribe to some symbols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeRequest {
    /// Id by which the exchange acknowledges it, if it does so by request.
    pub id: u64,
    /// Message to send.
    pub message: String,
    /// Symbols that it subscribes to.
    pub symbols: Vec<String>,
}

impl SubscribeRequest {
    /// Request by a JSON message.
    #[must_use]
    pub fn new(id: u64, message: &serde_json::Value, symbols: &[String]) -> Self {
        Self {
            id,
            message: message.to_string(),
            symbols: symbols.to_vec(),
        }
    }
}

/// Message that the exchange expects from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Time between two.
    pub interval: Duration,
    /// Text of the message.
    pub message: &'static str,
}

/// Limits of a connection, from the exchange's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Symbols that one connection carries.
    pub max_symbols: usize,
    /// Symbols that one request names.
    pub symbols_per_request: usize,
    /// Time between two messages to the exchange.
    pub request_interval: Duration,
    /// Time without an event after which a connection is taken for dead. Pings do not count.
    pub idle_timeout: Duration,
    /// Age at which a connection is replaced, below the one at which the exchange ends it.
    pub max_age: Duration,
}

/// One event of a stream. Numbers are the exchange's own decimal texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEvent<'a> {
    /// A trade, or several at one price.
    Trade {
        /// Symbol.
        symbol: Cow<'a, str>,
        /// Exchange's id, unique in the symbol.
        id: Cow<'a, str>,
        /// Time of the trade.
        time: Millis,
        /// Price.
        price: Cow<'a, str>,
        /// Traded amount, in the base currency.
        quantity: Cow<'a, str>,
        /// Number of trades that it stands for.
        count: u64,
    },
    /// State of a minute's candle.
    Candle {
        /// Symbol.
        symbol: Cow<'a, str>,
        /// Minute.
        minute: Minute,
        /// Time of the event by the exchange's clock.
        time: Millis,
        /// Last price so far.
        close: Cow<'a, str>,
        /// Highest price so far.
        high: Cow<'a, str>,
        /// Lowest price so far.
        low: Cow<'a, str>,
        /// Amount traded so far, in the base currency.
        volume: Cow<'a, str>,
        /// Number of trades so far, where the exchange counts them.
        trades: Option<u64>,
        /// Whether the minute is over.
        closed: bool,
    },
    /// Last price of a symbol, traded at an earlier time: a snapshot, or a trade before the
    /// subscription.
    LastPrice {
        /// Symbol.
        symbol: Cow<'a, str>,
        /// Price.
        price: Cow<'a, str>,
    },
    /// A symbol is subscribed.
    Subscribed {
        /// Symbol.
        symbol: Cow<'a, str>,
    },
    /// All symbols of a request are subscribed.
    RequestAccepted {
        /// Its id.
        id: u64,
    },
    /// A symbol, or a request, was refused.
    Refused {
        /// Symbol, if the exchange names one.
        symbol: Option<Cow<'a, str>>,
        /// Id of the request, if the exchange names one.
        id: Option<u64>,
        /// Message of the exchange.
        reason: Cow<'a, str>,
    },
    /// Sign of life, with the exchange's time where it names one.
    Heartbeat {
        /// Time by the exchange's clock.
        time: Option<Millis>,
    },
    /// The exchange announces that it will end the connection.
    Ending {
        /// Message of the exchange.
        reason: Cow<'a, str>,
    },
    /// A message of a type that is not used.
    Other {
        /// Type.
        kind: Cow<'a, str>,
    },
    /// One entry of a message that does not parse; the others of it are kept.
    Invalid {
        /// Entry.
        entry: Cow<'a, str>,
        /// Reason.
        reason: String,
    },
}

/// Protocol of one exchange.
pub trait StreamProtocol: Send + Sync {
    /// Market of its metrics: `binance`.
    fn market(&self) -> &'static str;

    /// Default address of the stream, with its path: `wss://stream.binance.com:9443/stream`.
    fn default_stream_url(&self) -> &'static str;

    /// Path and query of the list of pairs, below the REST API's base URL.
    fn listings_path(&self) -> &'static str;

    /// Parses the list of pairs.
    ///
    /// # Errors
    /// A text that says what is wrong with the whole answer.
    fn parse_listings(&self, body: &str) -> Result<Listings, String>;

    /// Limits of a connection.
    fn limits(&self) -> StreamLimits;

    /// Request that subscribes to some symbols, at most [`StreamLimits::symbols_per_request`].
    fn subscribe(&self, id: u64, symbols: &[String]) -> Vec<SubscribeRequest>;

    /// Whether one symbol that is refused costs the whole request: the others are requested again.
    fn refuses_whole_requests(&self) -> bool {
        false
    }

    /// Message that the exchange expects from time to time.
    fn keepalive(&self) -> Option<Keepalive> {
        None
    }

    /// Requests beside the symbols' own, sent first: a heartbeat channel.
    fn preamble(&self) -> Vec<String> {
        Vec::new()
    }

    /// Parses one text message into events. A single bad entry is an [`StreamEvent::Invalid`].
    ///
    /// # Errors
    /// A text that says what is wrong with the whole message.
    fn parse<'a>(&self, message: &'a str, events: &mut Vec<StreamEvent<'a>>) -> Result<(), String>;
}
