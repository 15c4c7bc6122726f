//! Progress of a run that fills the gaps of a market: answers by symbol, and what they change.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use marketlake_entities::records::gaps::{GapReason, GapState, Model};
use marketlake_feeds::FeedError;
use marketlake_model::{Millis, Minute, PRICE, Sample, VOLUME};

use crate::gap_retry::{delay, failed_again, may_pass, share_by_hour};
use crate::gaps::{GapChange, bounded, joined, named};

/// Attempts in a row that fail before a gap is given up.
const MAX_ATTEMPTS: i32 = 12;
/// Failed attempts after which a symbol is skipped of which the error may pass.
const MAX_PASSING_ATTEMPTS: i32 = 3;
/// Rounds over the symbols after which a gap is filled, although some of them lack candles.
const MAX_ROUNDS: i32 = 3;
/// Symbols of which the answer cannot be used, beyond the number of those that can, after which the
/// exchange itself is taken to fail.
const MAX_BAD_SYMBOLS: usize = 3;
/// The same after runs that got samples: the rest may be such symbols.
const MAX_BAD_SYMBOLS_CONTINUED: usize = 20;
/// Skipped symbols that are named.
const MAX_NAMED_SYMBOLS: usize = 20;
/// Maximum characters of what a detail said before, of the skipped symbols, and of an error.
const MAX_KEPT_CHARS: usize = 800;
const MAX_SKIPPED_CHARS: usize = 700;
const MAX_ERROR_CHARS: usize = 400;
/// Begin of the error in a detail. The next attempt replaces it.
const LAST_ERROR: &str = "last error of filling: ";
/// Begin of the symbols without samples in a detail. The next run replaces them.
const SKIPPED: &str = "skipped: ";
/// Error of a minute of which no pair has a candle: the exchange may not have written them yet.
const NO_CANDLES: &str = "the exchange has no candles of this minute";

/// Reason for which a run ends before all symbols are done.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The time for requests is over, which is this long.
    OutOfTime(Duration),
    /// The exchange failed, or requests a pause.
    Failed(FeedError),
    /// The lake failed, with this error.
    Lake(String),
}

/// Progress of a run.
#[derive(Debug)]
pub(crate) struct GapProgress {
    market: &'static str,
    /// Contiguous minutes, newest first; at least one.
    gaps: Vec<Model>,
    bounds: (Minute, Minute),
    reason: GapReason,
    /// Failed attempts of the gap that has most.
    attempts: i32,
    /// Position at which the run began.
    position: Option<String>,
    /// Symbols up to this one are done.
    done: Option<String>,
    is_whole: bool,
    stop: Option<Stop>,
    good: usize,
    samples: HashMap<Minute, i64>,
    skipped: Vec<String>,
    /// Symbols after `done` of which the answer cannot be used, and the last error.
    bad: Vec<String>,
    bad_count: usize,
    bad_error: Option<FeedError>,
    /// Whether the exchange has a candle of every minute of a pair.
    has_all_minutes: bool,
    /// Symbols without a candle of some minute.
    lacking: Vec<String>,
}

impl GapProgress {
    /// Progress of contiguous gaps, newest first, of an exchange that has a candle of every minute
    /// of a pair, or leaves quiet ones out; `None` without any gap.
    pub(crate) fn new(
        market: &'static str,
        gaps: Vec<Model>,
        has_all_minutes: bool,
    ) -> Option<Self> {
        let (newest, oldest) = (gaps.first()?, gaps.last()?);
        Some(Self {
            market,
            bounds: (oldest.minute.minute(), newest.minute.minute()),
            reason: newest.reason,
            attempts: gaps.iter().map(|gap| gap.attempts).max().unwrap_or(0),
            position: newest.next_symbol.clone(),
            done: newest.next_symbol.clone(),
            gaps,
            is_whole: false,
            stop: None,
            good: 0,
            samples: HashMap::new(),
            skipped: Vec::new(),
            bad: Vec::new(),
            bad_count: 0,
            bad_error: None,
            has_all_minutes,
            lacking: Vec::new(),
        })
    }

