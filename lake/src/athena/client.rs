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

use super::error::{AthenaError, Trouble};
use super::options::AthenaOptions;
use super::pool::{Lease, Pool};
use super::query::{Ended, Failure, Outcome, Terms, Throttling, again, fatal};
use super::statement::Statement;
use super::table::Table;
use crate::catalog::upload_intents::Intents;
use crate::storage::paths;
use crate::storage::s3::bucket::Bucket;

/// A result of more pages is read from its object at once.
const MOST_PAGES: usize = 3;
/// A query that failed by itself is begun so often.
const RUNS: u32 = 3;
const FIRST_REST: Duration = Duration::from_millis(200);
const LONGEST_REST: Duration = Duration::from_secs(20);
/// The least that is paid for.
const LEAST_BYTES: u64 = 10_000_000;
/// Rows are given again for so long, while the lake stays as it is.
const KEPT: Duration = Duration::from_secs(3_600);

/// Who asks Athena. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AthenaClient {
    pub(super) terms: Terms,
    pool: Arc<Pool>,
    pub(super) bucket: Bucket,
    intents: Intents,
    pub(super) options: Arc<AthenaOptions>,
    kept: Cache<Question, Rows>,
    spent: Arc<Mutex<Spent>>,
}

/// What was asked of Athena so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Queries that ended, well or not.
    pub queries: u64,
    /// Bytes that they read.
    pub scanned: u64,
    /// What that costs, in US dollars.
    pub dollars: f64,
}

impl Spent {
    fn add(&mut self, scanned: u64, dollars: f64) {
        self.queries += 1;
        self.scanned += scanned;
        self.dollars += dollars;
    }
}

impl fmt::Display for Spent {
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

/// Rows that are shared by all who asked.
type Rows = Arc<Table>;

/// What is asked, of which state of the lake.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
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
        let weigh = |question: &Question, rows: &Rows| {
            let bytes = rows.bytes() + question.statement.sql.len() as u64;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Ok(Self {
            terms: Terms {
                client: Client::from_conf(config.build()),
                database: options.database.clone(),
                output,
            },
            pool: Arc::new(Pool::new(&options.workgroups, options.most_queries.max(1))),
            bucket: bucket.clone(),
            intents,
            kept: Cache::builder()
                .max_capacity(options.kept_bytes)
                .weigher(weigh)
                .time_to_live(KEPT)
                .build(),
            options: Arc::new(options),
            spent: Arc::default(),
        })
    }

    pub(crate) fn spent(&self) -> Spent {
        *self.spent.lock()
    }

    pub(crate) fn options(&self) -> &AthenaOptions {
        &self.options
    }

    /// The rows of a statement. Who asks the same of the same state of the lake waits for, or gets, the same rows.
    pub(crate) async fn rows(
        &self,
        statement: Statement,
        state: &str,
    ) -> Result<Rows, AthenaError> {
        let question = Question {
            statement: statement.clone(),
            state: state.to_owned(),
        };
        // The SDK's futures are large; those of all engines share a stack.
        let asking = Box::pin(self.ask(&statement));
        let made = self.kept.try_get_with(question, asking);
        made.await.map_err(|error| AthenaError::clone(&error))
    }

    /// Runs a statement that gives no rows.
    pub(crate) async fn execute(&self, statement: &Statement) -> Result<(), AthenaError> {
        self.ended(statement, |_| async { Ok(()) }).await
    }

    pub(super) async fn ask(&self, statement: &Statement) -> Result<Rows, AthenaError> {
        let table = self.ended(statement, |ended| self.fetch(ended)).await?;
        Ok(Arc::new(table))
    }

    /// Runs a statement, wherever and however often it takes, and takes what it left.
    async fn ended<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        statement: &Statement,
        take: impl Fn(Ended) -> F,
    ) -> Result<T, AthenaError> {
        let begun = Instant::now();
        let deadline = begun + self.options.patience;
        let (mut throttled, mut failed) = (0, 0);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let lease = self.pool.lease(left).await?;
            let failure = match self.once(&lease, statement, deadline).await {
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
                    if failed == RUNS {
                        return Err(error);
                    }
                    tracing::warn!(%error, failed, "a query of Athena failed, running it again");
                }
                Failure::Call(Trouble::Throttled(reason)) => {
                    throttled += 1;
                    let rest = backoff(FIRST_REST, LONGEST_REST, throttled, rand::random());
                    if Instant::now() + rest >= deadline {
                        return Err(fatal(Trouble::Throttled(reason), begun.elapsed()));
                    }
                    lease.rest(rest);
                }
                Failure::Call(Trouble::Workgroup(reason)) => lease.drain(&reason),
                Failure::Call(trouble) => return Err(fatal(trouble, begun.elapsed())),
            }
        }
    }

    async fn once(
        &self,
        lease: &Lease,
        statement: &Statement,
        deadline: Instant,
    ) -> Result<Ended, Failure> {
        let begun = Instant::now();
        let running = self.terms.run(lease.workgroup(), statement, deadline);
        let Outcome { scanned, ended } = running.await?;
        let dollars = self.dollars(scanned);
        lease.count(scanned, dollars, begun.elapsed());
        self.spent.lock().add(scanned, dollars);
        tracing::info!(
            query = ended.as_ref().map_or("", |ended| &ended.id),
            workgroup = lease.workgroup(),
            scanned_bytes = scanned,
            dollars,
            taken_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "a query of Athena ended"
        );
        if let Ok(Ended { location, .. }) = &ended {
            self.note_result(location.as_deref()).await;
        }
        ended
    }

    /// Records a result that lies in the lake's own folder as an upload that vacuum may delete. Where
    /// that fails, or the process dies before, a lifecycle rule of the bucket has to.
    async fn note_result(&self, location: Option<&str>) {
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
            tracing::warn!(%error, key, "a result of Athena is left to the bucket's lifecycle rule");
        }
    }

    /// What a query costs: ten megabytes at the least.
    #[expect(clippy::cast_precision_loss, reason = "a price in dollars")]
    fn dollars(&self, scanned: u64) -> f64 {
        let paid = match scanned {
            0 => 0,
            scanned => scanned.max(LEAST_BYTES),
        };
        paid as f64 * self.options.price / 1e12
    }

    /// The rows of a query: by pages, or where there are many from the object that holds them all.
    pub(super) async fn fetch(&self, ended: Ended) -> Result<Table, Failure> {
        let mut table = Table::default();
        let mut token = None;
        for _ in 0..MOST_PAGES {
            let page = again(Throttling::Waits, || async {
                let client = &self.terms.client;
                let get = client.get_query_results().query_execution_id(&ended.id);
                let get = get.max_results(1_000).set_next_token(token.clone());
                get.send().await.map_err(|error| Trouble::of(&error))
            });
            let page = match page.await {
                // Its object is not there any more.
                Err(Trouble::Refused(reason)) => return Err(gone(&ended, reason)),
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
fn gone(ended: &Ended, reason: String) -> Failure {
    Failure::Retryable(AthenaError::ResultGone {
        id: ended.id.clone(),
        location: ended.location.clone().unwrap_or_default(),
        reason,
    })
}
