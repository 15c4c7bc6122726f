//! Statements on the slot table. All times are by the [`Clock`], which is the clock of the
//! database as long as that runs steadily.

use std::time::Duration;

use marketlake_entities::clock::Clock;
use marketlake_entities::database;
use marketlake_entities::records::job_runs::{ActiveModel, Column, Entity, JobRunState, Model};
use marketlake_model::Millis;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, FromQueryResult, NotSet,
    QueryFilter, QueryOrder, QuerySelect, Set, Statement, Value,
};

use crate::job::{Dependency, JobContext, PlannedSlot};

/// Condition of the index over runs that are not done yet, in its words.
const OPEN: &str = "r.state in ('pending', 'running')";

/// Lease of a slot: time for which a worker holds it without renewing.
pub const LEASE: Duration = Duration::from_secs(30);

/// Inserts slots that are not there yet. Returns the number of new ones.
///
/// # Errors
/// If the database fails.
pub async fn enqueue(
    connection: &impl ConnectionTrait,
    job: &str,
    due: &[PlannedSlot],
    now: Millis,
) -> Result<u64, DbErr> {
    let rows = due.iter().map(|due| row(job, *due, now)).collect();
    let once = OnConflict::columns([Column::Job, Column::Slot, Column::Shard])
        .do_nothing()
        .to_owned();
    let entered = database::insert_all(connection, rows, Some(once)).await?;
    for due in due.iter().filter(|due| due.reopen) {
        // A slot that was given up stays so until a person requests it again.
        reopen(
            connection,
            job,
            due.slot,
            due.shard,
            &[JobRunState::Done],
            now,
        )
        .await?;
    }
    Ok(entered)
}

fn row(job: &str, due: PlannedSlot, now: Millis) -> ActiveModel {
    ActiveModel {
        id: NotSet,
        job: Set(job.to_owned()),
        slot: Set(due.slot),
        shard: Set(due.shard),
        state: Set(due.state),
        token: Set(0),
        attempts: Set(0),
        not_before: Set(now),
        lease_until: Set(None),
        worker: Set(None),
        outcome: Set(None),
        error: Set(
            (due.state == JobRunState::Missed).then(|| "no worker claimed it in time".to_owned())
        ),
        created_at: Set(now),
        started_at: Set(None),
        finished_at: Set((due.state == JobRunState::Missed).then_some(now)),
    }
}

/// The states in which a slot has ended.
pub const ENDED: [JobRunState; 3] = [JobRunState::Done, JobRunState::Failed, JobRunState::Missed];

/// Makes a slot that is in one of some states due again. Returns whether it was.
///
/// # Errors
/// If the database fails.
pub async fn reopen(
    connection: &impl ConnectionTrait,
    job: &str,
    slot: Millis,
    shard: i32,
    from: &[JobRunState],
    now: Millis,
) -> Result<bool, DbErr> {
    let result = Entity::update_many()
        .col_expr(Column::State, Expr::value(JobRunState::Pending))
        .col_expr(Column::Attempts, Expr::value(0))
        .col_expr(Column::NotBefore, Expr::value(now.0))
        .filter(Column::Job.eq(job))
        .filter(Column::Slot.eq(slot))
        .filter(Column::Shard.eq(shard))
        .filter(Column::State.is_in(from.iter().copied()))
        .exec(connection)
        .await?;
    Ok(result.rows_affected == 1)
}

/// A slot's row.
///
/// # Errors
/// If the database fails.
pub async fn find(
    connection: &impl ConnectionTrait,
    job: &str,
    slot: Millis,
    shard: i32,
) -> Result<Option<Model>, DbErr> {
    Entity::find()
        .filter(Column::Job.eq(job))
        .filter(Column::Slot.eq(slot))
        .filter(Column::Shard.eq(shard))
        .one(connection)
        .await
}

/// The oldest slot of a job that is pending or running.
///
/// # Errors
/// If the database fails.
pub async fn oldest_open(
    connection: &impl ConnectionTrait,
    job: &str,
) -> Result<Option<Model>, DbErr> {
    Entity::find()
        .filter(Column::Job.eq(job))
        .filter(Column::State.is_in([JobRunState::Pending, JobRunState::Running]))
        .order_by_asc(Column::Slot)
        .one(connection)
        .await
}

/// Lists the shards of a slot: number and state of each.
///
/// # Errors
/// If the database fails.
pub async fn shards(
    connection: &impl ConnectionTrait,
    job: &str,
    slot: Millis,
) -> Result<Vec<(i32, JobRunState)>, DbErr> {
    Entity::find()
        .select_only()
        .column(Column::Shard)
        .column(Column::State)
        .filter(Column::Job.eq(job))
        .filter(Column::Slot.eq(slot))
        .order_by_asc(Column::Shard)
        .into_tuple()
        .all(connection)
        .await
}

