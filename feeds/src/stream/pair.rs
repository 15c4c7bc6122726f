//! One pair of an exchange: its minutes, its subscriptions, and its last price.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use marketlake_model::{Exact, HIGH, LOW, Metric, Millis, Minute, PRICE, Sample, TRADES, VOLUME};

use super::last_price::{KnownPrice, LastPrice};
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
    /// Whether the exchange refused the last subscription of it.
    is_refused: bool,
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

/// Minutes that take events in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Oldest minute that is held.
    pub(super) oldest: Minute,
    /// Oldest minute that takes trades in.
    pub(super) open_from: Minute,
}

/// Session in which an event came, and its interruptions by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) session: u64,
    pub(super) interruptions: u64,
}

/// Spans of a pair, and that of the session in which a price came: what follows it there is known.
fn with_own(spans: &[Span], known: &KnownPrice, sessions: &Sessions) -> Vec<Span> {
    let own = sessions.get(&known.session);
    let own = own.filter(|session| session.interruptions() == known.interruptions);
    let own = own.and_then(Session::newest).map(|newest| Span {
        from: known.proved_until,
        to: newest,
    });
    spans.iter().copied().chain(own).collect()
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
            is_refused: false,
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
        self.is_refused = false;
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

    /// Whether a session has it subscribed, and has shown no price of it since it was interrupted.
    pub(super) fn is_without_price(&self, number: u64, interruptions: u64) -> bool {
        let LastPrice { traded, quoted } = self.last_price;
        let is_own =
            |known: &KnownPrice| (known.session, known.interruptions) == (number, interruptions);
        self.is_subscribed(number) && !traded.iter().chain(&quoted).any(is_own)
    }

    /// Forgets minutes and sessions that are no longer held, and the ids of trades before
    /// `ids_from`.
    pub(super) fn forget(&mut self, oldest: Minute, ids_from: Minute, sessions: &Sessions) {
        self.prove_prices(sessions);
        self.minutes = self.minutes.split_off(&oldest);
        for (_, minute) in self.minutes.range_mut(..ids_from) {
            minute.close();
        }
        let is_held = |own: &Subscription| {
            let session = sessions.get(&own.session);
            session.is_some_and(|session| !session.is_forgotten(oldest.start()))
        };
        self.subscriptions.retain(is_held);
    }

    /// Moves the proofs of prices on, so that the sessions behind them can be forgotten.
    fn prove_prices(&mut self, sessions: &Sessions) {
        let spans = self.spans(sessions);
        let LastPrice { traded, quoted } = &mut self.last_price;
        for known in [traded, quoted].into_iter().flatten() {
            let spans = with_own(&spans, known, sessions);
            known.proved_until = Span::reach(&spans, known.proved_until);
        }
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

    /// Takes a trade of a session in. One that is too late for its minute is the last price all
    /// the same, and its minute, if it is held, is not whole: it may have come before, or not.
    pub(super) fn take_trade(
        &mut self,
        trade: Trade,
        origin: Origin,
        window: Window,
    ) -> Result<(), TradeError> {
        let minute = trade.time.minute();
        let taken = if minute >= window.open_from {
            self.minute(minute).take_trade(trade)
        } else {
            Err(TradeError::Late)
        };
        if taken == Err(TradeError::Late) && minute >= window.oldest {
            self.minute(minute).mark_incomplete();
        }
        if matches!(taken, Ok(()) | Err(TradeError::Late)) {
            let order = (trade.time, trade.id);
            self.note_price(trade.price, order, trade.time, origin);
        }
        taken
    }

    /// Takes the state of a minute's candle in, with its time, and whether it is final.
    pub(super) fn take_candle(
        &mut self,
        (candle, minute, time, is_final): (Candle, Minute, Millis, bool),
        origin: Origin,
        window: Window,
    ) -> Result<(), TradeError> {
        if minute < window.oldest {
            self.note_candle_price(candle.close, minute, time, origin);
            return Err(TradeError::Late);
        }
        if self.minute(minute).take_candle(candle, time, is_final) {
            self.note_candle_price(candle.close, minute, time, origin);
        }
        Ok(())
    }

    /// Notes the price of a candle, whose last state is sent after its minute, of which its price
    /// is. As of the event's time the exchange has no newer one.
    fn note_candle_price(&mut self, price: Exact, minute: Minute, time: Millis, origin: Origin) {
        let last = Millis(minute.plus(1).start().0 - 1);
        let order = (time.clamp(minute.start(), last), 0);
        self.note_price(price, order, time, origin);
    }

    /// Takes a price in that the exchange quotes for a session.
    pub(super) fn take_quote(&mut self, price: Exact, arrival: Millis, origin: Origin) {
        self.last_price.quoted = Some(KnownPrice {
            price,
            order: (arrival, 0),
            usable_from: arrival.minute(),
            session: origin.session,
            interruptions: origin.interruptions,
            proved_until: arrival,
        });
    }

    fn minute(&mut self, minute: Minute) -> &mut PairMinute {
        let opening = self.last_price.before(minute);
        let new = || PairMinute::after(opening);
        self.minutes.entry(minute).or_insert_with(new)
    }

    fn note_price(&mut self, price: Exact, order: (Millis, u64), at: Millis, origin: Origin) {
        let known = self.last_price.traded;
        if known.is_none_or(|known| known.order <= order) {
            self.last_price.traded = Some(KnownPrice {
                price,
                order,
                usable_from: order.0.minute().plus(1),
                session: origin.session,
                interruptions: origin.interruptions,
                proved_until: at,
            });
        }
    }

    /// Values of a minute that is over, if they are whole.
    pub(super) fn whole(&self, minute: Minute, sessions: &Sessions) -> Option<Values> {
        let spans = self.spans(sessions);
        let until = minute.plus(1).start().plus(SETTLE_TIME);
        let covers = |from: Millis| Span::cover(&spans, from, until);
        let Some(state) = self.minutes.get(&minute) else {
            return covers(minute.start())
                .then(|| self.quiet(minute, sessions, &spans))
                .flatten();
        };
        let is_whole = match state.candle_time() {
            // Its totals are the exchange's own: only its last state must have come.
            Some(time) => state.is_final() || covers(time.plus(MAX_AHEAD).min(until)),
            None => covers(minute.start()),
        };
        state.values().filter(|_| is_whole)
    }

    /// The exchange refuses to stream it.
    pub(super) fn refuse(&mut self) {
        self.is_refused = true;
    }

    /// Whether something of a minute may be missing, whose values are not whole. It may not where
    /// the minute is covered and had no trade: then only the price is unknown. A pair that the
    /// exchange refuses to stream is not counted in every minute.
    pub(super) fn is_incomplete(&self, minute: Minute, sessions: &Sessions) -> bool {
        if self.is_refused && self.subscriptions.is_empty() {
            return false;
        }
        if self.minutes.contains_key(&minute) {
            return true;
        }
        let until = minute.plus(1).start().plus(SETTLE_TIME);
        !Span::cover(&self.spans(sessions), minute.start(), until)
    }

    /// Values of a minute that spans cover, without a trade, if its price is known without a gap.
    fn quiet(&self, minute: Minute, sessions: &Sessions, spans: &[Span]) -> Option<Values> {
        let last = match self.minutes.range(minute..).next() {
            Some((_, state)) => state.opening(),
            None => self.last_price,
        };
        let is_proved = |known: &KnownPrice| {
            let spans = with_own(spans, known, sessions);
            Span::reach(&spans, known.proved_until) >= minute.start()
        };
        let LastPrice { traded, quoted } = last.before(minute);
        let known = traded.filter(is_proved).or(quoted.filter(is_proved))?;
        Some(Values::quiet(known.price))
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
