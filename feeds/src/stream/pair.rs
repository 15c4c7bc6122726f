//! One pair of an exchange: its minutes, its subscriptions, and its last price.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use marketlake_model::{Exact, HIGH, LOW, Metric, Millis, Minute, PRICE, Sample, TRADES, VOLUME};

use super::last_price::{LastPrice, QuotedPrice, TradedPrice};
use super::pair_minute::{Candle, PairMinute, Trade, TradeError, Values};
use super::session::{MAX_AHEAD, Session, Span, known_from};
use crate::batch::Batch;

/// Time after a minute's end up to which events must have come: an exchange sends the last state of
/// a candle up to two seconds after its end, and does not keep the order of all symbols.
pub(super) const SETTLE_TIME: Duration = Duration::from_secs(3);
/// Sessions of a pair that are remembered.
const MAX_SUBSCRIPTIONS: usize = 16;

/// The pair.
pub(super) struct Pair {
    metrics: [Metric; 5],
    minutes: BTreeMap<Minute, PairMinute>,
    subscriptions: Vec<Subscription>,
    last_price: LastPrice,
}

/// Subscription in a session.
struct Subscription {
    session: u64,
    /// `None` until the session's next event.
    since: Option<Millis>,
    /// Newest event of the session when one of the pair was lost.
    until: Option<Millis>,
}

/// Sessions by their number.
pub(super) type Sessions = HashMap<u64, Session>;

impl Pair {
    pub(super) fn new(market: &str, pair: &str) -> Result<Self, String> {
        let metric =
            |measure| Metric::new(market, pair, measure).map_err(|error| error.to_string());
        Ok(Self {
            metrics: [
                metric(PRICE)?,
                metric(VOLUME)?,
                metric(HIGH)?,
                metric(LOW)?,
                metric(TRADES)?,
            ],
            minutes: BTreeMap::new(),
            subscriptions: Vec::new(),
            last_price: LastPrice::default(),
        })
    }

    /// Name of the pair in its metrics.
    pub(super) fn name(&self) -> &str {
        self.metrics[0].pair()
    }

    /// A session has it subscribed from the session's next event on. Returns whether it had not.
    pub(super) fn subscribe(&mut self, session: u64) -> bool {
        if self.is_subscribed(session) {
            return false;
        }
        self.push(session);
        true
    }