    /// The market.
    pub(crate) fn market(&self) -> &'static str {
        self.market
    }

    /// First and last minute.
    pub(crate) fn bounds(&self) -> (Minute, Minute) {
        self.bounds
    }

    /// Measure that shows which pairs need no request, where there may be some: the price of
    /// incomplete minutes, and the volume in another round, since polls have prices only.
    pub(crate) fn proof(&self) -> Option<&'static str> {
        match self.reason {
            GapReason::Incomplete => Some(PRICE),
            _ if self.attempts > 0 => Some(VOLUME),
            _ => None,
        }
    }

    /// Position at which the run began: symbols up to it are done.
    pub(crate) fn position(&self) -> Option<&str> {
        self.position.as_deref()
    }

    /// Number of samples that came.
    pub(crate) fn sample_count(&self) -> u64 {
        let sum: i64 = self.samples.values().sum();
        u64::try_from(sum).unwrap_or(0)
    }

    /// Whether all symbols are done.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether no more symbols are to be requested.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.is_some()
    }

    /// Pause that the exchange requested.
    pub(crate) fn pause(&self) -> Option<Duration> {
        match &self.stop {
            Some(Stop::Failed(error)) => error.pause(),
            _ => None,
        }
    }

    /// Error of a run that failed, or found nothing.
    pub(crate) fn error(&self) -> Option<String> {
        match &self.stop {
            Some(Stop::Failed(error)) => Some(error.to_string()),
            Some(Stop::Lake(error)) => Some(error.clone()),
            Some(Stop::OutOfTime(limit)) if !self.has_answers() => {
                Some(format!("no answer within {} s", limit.as_secs_f32()))
            }
            None if self.gaps.iter().all(|gap| self.is_empty(gap)) => Some(NO_CANDLES.to_owned()),
            Some(Stop::OutOfTime(_)) | None => None,
        }
    }

    /// Names of skipped symbols with the reasons.
    pub(crate) fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Ends the run.
    pub(crate) fn stop(&mut self, stop: Stop) {
        self.stop = Some(stop);
    }

    /// Takes the answer for the next symbol in. Returns its samples.
    pub(crate) fn take(
        &mut self,
        symbol: &str,
        answer: Result<Vec<Sample>, FeedError>,
    ) -> Vec<Sample> {
        match answer {
            Ok(samples) => {
                self.good += 1;
                self.skip_bad();
                self.done = Some(symbol.to_owned());
                self.note_lacking(symbol, &samples);
                for sample in &samples {
                    *self.samples.entry(sample.ts).or_default() += 1;
                }
                return samples;
            }
            Err(FeedError::UnknownSymbol { message, .. }) => {
                self.skipped.push(named(symbol, &message));
                // Symbols before it that are not done yet are requested again.
                if self.bad.is_empty() {
                    self.done = Some(symbol.to_owned());
                }
            }
            Err(error) if self.is_ended_by(&error) => self.stop(Stop::Failed(error)),
            Err(error) => {
                self.bad.push(match &error {
                    FeedError::Malformed { reason, .. } => named(symbol, reason),
                    error => named(symbol, &error.to_string()),
                });
                self.bad_count += 1;
                self.bad_error = Some(error);
                let max = match self.is_continued() {
                    true => MAX_BAD_SYMBOLS_CONTINUED,
                    false => MAX_BAD_SYMBOLS,
                };
                if self.bad_count > self.good.saturating_add(max) {
                    self.fail();
                }
            }
        }
        Vec::new()
    }

    fn note_lacking(&mut self, symbol: &str, samples: &[Sample]) {
        let minutes: HashSet<Minute> = samples.iter().map(|sample| sample.ts).collect();
        if self.has_all_minutes && minutes.len() < self.gaps.len() {
            self.lacking.push(named(symbol, "no candle"));
        }
    }

    /// Whether an error ends the run: the exchange is away, requests a pause, or has an error that
    /// may pass and was not there in some attempts before.
    fn is_ended_by(&self, error: &FeedError) -> bool {
        match error {
            FeedError::Throttled { .. } | FeedError::Unreachable { .. } => true,
            error => may_pass(error) && self.attempts < MAX_PASSING_ATTEMPTS,
        }
    }

    /// Whether runs before got samples: the exchange is no longer taken to fail so soon.
    fn is_continued(&self) -> bool {
        self.gaps.iter().any(|gap| gap.samples > 0)
    }

    /// All symbols have answered. It is the exchange that fails, not some symbols, if more of the
    /// answers cannot be used than can.
    pub(crate) fn finish(&mut self) {
        let excused = match self.is_continued() {
            true => MAX_BAD_SYMBOLS_CONTINUED,
            false => 0,
        };
        if self.bad_count > self.good.saturating_add(excused) {
            self.fail();
        } else {
            self.skip_bad();
            self.is_whole = true;
        }
    }

    fn fail(&mut self) {
        if let Some(error) = self.bad_error.take() {
            self.stop(Stop::Failed(error));
        }
    }

    fn skip_bad(&mut self) {
        self.skipped.append(&mut self.bad);
    }

    fn has_answers(&self) -> bool {
        self.good > 0 || self.bad_count > 0 || !self.skipped.is_empty()
    }

    /// Whether the exchange or the lake was not there, so that a later attempt finds what it needs.
    fn is_away(&self) -> bool {
        match &self.stop {
            // Without an answer it is the list of pairs that failed.
            Some(Stop::Failed(error)) => may_pass(error) || !self.has_answers(),
            Some(Stop::OutOfTime(_) | Stop::Lake(_)) => true,
            None => false,
        }
    }

    /// Samples that came of a gap's minute, in this run and those before.
    fn samples_of(&self, gap: &Model) -> i64 {
        let new = self.samples.get(&gap.minute.minute()).copied();
        gap.samples.saturating_add(new.unwrap_or_default())
    }

    /// Whether all symbols are done, some were requested, and none had a candle of the minute.
    fn is_empty(&self, gap: &Model) -> bool {
        let is_requested = self.position.is_some() || self.has_answers();
        self.is_whole && is_requested && self.samples_of(gap) == 0
    }

    /// Whether another round is due: some symbols lack candles, which may have been late, or it is
    /// not known of those that an earlier run requested.
    fn needs_round(&self, gap: &Model) -> bool {
        let is_known = self.position.is_none();
        let is_complete = is_known && self.lacking.is_empty() && self.bad_count == 0;
        self.is_whole && !is_complete && gap.attempts < MAX_ROUNDS
    }

    /// Change of each gap, by its id. `draw` returns random numbers from 0 to 1.
    pub(crate) fn changes(&self, now: Millis, draw: impl FnMut() -> f64) -> Vec<(i64, GapChange)> {
        let is_spread = matches!(self.stop, Some(Stop::Lake(_)));
        let mut share = share_by_hour(draw);
        let gaps = self.gaps.iter();
        gaps.map(|gap| {
            let share = if is_spread { share(gap) } else { 1.0 };
            (gap.id, self.change(gap, now, share))
        })
        .collect()
    }

    /// Changes of the gaps of a run that could not be committed: one more attempt, and the position
    /// at which it began.
    pub(crate) fn uncommitted_changes(
        &self,
        now: Millis,
        error: &str,
        draw: impl FnMut() -> f64,
    ) -> Vec<(i64, GapChange)> {
        let mut share = share_by_hour(draw);
        let gaps = self.gaps.iter();
        gaps.map(|gap| {
            let attempts = failed_again(gap.attempts, true);
            let change = GapChange {
                state: GapState::Open,
                attempts,
                not_before: now.plus(delay(attempts, share(gap))),
                next_symbol: self.position.clone(),
                samples: 0,
                detail: self.detail(&gap.detail, Some(error)),
            };
            (gap.id, change)
        })
        .collect()
    }

    fn change(&self, gap: &Model, now: Millis, share: f64) -> GapChange {
        let error = match self.is_empty(gap) {
            true => Some(NO_CANDLES.to_owned()),
            false => self.error(),
        };
        let has_new_samples = self.samples_of(gap) > gap.samples;
        let mut change = GapChange {
            state: GapState::Open,
            attempts: if has_new_samples { 0 } else { gap.attempts },
            not_before: now,
            next_symbol: self.done.clone().filter(|_| !self.is_whole),
            samples: self.samples_of(gap).saturating_sub(gap.samples),
            detail: self.detail(&gap.detail, error.as_deref()),
        };
        if let Some(pause) = self.pause() {
            change.attempts = gap.attempts;
            change.not_before = now.plus(pause);
        } else if error.is_some() {
            change.attempts = failed_again(gap.attempts, self.is_away());
            change.not_before = now.plus(delay(change.attempts, share));
            if change.attempts >= MAX_ATTEMPTS && !self.is_away() {
                change.state = GapState::Lost;
            }
        } else if self.needs_round(gap) {
            change.attempts = gap.attempts.saturating_add(1);
            change.not_before = now.plus(delay(change.attempts, share));
        } else if self.is_whole {
            change.state = GapState::Filled;
        }
        change
    }

    /// Detail of a gap: what it said before, the symbols that this run skipped, and its error.
    fn detail(&self, before: &str, error: Option<&str>) -> String {
        let kept = before.split(LAST_ERROR).next().unwrap_or_default();
        let kept = kept.split(SKIPPED).next().unwrap_or_default();
        let kept = bounded(kept.trim_end_matches("; "), MAX_KEPT_CHARS);
        let symbols = || self.skipped.iter().chain(&self.lacking);
        let mut skipped = String::new();
        if symbols().next().is_some() {
            let named: Vec<&str> = symbols()
                .take(MAX_NAMED_SYMBOLS)
                .map(String::as_str)
                .collect();
            let more = match symbols().count() - named.len() {
                0 => String::new(),
                rest => format!(" and {rest} more"),
            };
            let names = bounded(&named.join(", "), MAX_SKIPPED_CHARS);
            skipped = format!("{SKIPPED}{names}{more}");
        }
        let error = error.map(|error| bounded(&format!("{LAST_ERROR}{error}"), MAX_ERROR_CHARS));
        joined(&[&kept, &skipped, error.as_deref().unwrap_or_default()])
    }
}
