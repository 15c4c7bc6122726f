//! `fill-gaps`: minutes that were missed, polled or incomplete, and exchanges on loopback that have
//! them in their history.

mod failures;
mod market;

use std::sync::Arc;
use std::time::Duration;

use marketlake_entities::database;
use marketlake_entities::records::gaps::{self, GapReason, GapState, Model};
use marketlake_entities::records::job_runs::JobRunState;
use marketlake_feeds::{Batch, Coverage, Feed, FeedError};
use marketlake_jobs::{
    FillGaps, IngestMinute, Job, PlannedSlot, PlanningTime, RunOnce, Runner, Source, slots,
};
use marketlake_lake::{Lake, QueryEngine, Span};
use marketlake_model::{Millis, Minute, Sample};
use sea_orm::ConnectionTrait;
use tokio_util::sync::CancellationToken;

use self::market::{BASES, Market, price};
use crate::support::DEEP;
use crate::support::base::{Base, on_both};
use crate::support::eventually;
use crate::support::program::Program;
use crate::support::samples::{last_minute, metric};

/// Makes all open gaps due.
const DUE: &str = "update gaps set not_before = 0 where state = 'open'";

/// A lake, and the job over some sources.
struct Fixture {
    lake: Arc<Lake>,
    job: FillGaps,
}

impl Fixture {
    async fn on(base: &Base, sources: &[Source]) -> Self {
        let lake = base.lake().await;
        let job = FillGaps::new(Arc::clone(&lake), sources);
        Self { lake, job }
    }

    async fn now(&self) -> Millis {
        database::clock(self.lake.database()).await.unwrap()
    }

    /// Enters minutes so many minutes ago as missed.
    async fn miss(&self, minutes_ago: &[i64]) -> Minute {
        let now = self.now().await;
        let missed = minutes_ago.iter().map(|ago| PlannedSlot {
            state: JobRunState::Missed,
            ..PlannedSlot::pending(now.minute().plus(-ago).start())
        });
        let missed: Vec<PlannedSlot> = missed.collect();
        slots::enqueue(self.lake.database(), IngestMinute::NAME, &missed, now)
            .await
            .unwrap();
        now.minute()
    }

    /// Number of slots that are planned now.
    async fn planned(&self) -> usize {
        let now = self.now().await;
        let minute = now.minute();
        let planned = self.job.plan(PlanningTime { now, minute }).await;
        planned.unwrap().len()
    }

    async fn run(&self, job: &dyn Job, slot: Minute) -> RunOnce {
        self.run_shard(job, slot, 0).await
    }

    async fn run_shard(&self, job: &dyn Job, slot: Minute, shard: i32) -> RunOnce {
        let stop = CancellationToken::new();
        let runner = Runner::new(self.lake.database().clone(), "one".to_owned(), stop);
        let ran = runner.run_once(job, slot.start(), shard, true).await;
        ran.unwrap()
    }

    /// Runs the job once, whether it ran before or not.
    async fn fill(&self) {
        let ran = self.run(&self.job, self.now().await.minute()).await;
        assert!(matches!(ran, RunOnce::Done(_)), "{ran:?}");
    }

    /// Executes a statement on the table of gaps.
    async fn change(&self, sql: &str) {
        let database = self.lake.database();
        database.execute_unprepared(sql).await.unwrap();
    }

    /// Gaps of a market, oldest first.
    async fn gaps(&self, market: &str) -> Vec<Model> {
        let now = self.now().await.minute();
        gaps::of_market(self.lake.database(), market, now.plus(-1_440), now)
            .await
            .unwrap()
    }

    /// Values of a metric in a minute, as text.
    async fn values(&self, id: &str, minute: Minute) -> Vec<String> {
        let span = Span {
            from: minute,
            to: minute,
        };
        let points = self.lake.engine().timeseries(&metric(id), span).await;
        let values = points.unwrap().into_iter();
        values.map(|point| point.value.to_string()).collect()
    }
}

