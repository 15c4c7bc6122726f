//! Requests of one connection, and which symbols the exchange has acknowledged.

use std::collections::{HashMap, HashSet, VecDeque};

use super::protocol::{StreamProtocol, SubscribeRequest};

/// Refusals that are kept for a message.
const MAX_REASON_CHARS: usize = 200;

/// Requests that are to be sent, and symbols that are not acknowledged.
pub(super) struct Subscriptions {
    protocol: &'static dyn StreamProtocol,
    symbols_per_request: usize,
    next_id: u64,
    outgoing: VecDeque<String>,
    by_request: HashMap<u64, Vec<String>>,
    waiting: HashSet<String>,
    count: usize,
    refused: Vec<String>,
    first_refusal: Option<String>,
}

impl Subscriptions {
    /// Requests for all symbols.
    pub(super) fn new(
        protocol: &'static dyn StreamProtocol,
        symbols_per_request: usize,
        symbols: &[String],
    ) -> Self {
        let mut subscriptions = Self {
            protocol,
            symbols_per_request: symbols_per_request.max(1),
            next_id: 1,
            outgoing: protocol.preamble().into(),
            by_request: HashMap::new(),
            waiting: symbols.iter().cloned().collect(),
            count: symbols.len(),
            refused: Vec::new(),
            first_refusal: None,
        };
        for chunk in symbols.chunks(symbols_per_request.max(1)) {
            subscriptions.request(chunk);
        }
        subscriptions
    }

    /// Adds a request for some symbols.
    fn request(&mut self, symbols: &[String]) {
        let id = self.next_id;
        self.next_id += 1;
        for request in self.protocol.subscribe(id, symbols) {
            let SubscribeRequest {
                id,
                message,
                symbols,
            } = request;
            self.outgoing.push_back(message);
            self.by_request.entry(id).or_default().extend(symbols);
        }
    }

    /// Next message to send.
    pub(super) fn next_message(&mut self) -> Option<String> {
        self.outgoing.pop_front()
    }

    /// Whether there are messages to send.
    pub(super) fn has_messages(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether every symbol is acknowledged or refused.
    pub(super) fn is_settled(&self) -> bool {
        self.outgoing.is_empty() && self.waiting.is_empty()
    }

    /// Number of symbols that are acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.count - self.missing()
    }

    /// Number of symbols that are not acknowledged, refused ones included.
    pub(super) fn missing(&self) -> usize {
        self.waiting.len() + self.refused.len()
    }

    /// First refusal, or a word that there was no answer.
    pub(super) fn reason(&self) -> String {
        let none = || "no acknowledgement came".to_owned();
        self.first_refusal.clone().unwrap_or_else(none)
    }

    /// A symbol is acknowledged. Returns whether it was waited for.
    pub(super) fn accept(&mut self, symbol: &str) -> bool {
        self.waiting.remove(symbol)
    }

    /// A request is acknowledged: returns its symbols that were waited for.
    pub(super) fn accept_request(&mut self, id: u64) -> Vec<String> {
        let symbols = self.by_request.remove(&id).unwrap_or_default();
        let waited = symbols.into_iter();
        waited
            .filter(|symbol| self.waiting.remove(symbol))
            .collect()
    }

    /// A symbol or a request is refused. Where a symbol costs its whole request, the others of it
    /// are requested again, without it.
    pub(super) fn refuse(&mut self, symbol: Option<&str>, id: Option<u64>, reason: &str) {
        let reason = || reason.chars().take(MAX_REASON_CHARS).collect();
        self.first_refusal.get_or_insert_with(reason);
        let Some(symbol) = symbol else {
            let symbols = id.and_then(|id| self.by_request.remove(&id));
            let symbols = symbols.unwrap_or_default();
            let waited = symbols.into_iter();
            let refused = waited.filter(|symbol| self.waiting.remove(symbol));
            self.refused.extend(refused);
            return;
        };
        if !self.waiting.remove(symbol) {
            return;
        }
        self.refused.push(symbol.to_owned());
        if self.protocol.refuses_whole_requests() {
            self.request_rest(symbol, id);
        }
    }

    /// Requests again all symbols that are refused, or were not answered.
    pub(super) fn retry(&mut self) {
        self.waiting.extend(self.refused.drain(..));
        self.by_request.clear();
        let symbols: Vec<String> = self.waiting.iter().cloned().collect();
        for chunk in symbols.chunks(self.symbols_per_request) {
            self.request(chunk);
        }
    }

    /// Requests the other symbols of a refused request again: fewer each time, so that it ends.
    fn request_rest(&mut self, refused: &str, id: Option<u64>) {
        let of_symbol = || {
            let holds = |symbols: &Vec<String>| symbols.iter().any(|symbol| symbol == refused);
            let mut requests = self.by_request.iter();
            requests.find_map(|(id, symbols)| holds(symbols).then_some(*id))
        };
        let symbols = id
            .or_else(of_symbol)
            .and_then(|id| self.by_request.remove(&id));
        let mut rest = symbols.unwrap_or_default();
        rest.retain(|symbol| self.waiting.contains(symbol));
        if !rest.is_empty() {
            self.request(&rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bybit::BybitStream;
    use super::super::kraken::KrakenStream;
    use super::*;

    fn symbols(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("S{number}")).collect()
    }

    fn sent(subscriptions: &mut Subscriptions) -> Vec<String> {
        std::iter::from_fn(|| subscriptions.next_message()).collect()
    }

    #[test]
    fn a_symbol_that_costs_its_request_does_not_cost_the_others() {
        let mut all = Subscriptions::new(&BybitStream, 10, &symbols(12));
        assert_eq!(sent(&mut all).len(), 2);
        all.refuse(Some("S3"), Some(1), "unknown");
        let again = sent(&mut all);
        assert_eq!(again.len(), 1);
        assert!(
            !again[0].contains("S3\"") && again[0].contains("S4\""),
            "{again:?}"
        );
        assert_eq!(all.accept_request(3).len(), 9);
        assert_eq!(all.accept_request(2).len(), 2);
        assert!(all.is_settled());
        assert_eq!((all.acknowledged(), all.missing()), (11, 1));
        assert_eq!(all.reason(), "unknown");
    }

    #[test]
    fn a_refused_symbol_is_not_requested_again_where_the_others_are_accepted() {
        let mut all = Subscriptions::new(&KrakenStream, 10, &symbols(3));
        sent(&mut all);
        all.refuse(Some("S1"), Some(1), "unknown");
        assert!(!all.has_messages());
        assert!(all.accept("S0") && all.accept("S2") && !all.accept("S2"));
        assert!(all.is_settled());
    }

    #[test]
    fn a_refused_request_costs_all_of_its_symbols_and_a_stranger_none() {
        let mut all = Subscriptions::new(&BybitStream, 2, &symbols(4));
        sent(&mut all);
        all.refuse(None, Some(1), "too many");
        all.refuse(Some("OTHER"), Some(2), "unknown");
        all.refuse(None, Some(77), "unknown");
        assert_eq!(all.accept_request(2), ["S2", "S3"]);
        assert_eq!((all.acknowledged(), all.missing()), (2, 2));
    }
}
