//! Execution of one query, from its start to its end.

use std::time::{Duration, Instant};

use aws_sdk_athena::Client;
use aws_sdk_athena::types::{
    AthenaError as AwsError, QueryExecution, QueryExecutionContext, QueryExecutionState,
    QueryExecutionStatistics, ResultConfiguration,
};
use marketlake_common::{RetryPolicy, backoff};
use tokio::runtime::Handle;
use tokio::time::sleep;
use uuid::Uuid;

use super::error::{AthenaError, CallError};
use super::statement::Statement;

/// Attempts at one call whose answers are lost.
const MAX_ATTEMPTS: u32 = 5;
/// Attempts at one that is throttled and waits: some minute.
const MAX_THROTTLED_ATTEMPTS: u32 = 16;
const POLICY: RetryPolicy = RetryPolicy {
    initial_backoff: Duration::from_millis(100),
    max_backoff: Duration::from_secs(5),
};
/// Poll intervals for the end of a query.
const INITIAL_POLL_INTERVAL: Duration = Duration::from_millis(20);
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Client, database and result location of queries.
#[derive(Clone)]
pub(super) struct QueryContext {
    pub(super) client: Client,
    pub(super) database: String,
    pub(super) output: String,
}

/// A query that has ended well.
#[derive(Debug)]
pub(super) struct FinishedQuery {
    pub(super) id: String,
    /// Location of the object with its rows.
    pub(super) location: Option<String>,
}

/// A query that has ended, well or not.
pub(super) struct Outcome {
    /// Bytes, which are paid for however it ended.
    pub(super) scanned: u64,
    pub(super) ended: Result<FinishedQuery, Failure>,
}

/// Failure of a query.
pub(super) enum Failure {
    /// As a call, so that another workgroup or another attempt may do.
    Call(CallError),
    /// It ran and failed; Athena says that another attempt may do.
    Retryable(AthenaError),
    /// Final: no retry helps.
    Final(AthenaError),
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// Stops the query on drop, unless it has ended.
struct QueryGuard {
    client: Client,
    id: Option<String>,
}

impl QueryContext {
    /// Runs a statement until it has ended.
    pub(super) async fn run(
        &self,
        workgroup: &str,
        statement: &Statement,
        deadline: Instant,
    ) -> Result<Outcome, Failure> {
        let id = self.start(workgroup, statement).await?;
        let mut guard = QueryGuard {
            client: self.client.clone(),
            id: Some(id.clone()),
        };
        let begun = Instant::now();
        let mut polls = 0;
        let execution = loop {
            let execution = self.poll(&id).await?;
            let status = execution.status();
            let state = status.and_then(|status| status.state());
            let goes_on = [QueryExecutionState::Queued, QueryExecutionState::Running];
            if !state.is_some_and(|state| goes_on.contains(state)) {
                break execution;
            }
            if Instant::now() >= deadline {
                let seconds = begun.elapsed().as_secs();
                return Err(Failure::Final(AthenaError::Slow { id, seconds }));
            }
            polls += 1;
            sleep(backoff(
                INITIAL_POLL_INTERVAL,
                MAX_POLL_INTERVAL,
                polls,
                rand::random(),
            ))
            .await;
        };
        guard.id = None;
        let statistics = execution.statistics();
        let scanned = statistics.and_then(QueryExecutionStatistics::data_scanned_in_bytes);
        Ok(Outcome {
            scanned: u64::try_from(scanned.unwrap_or(0)).unwrap_or(0),
            ended: ended(id, &execution),
        })
    }

    /// Begins a query. Where an answer is lost the same token finds the query that was begun.
    async fn start(&self, workgroup: &str, statement: &Statement) -> Result<String, CallError> {
        let token = Uuid::new_v4().to_string();
        let context = QueryExecutionContext::builder().database(&self.database);
        let results = ResultConfiguration::builder().output_location(&self.output);
        let parameters = &statement.parameters;
        // A throttled workgroup leaves the query to another one.
        let started = retry(Throttling::Ends, || async {
            let start = self.client.start_query_execution();
            let start = start
                .query_string(&statement.sql)
                .set_execution_parameters((!parameters.is_empty()).then(|| parameters.clone()))
                .query_execution_context(context.clone().build())
                .result_configuration(results.clone().build())
                .work_group(workgroup)
                .client_request_token(&token);
            start
                .send()
                .await
                .map_err(|error| CallError::from_sdk(&error))
        });
        let started = started.await?;
        let id = started.query_execution_id().map(str::to_owned);
        id.ok_or_else(|| CallError::Lost("a query without an id".to_owned()))
    }

