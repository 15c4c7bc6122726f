//! Client of Athena: a pool of workgroups, and the queries that they run.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_athena::Client;
use aws_sdk_athena::config::retry::RetryConfig;
use aws_sdk_athena::types::ResultSet;
use marketlake_common::backoff;
use moka::future::Cache;
use object_store::path::Path;
use parking_lot::Mutex;

use super::error::{AthenaError, CallError};
use super::options::AthenaOptions;
use super::pool::{Lease, Pool};
use super::query::{Failure, FinishedQuery, Outcome, QueryContext, Throttling, fatal, retry};
use super::statement::Statement;
use super::table::Table;
use crate::catalog::upload_intents::Intents;
use crate::storage::paths;
use crate::storage::s3::bucket::Bucket;

/// Pages of a result; a longer one is read from its object.
const MAX_PAGES: usize = 3;
/// Runs of a query that fails with a retryable error.
const MAX_RUNS: u32 = 3;
const INITIAL_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(20);
/// Minimum billed bytes of a query.
const MIN_BILLED_BYTES: u64 = 10_000_000;
/// Lifetime of cached rows, while the lake does not change.
const CACHE_TTL: Duration = Duration::from_secs(3_600);

/// Client of Athena. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AthenaClient {
    pub(super) context: QueryContext,
    pool: Arc<Pool>,
    pub(super) bucket: Bucket,
    intents: Intents,
    pub(super) options: Arc<AthenaOptions>,
    cache: Cache<CacheKey, Rows>,
    cost: Arc<Mutex<QueryCost>>,
}

/// Cost of Athena's queries so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QueryCost {
    /// Queries that ended, well or not.
    pub queries: u64,
    /// Bytes that they read.
    pub scanned: u64,
    /// Price of the scanned bytes, in US dollars.
    pub dollars: f64,
}

impl QueryCost {
    fn add(&mut self, scanned: u64, dollars: f64) {
        self.queries += 1;
        self.scanned += scanned;
        self.dollars += dollars;
    }
}

impl fmt::Display for QueryCost {
    /// One line of figures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            queries,
            scanned,
            dollars,
        } = self;
        write!(
            f,
            "athena: {queries} queries read {scanned} bytes, for {dollars:.6} dollars"
        )
    }
}

/// Rows, shared by concurrent queries.
type Rows = Arc<Table>;

/// Key of cached rows: a statement, and the state of the lake.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct CacheKey {
    statement: Statement,
    state: String,
}