/// The latest slot of a job, up to a time, that is in the table.
///
/// # Errors
/// If the database fails.
pub async fn latest(
    connection: &impl ConnectionTrait,
    job: &str,
    up_to: Millis,
) -> Result<Option<Millis>, DbErr> {
    let latest: Option<Option<i64>> = Entity::find()
        .select_only()
        .column_as(Column::Slot.max(), "latest")
        .filter(Column::Job.eq(job))
        .filter(Column::Slot.lte(up_to))
        .into_tuple()
        .one(connection)
        .await?;
    Ok(latest.flatten().map(Millis))
}

/// Takes the oldest slot of a job that may be begun, or one whose worker's lease ran out.
///
/// # Errors
/// If the database fails.
pub async fn claim(
    database: &DatabaseConnection,
    job: &str,
    worker: &str,
    dependencies: &[Dependency],
    clock: &Clock,
) -> Result<Option<JobContext>, DbErr> {
    let now = clock.now(database).await?;
    let (at, expired) = (now.0, lease_expiry(clock, now));
    let mut condition = format!(
        "r.job = $2 and {OPEN} and ((r.state = 'pending' and r.not_before <= {at}) or (r.state = \
         'running' and r.lease_until < {expired}))"
    );
    for Dependency {
        job,
        from_ms,
        to_ms,
    } in dependencies
    {
        // Constants of ours, not a user's words.
        condition += &format!(
            " and not exists (select 1 from job_runs e \
             where e.job = '{job}' and e.slot >= r.slot + {from_ms} \
             and e.slot < r.slot + {to_ms} and e.state in ('pending', 'running'))"
        );
    }
    let values = vec![worker.into(), job.into()];
    claim_where(database, &condition, values, clock, now).await
}

/// Takes one slot, unless it has ended or another worker holds it.
///
/// # Errors
/// If the database fails.
pub async fn claim_slot(
    database: &DatabaseConnection,
    job: &str,
    worker: &str,
    slot: Millis,
    shard: i32,
    clock: &Clock,
) -> Result<Option<JobContext>, DbErr> {
    let now = clock.now(database).await?;
    let expired = lease_expiry(clock, now);
    let condition = format!(
        "r.job = $2 and r.slot = $3 and r.shard = $4 and (r.state = 'pending' or (r.state = \
         'running' and r.lease_until < {expired}))"
    );
    claim_where(
        database,
        &condition,
        vec![worker.into(), job.into(), slot.0.into(), shard.into()],
        clock,
        now,
    )
    .await
}

/// Expiry before which a lease may be taken over: none, while the time is unknown.
fn lease_expiry(clock: &Clock, now: Millis) -> i64 {
    if clock.held().is_some() { 0 } else { now.0 }
}

async fn claim_where(
    database: &DatabaseConnection,
    condition: &str,
    values: Vec<Value>,
    clock: &Clock,
    now: Millis,
) -> Result<Option<JobContext>, DbErr> {
    let backend = database.get_database_backend();
    let skip = database::skip_locked_sql(backend);
    let sql = format!(
        "update job_runs set state = 'running', token = token + 1, attempts = attempts + 1, \
         worker = $1, started_at = {now}, finished_at = null, lease_until = {lease} \
         where id = (select r.id from job_runs r where {condition} order by r.slot, r.shard limit \
         1 {skip}) returning *",
        now = now.0,
        lease = now.plus(LEASE).0,
    );
    let row = database
        .query_one_raw(Statement::from_sql_and_values(backend, sql, values))
        .await?;
    let model = row
        .map(|row| Model::from_query_result(&row, ""))
        .transpose()?;
    Ok(model.map(|model| JobContext {
        id: model.id,
        token: model.token,
        attempts: model.attempts,
        slot: model.slot,
        shard: model.shard,
        clock: clock.clone(),
    }))
}

/// Holds a slot for longer. `false` where it is another worker's by now.
///
/// # Errors
/// If the database fails.
pub async fn renew(database: &DatabaseConnection, run: &JobContext) -> Result<bool, DbErr> {
    let until = run.now(database).await?.plus(LEASE);
    let result = held(run)
        .col_expr(Column::LeaseUntil, Expr::value(until.0))
        .exec(database)
        .await?;
    Ok(result.rows_affected == 1)
}

/// Gives a slot back after an attempt that failed: for another one, or for good.
///
/// # Errors
/// If the database fails.
pub async fn give_back(
    database: &DatabaseConnection,
    run: &JobContext,
    state: JobRunState,
    not_before: Millis,
    error: &str,
) -> Result<(), DbErr> {
    let now = run.now(database).await?;
    let mut update = held(run)
        .col_expr(Column::State, Expr::value(state))
        .col_expr(Column::NotBefore, Expr::value(not_before.0))
        .col_expr(Column::LeaseUntil, Expr::value(None::<i64>))
        .col_expr(Column::Error, Expr::value(error));
    if state != JobRunState::Pending {
        update = update.col_expr(Column::FinishedAt, Expr::value(now.0));
    }
    update.exec(database).await?;
    Ok(())
}

fn held(run: &JobContext) -> sea_orm::UpdateMany<Entity> {
    Entity::update_many()
        .filter(Column::Id.eq(run.id))
        .filter(Column::Token.eq(run.token))
        .filter(Column::State.eq(JobRunState::Running))
}