    async fn poll(&self, id: &str) -> Result<QueryExecution, CallError> {
        let found = retry(Throttling::Waits, || async {
            let look = self.client.get_query_execution().query_execution_id(id);
            look.send()
                .await
                .map_err(|error| CallError::from_sdk(&error))
        });
        let execution = found.await?.query_execution;
        execution.ok_or_else(|| CallError::Lost(format!("nothing is said of query {id}")))
    }
}

/// Handling of a throttled call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Throttling {
    /// It is made again later: what it is about is paid for already.
    Waits,
    /// It is left.
    Ends,
}

/// Tries a call again whose answer was lost, or whose credentials had ended; each time a little
/// later.
pub(super) async fn retry<T, F: Future<Output = Result<T, CallError>>>(
    throttling: Throttling,
    call: impl Fn() -> F,
) -> Result<T, CallError> {
    let max_attempts = |error: &CallError, failures| {
        let attempts = match error {
            CallError::Lost(_) | CallError::Credentials(_) => MAX_ATTEMPTS,
            CallError::Throttled(_) if throttling == Throttling::Waits => MAX_THROTTLED_ATTEMPTS,
            _ => 1,
        };
        if failures < attempts {
            tracing::warn!(?error, failures, "a call of Athena failed, trying again");
        }
        attempts
    };
    POLICY.retry(call, max_attempts).await
}

/// Outcome of a query that has ended.
fn ended(id: String, execution: &QueryExecution) -> Result<FinishedQuery, Failure> {
    let status = execution.status();
    let reason = status.and_then(|status| status.state_change_reason());
    let reason = reason.unwrap_or("no reason is given").to_owned();
    if status.and_then(|status| status.state()) == Some(&QueryExecutionState::Succeeded) {
        let results = execution.result_configuration();
        return Ok(FinishedQuery {
            id,
            location: results.and_then(|r| r.output_location()).map(str::to_owned),
        });
    }
    let lower = reason.to_lowercase();
    if lower.contains("bytes scanned limit") {
        return Err(Failure::Final(AthenaError::ScanLimit { id, reason }));
    }
    let missing = ["table_not_found", "schema_not_found", "column_not_found"];
    if missing.iter().any(|name| lower.contains(name)) {
        return Err(Failure::Final(AthenaError::NotSetUp(reason)));
    }
    let error = status.and_then(|status| status.athena_error());
    let failed = AthenaError::Failed { id, reason };
    Err(if error.is_some_and(AwsError::retryable) {
        Failure::Retryable(failed)
    } else {
        Failure::Final(failed)
    })
}

impl Drop for QueryGuard {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id.take(), Handle::try_current()) else {
            return;
        };
        let client = self.client.clone();
        runtime.spawn(async move {
            let stopped = retry(Throttling::Waits, || async {
                let stop = client.stop_query_execution().query_execution_id(&id);
                stop.send()
                    .await
                    .map_err(|error| CallError::from_sdk(&error))
            });
            if let Err(error) = stopped.await {
                tracing::warn!(?error, query = id, "a query of Athena could not be stopped");
            }
        });
    }
}

/// The error of a call that no other attempt mends.
pub(super) fn fatal(error: CallError, tried: Duration) -> AthenaError {
    match error {
        CallError::Throttled(reason) => AthenaError::Busy {
            seconds: tried.as_secs(),
            reason,
        },
        CallError::Lost(reason) => AthenaError::Unreachable(reason),
        CallError::Credentials(reason) => AthenaError::Credentials(reason),
        CallError::Workgroup(reason) => AthenaError::NoWorkgroup(reason),
        CallError::Refused(reason) => AthenaError::Unexpected(reason),
    }
}