impl AthenaClient {
    pub(crate) fn new(
        bucket: &Bucket,
        options: AthenaOptions,
        intents: Intents,
    ) -> Result<Self, AthenaError> {
        if options.workgroups.is_empty() {
            return Err(AthenaError::NoneNamed);
        }
        let mut config = aws_sdk_athena::config::Builder::from(bucket.sdk());
        config
            .set_retry_config(Some(RetryConfig::disabled()))
            .set_endpoint_url(bucket.other_endpoint(options.endpoint.as_deref()));
        let below = || bucket.uri(&Path::from("results"));
        let output = options.output.clone().unwrap_or_else(below);
        let weigh = |key: &CacheKey, rows: &Rows| {
            let bytes = rows.bytes() + key.statement.sql.len() as u64;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Ok(Self {
            context: QueryContext {
                client: Client::from_conf(config.build()),
                database: options.database.clone(),
                output,
            },
            pool: Arc::new(Pool::new(&options.workgroups, options.max_queries.max(1))),
            bucket: bucket.clone(),
            intents,
            cache: Cache::builder()
                .max_capacity(options.cache_bytes)
                .weigher(weigh)
                .time_to_live(CACHE_TTL)
                .build(),
            options: Arc::new(options),
            cost: Arc::default(),
        })
    }

    pub(crate) fn query_cost(&self) -> QueryCost {
        *self.cost.lock()
    }

    pub(crate) fn options(&self) -> &AthenaOptions {
        &self.options
    }

    /// The rows of a statement. Concurrent calls with the same statement and state share
    /// the same rows.
    pub(crate) async fn cached_rows(
        &self,
        statement: Statement,
        state: &str,
    ) -> Result<Rows, AthenaError> {
        let key = CacheKey {
            statement: statement.clone(),
            state: state.to_owned(),
        };
        // The SDK's futures are large; those of all engines share a stack.
        let query = Box::pin(self.query(&statement));
        let made = self.cache.try_get_with(key, query);
        made.await.map_err(|error| AthenaError::clone(&error))
    }

    /// Runs a statement that gives no rows.
    pub(crate) async fn execute(&self, statement: &Statement) -> Result<(), AthenaError> {
        self.run_with_retry(statement, |_| async { Ok(()) }).await
    }

    pub(super) async fn query(&self, statement: &Statement) -> Result<Rows, AthenaError> {
        let table = self
            .run_with_retry(statement, |ended| self.fetch(ended))
            .await?;
        Ok(Arc::new(table))
    }

    /// Runs a statement, wherever and however often it takes, and takes what it left.
    async fn run_with_retry<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        statement: &Statement,
        take: impl Fn(FinishedQuery) -> F,
    ) -> Result<T, AthenaError> {
        let begun = Instant::now();
        let deadline = begun + self.options.timeout;
        let (mut throttled, mut failed) = (0, 0);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let lease = self.pool.lease(left).await?;
            let failure = match self.run_once(&lease, statement, deadline).await {
                Ok(ended) => match take(ended).await {
                    Ok(taken) => return Ok(taken),
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            match failure {
                Failure::Final(error) => return Err(error),
                Failure::Retryable(error) => {
                    failed += 1;
                    if failed == MAX_RUNS {
                        return Err(error);
                    }
                    tracing::warn!(%error, failed, "a query of Athena failed, running it again");
                }
                Failure::Call(CallError::Throttled(reason)) => {
                    throttled += 1;
                    let delay = backoff(INITIAL_BACKOFF, MAX_BACKOFF, throttled, rand::random());
                    if Instant::now() + delay >= deadline {
                        return Err(fatal(CallError::Throttled(reason), begun.elapsed()));
                    }
                    lease.back_off(delay);
                }
                Failure::Call(CallError::Workgroup(reason)) => lease.drain(&reason),
                Failure::Call(error) => return Err(fatal(error, begun.elapsed())),
            }
        }
    }

    async fn run_once(
        &self,
        lease: &Lease,
        statement: &Statement,
        deadline: Instant,
    ) -> Result<FinishedQuery, Failure> {
        let begun = Instant::now();
        let running = self.context.run(lease.workgroup(), statement, deadline);
        let Outcome { scanned, ended } = running.await?;
        let dollars = self.dollars(scanned);
        lease.count(scanned, dollars, begun.elapsed());
        self.cost.lock().add(scanned, dollars);
        tracing::info!(
            query = ended.as_ref().map_or("", |ended| &ended.id),
            workgroup = lease.workgroup(),
            scanned_bytes = scanned,
            dollars,
            taken_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "a query of Athena ended"
        );
        if let Ok(FinishedQuery { location, .. }) = &ended {
            self.record_result(location.as_deref()).await;
        }
        ended
    }

    /// Records a result that lies in the lake's own folder as an upload that vacuum may delete.
    /// If that fails, or the process dies before, a lifecycle rule of the bucket must delete it.
    async fn record_result(&self, location: Option<&str>) {
        let root = self.bucket.uri(&Path::default());
        let key = location.and_then(|location| location.strip_prefix(&root));
        let Some(key) = key.map(|key| key.trim_start_matches('/')) else {
            return;
        };
        let keys = [Path::from(key), Path::from(format!("{key}.metadata"))];
        if !paths::is_result(&keys[0]) {
            return;
        }
        if let Err(error) = self.intents.record(&keys).await {
            tracing::warn!(%error, key, "a result of Athena is left to the bucket's lifecycle \
                rule");
        }
    }

    /// Price of a query: ten megabytes at the least.
    #[expect(clippy::cast_precision_loss, reason = "a price in dollars")]
    fn dollars(&self, scanned: u64) -> f64 {
        let paid = match scanned {
            0 => 0,
            scanned => scanned.max(MIN_BILLED_BYTES),
        };
        paid as f64 * self.options.price_per_tb / 1e12
    }

    /// The rows of a query: by pages, or where there are many from the object that holds them all.
    pub(super) async fn fetch(&self, ended: FinishedQuery) -> Result<Table, Failure> {
        let mut table = Table::default();
        let mut token = None;
        for _ in 0..MAX_PAGES {
            let page = retry(Throttling::Waits, || async {
                let client = &self.context.client;
                let get = client.get_query_results().query_execution_id(&ended.id);
                let get = get.max_results(1_000).set_next_token(token.clone());
                get.send()
                    .await
                    .map_err(|error| CallError::from_sdk(&error))
            });
            let page = match page.await {
                // Its object is not there any more.
                Err(CallError::Refused(reason)) => return Err(gone(&ended, reason)),
                page => page?,
            };
            let rows = page.result_set().map(ResultSet::rows);
            table
                .page(rows.unwrap_or_default())
                .map_err(Failure::Final)?;
            match page.next_token {
                None => return Ok(table),
                more => token = more,
            }
        }
        let location = ended.location.as_deref().unwrap_or_default();
        let bytes = self.bucket.read_uri(location).await;
        let bytes = bytes.map_err(|reason| gone(&ended, reason))?;
        Table::csv(&bytes).map_err(Failure::Final)
    }
}

/// A result that cannot be read: the query is run again.
fn gone(ended: &FinishedQuery, reason: String) -> Failure {
    Failure::Retryable(AthenaError::ResultGone {
        id: ended.id.clone(),
        location: ended.location.clone().unwrap_or_default(),
        reason,
    })
}