    fn push(&mut self, session: u64) {
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            self.subscriptions.remove(0);
        }
        self.subscriptions.push(Subscription {
            session,
            since: None,
            until: None,
        });
    }

    /// Running subscription in a session.
    fn running(&mut self, session: u64) -> Option<&mut Subscription> {
        let mut all = self.subscriptions.iter_mut();
        all.find(|own| own.session == session && own.until.is_none())
    }

    /// The session's event came, after which everything of the pair is received.
    pub(super) fn begin(&mut self, session: u64, time: Millis, arrival: Millis) {
        if let Some(own) = self.running(session) {
            own.since.get_or_insert(known_from(time, arrival));
        }
    }

    /// An event of it is lost, after the newest one of the session. Returns whether what is known
    /// must begin anew.
    pub(super) fn interrupt(&mut self, session: u64, newest: Option<Millis>) -> bool {
        self.last_price = LastPrice::default();
        let Some(own) = self.running(session) else {
            return false;
        };
        if own.since.is_none() {
            return false;
        }
        own.until = newest;
        self.push(session);
        true
    }

    fn is_subscribed(&self, session: u64) -> bool {
        let mut all = self.subscriptions.iter();
        all.any(|own| own.session == session && own.until.is_none())
    }

    /// Whether a session has it subscribed, and has neither traded nor quoted it.
    pub(super) fn is_without_price(&self, number: u64, session: &Session) -> bool {
        let traded = self.last_price.traded;
        let is_traded = traded.is_some_and(|known| session.knows(known.time));
        let quoted = self.last_price.quoted;
        let is_quoted = quoted.is_some_and(|known| {
            (known.session, known.interruptions) == (number, session.interruptions())
        });
        self.is_subscribed(number) && !is_traded && !is_quoted
    }

    /// Forgets minutes and sessions that are no longer held, and the ids of trades before
    /// `ids_from`.
    pub(super) fn forget(&mut self, oldest: Minute, ids_from: Minute, sessions: &Sessions) {
        self.minutes = self.minutes.split_off(&oldest);
        for (_, minute) in self.minutes.range_mut(..ids_from) {
            minute.close();
        }
        self.subscriptions
            .retain(|own| sessions.contains_key(&own.session));
    }

    /// Number of minutes that are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.minutes.len()
    }

    /// An event of a minute cannot be taken in.
    pub(super) fn mark_incomplete(&mut self, minute: Minute) {
        self.last_price = LastPrice::default();
        self.minute(minute).mark_incomplete();
    }

    /// Takes a trade in.
    pub(super) fn take_trade(&mut self, trade: Trade) -> Result<(), TradeError> {
        let taken = self.minute(trade.time.minute()).take_trade(trade);
        if taken.is_ok() {
            self.note_price(trade.time, trade.id, trade.price);
        }
        taken
    }

    /// Takes the state of a minute's candle in, with its time, and whether it is final.
    pub(super) fn take_candle(
        &mut self,
        (candle, minute, time, is_final): (Candle, Minute, Millis, bool),
    ) -> Result<(), TradeError> {
        if self.minute(minute).take_candle(candle, time, is_final) {
            // A candle's last state is sent after its minute, of which its price is.
            let last = Millis(minute.plus(1).start().0 - 1);
            self.note_price(time.clamp(minute.start(), last), 0, candle.close);
        }
        Ok(())
    }

    /// Takes a price in that the exchange quotes for a session.
    pub(super) fn take_quote(
        &mut self,
        session: u64,
        interruptions: u64,
        arrival: Millis,
        price: Exact,
    ) {
        self.last_price.quoted = Some(QuotedPrice {
            price,
            session,
            interruptions,
            arrival,
        });
    }

    fn minute(&mut self, minute: Minute) -> &mut PairMinute {
        let opening = self.last_price.before(minute);
        let new = || PairMinute::after(opening);
        self.minutes.entry(minute).or_insert_with(new)
    }

    fn note_price(&mut self, time: Millis, id: u64, price: Exact) {
        let known = self.last_price.traded;
        if known.is_none_or(|known| (known.time, known.id) <= (time, id)) {
            self.last_price.traded = Some(TradedPrice { price, time, id });
        }
    }

    /// Values of a minute that is over, if they are whole.
    pub(super) fn whole(&self, minute: Minute, sessions: &Sessions) -> Option<Values> {
        let spans = self.spans(sessions);
        let until = minute.plus(1).start().plus(SETTLE_TIME);
        let covers = |from: Millis| Span::cover(&spans, from, until);
        let Some(state) = self.minutes.get(&minute) else {
            return self.quiet(minute, sessions, covers);
        };
        let is_whole = match state.candle_time() {
            // Its totals are the exchange's own: only its last state must have come.
            Some(time) => state.is_final() || covers(time.plus(MAX_AHEAD)),
            None => covers(minute.start()),
        };
        state.values().filter(|_| is_whole)
    }

    /// Values of a minute without a trade, if its price is known without a gap.
    fn quiet(
        &self,
        minute: Minute,
        sessions: &Sessions,
        covers: impl Fn(Millis) -> bool,
    ) -> Option<Values> {
        let last = match self.minutes.range(minute..).next() {
            Some((_, state)) => state.opening(),
            None => self.last_price,
        };
        let LastPrice { traded, quoted } = last.before(minute);
        let traded = traded.filter(|known| {
            let since = known.time.plus(MAX_AHEAD);
            covers(since.min(minute.start()))
        });
        let quoted = quoted.filter(|known| {
            let session = sessions.get(&known.session);
            let interruptions = session.map(Session::interruptions);
            interruptions == Some(known.interruptions) && covers(minute.start())
        });
        let price = traded.map(|known| known.price);
        let price = price.or_else(|| quoted.map(|known| known.price));
        price.map(Values::quiet)
    }

    fn spans(&self, sessions: &Sessions) -> Vec<Span> {
        let begun = self.subscriptions.iter();
        let begun = begun.filter_map(|own| Some((own, sessions.get(&own.session)?, own.since?)));
        let spans = begun.flat_map(|(own, session, since)| {
            let until = own.until.unwrap_or(Millis(i64::MAX));
            session.spans(since).map(move |span| Span {
                to: span.to.min(until),
                ..span
            })
        });
        spans.collect()
    }

    /// Adds the values of a minute to a batch, a sample each.
    pub(super) fn offer(&self, batch: &mut Batch, symbol: &str, ts: Minute, values: &Values) {
        let [price, volume, high, low, trades] = &self.metrics;
        let count = values.trades.and_then(|count| {
            let count = i64::try_from(count).ok()?;
            Exact::new(count, 0)
        });
        let known = [
            (price, Some(values.price)),
            (volume, Some(values.volume)),
            (high, Some(values.high)),
            (low, Some(values.low)),
            (trades, count),
        ];
        for (metric, value) in known {
            if let Some(value) = value {
                let metric = metric.clone();
                batch.keep(symbol, Sample { metric, ts, value });
            }
        }
    }
}