fn states(gaps: &[Model]) -> Vec<GapState> {
    gaps.iter().map(|gap| gap.state).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn missed_minutes_are_filled_newest_first() {
    on_both(async |base: Base| {
        let market = Market::start().await;
        let fixture = Fixture::on(&base, &[market.source("binance")]).await;
        let now = fixture.miss(&[40, 32, 31, 30]).await;
        assert_eq!(fixture.planned().await, 1);
        fixture.fill().await;
        let found = fixture.gaps("binance").await;
        let filled = GapState::Filled;
        assert_eq!(states(&found), [GapState::Open, filled, filled, filled]);
        assert!(found.iter().all(|gap| gap.reason == GapReason::Missed));
        assert_eq!(found[3].samples, 15);
        // One request a pair for all three minutes.
        let first = BASES.map(|base| (format!("{base}USDT"), now.plus(-32)));
        let mut requested = market.requested();
        requested.sort();
        assert_eq!(requested, first);
        let last = now.plus(-30);
        let expected = [
            ("binance:btcusdt", format!("{}.5", price(last.number()))),
            (
                "binance:btcusdt:high",
                (price(last.number()) + 1).to_string(),
            ),
            ("binance:btcusdt:low", "0.5".to_owned()),
            ("binance:btcusdt:volume", "0.25".to_owned()),
            ("binance:btcusdt:trades", "3".to_owned()),
        ];
        for (id, value) in expected {
            assert_eq!(fixture.values(id, last).await, [value], "{id}");
        }
        assert_eq!(fixture.planned().await, 1, "one is left");
        fixture.fill().await;
        assert_eq!(states(&fixture.gaps("binance").await), [filled; 4]);
        assert_eq!(fixture.planned().await, 0);
        assert_eq!(fixture.lake.stats().await.unwrap().samples, 4 * 15);
        let report = fixture.lake.maintenance().check(DEEP).await.unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_polled_minute_is_corrected_within_five_minutes_and_has_its_volume() {
    on_both(async |base: Base| {
        let market = Market::start().await;
        let sources = vec![market.source("binance")];
        let fixture = Fixture::on(&base, &sources).await;
        let ingest = IngestMinute::new(Arc::clone(&fixture.lake), sources, None);
        let minute = last_minute().await;
        let ran = fixture.run(&ingest, minute).await;
        assert!(matches!(ran, RunOnce::Done(_)), "{ran:?}");
        assert_eq!(fixture.values("binance:btcusdt", minute).await, ["1"]);
        let gap = fixture.gaps("binance").await.remove(0);
        assert_eq!((gap.reason, gap.state), (GapReason::Polled, GapState::Open));
        // Two runs of a minute are left until five minutes after its end.
        assert!(gap.not_before <= minute.plus(4).start(), "{gap:?}");
        fixture.change(DUE).await;
        fixture.fill().await;
        let price = format!("{}.5", price(minute.number()));
        assert_eq!(fixture.values("binance:btcusdt", minute).await, [price]);
        let volume = fixture.values("binance:btcusdt:volume", minute).await;
        assert_eq!(volume, ["0.25"]);
        assert_eq!(states(&fixture.gaps("binance").await), [GapState::Filled]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_object_and_commit_leaves_the_gap_to_the_next_run() {
    on_both(async |base: Base| {
        let market = Market::start().await;
        let fixture = Fixture::on(&base, &[market.source("binance")]).await;
        fixture.miss(&[30]).await;
        let url = &market.served.url;
        let feeds = format!("[{{kind=\"binance\",base_url=\"{url}\"}}]");
        let program = Program::on(&base).with("MARKETLAKE_FEEDS", feeds);
        let stopping = program
            .clone()
            .with("FAILPOINTS", "between-history-and-commit=pause");
        let mut doomed = stopping.start(&["run", "fill-gaps"]);
        eventually("an object", async || {
            (!base.object_files().is_empty()).then_some(())
        })
        .await;
        doomed.kill();
        assert_eq!(states(&fixture.gaps("binance").await), [GapState::Open]);
        assert_eq!(fixture.lake.stats().await.unwrap().samples, 0);
        let over = "update job_runs set lease_until = 1 where state = 'running'";
        let database = fixture.lake.database();
        database.execute_unprepared(over).await.unwrap();
        let out = program.ok(&["run", "fill-gaps"]).await;
        assert!(out.contains(r#""added":15"#), "{out}");
        assert_eq!(states(&fixture.gaps("binance").await), [GapState::Filled]);
        assert_eq!(fixture.lake.stats().await.unwrap().samples, 15);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_one_exchange_requests_does_not_hold_another_back() {
    on_both(async |base: Base| {
        let (binance, bybit) = (Market::start().await, Market::start().await);
        binance.faults.lock().throttled = true;
        let sources = [binance.source("binance"), bybit.source("bybit")];
        let fixture = Fixture::on(&base, &sources).await;
        fixture.miss(&[40, 30]).await;
        assert_eq!(fixture.planned().await, 1);
        let begun = fixture.now().await;
        fixture.fill().await;
        fixture.fill().await;
        let filled = [GapState::Filled, GapState::Filled];
        assert_eq!(states(&fixture.gaps("bybit").await), filled);
        let paused = fixture.gaps("binance").await;
        let pause_end = begun.plus(Duration::from_secs(590));
        for gap in &paused {
            assert_eq!((gap.state, gap.attempts), (GapState::Open, 0));
            assert!(gap.not_before >= pause_end, "{gap:?}");
        }
        assert_eq!(binance.served.requests().len(), 1);
        assert_eq!(fixture.planned().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_behind_the_symbols_that_are_done() {
    on_both(async |base: Base| {
        let market = Market::start().await;
        market.faults.lock().slow = vec!["ETHUSDT"];
        let mut fixture = Fixture::on(&base, &[market.source("binance")]).await;
        fixture.job = fixture.job.with_request_time(Duration::from_secs(3));
        fixture.miss(&[30]).await;
        assert_eq!(fixture.planned().await, 1);
        fixture.fill().await;
        let gap = fixture.gaps("binance").await.remove(0);
        assert_eq!((gap.state, gap.samples), (GapState::Open, 10));
        assert_eq!(gap.next_symbol.as_deref(), Some("BTCUSDT"));
        market.faults.lock().slow = Vec::new();
        let before = market.requested().len();
        fixture.fill().await;
        // A last look finds that no pair lacks candles.
        fixture.change(DUE).await;
        fixture.fill().await;
        let gap = fixture.gaps("binance").await.remove(0);
        assert_eq!((gap.state, gap.samples), (GapState::Filled, 15));
        let again = market.requested().split_off(before);
        let symbols: Vec<&str> = again.iter().map(|(symbol, _)| symbol.as_str()).collect();
        assert_eq!(symbols, ["ETHUSDT"]);
    })
    .await;
}

/// A feed that has some pairs of a minute, or none.
struct Partial {
    name: &'static str,
    ids: &'static [&'static str],
    incomplete: u64,
}

#[async_trait::async_trait]
impl Feed for Partial {
    fn name(&self) -> &str {
        self.name
    }

    fn coverage(&self) -> Coverage {
        Coverage::Historical
    }

    async fn samples(&self, ts: Minute) -> Result<Batch, FeedError> {
        let mut batch = Batch::default();
        for id in self.ids {
            let (metric, value) = (metric(id), "7".parse().unwrap());
            batch.keep(id, Sample { metric, ts, value });
        }
        batch.incomplete = self.incomplete;
        match self.ids {
            [] => Err(FeedError::Unreachable {
                url: self.name.to_owned(),
                reason: "gone".to_owned(),
            }),
            _ => Ok(batch),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_incomplete_minute_only_the_missing_pairs_are_requested() {
    on_both(async |base: Base| {
        let market = Market::start().await;
        let sources = vec![market.source_with(Partial {
            name: "binance",
            ids: &["binance:adausdt", "binance:ethusdt"],
            incomplete: 1,
        })];
        let fixture = Fixture::on(&base, &sources).await;
        let ingest = IngestMinute::new(Arc::clone(&fixture.lake), sources, None);
        let minute = fixture.now().await.minute().plus(-30);
        fixture.run(&ingest, minute).await;
        assert_eq!(fixture.planned().await, 1);
        fixture.fill().await;
        assert_eq!(market.requested(), [("BTCUSDT".to_owned(), minute)]);
        let gap = fixture.gaps("binance").await.remove(0);
        assert_eq!(
            (gap.reason, gap.state),
            (GapReason::Incomplete, GapState::Filled)
        );
        assert_eq!(gap.detail, "pairs that were not complete: 1");
        assert_eq!(fixture.values("binance:adausdt", minute).await, ["7"]);
        let price = format!("{}.5", price(minute.number()));
        assert_eq!(fixture.values("binance:btcusdt", minute).await, [price]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_market_without_history_loses_its_minutes_and_says_so() {
    on_both(async |base: Base| {
        let market = Market::start().await;
        let failing = Partial {
            name: "binance",
            ids: &[],
            incomplete: 0,
        };
        let other = Partial {
            name: "cryptowatch",
            ids: &["cryptowatch:btcusd"],
            incomplete: 0,
        };
        let sources = vec![market.source_with(failing), Source::whole(Arc::new(other))];
        let fixture = Fixture::on(&base, &sources).await;
        let ingest = IngestMinute::new(Arc::clone(&fixture.lake), sources, None);
        let now = fixture.miss(&[31]).await;
        fixture.run(&ingest, now.plus(-30)).await;
        assert_eq!(fixture.planned().await, 1);
        let gaps = fixture.gaps("binance").await;
        let reasons: Vec<GapReason> = gaps.iter().map(|gap| gap.reason).collect();
        assert_eq!(reasons, [GapReason::Missed, GapReason::FeedFailed]);
        assert!(gaps[1].detail.contains("gone"), "{gaps:?}");
        let lost = fixture.gaps("cryptowatch").await;
        assert_eq!(states(&lost), [GapState::Lost]);
        let reason = "no worker claimed it in time; cryptowatch has no history to fill it from";
        assert_eq!(lost[0].detail, reason);
        fixture.fill().await;
        assert_eq!(
            states(&fixture.gaps("binance").await),
            [GapState::Filled; 2]
        );
        assert_eq!(fixture.planned().await, 0);
    })
    .await;
}
