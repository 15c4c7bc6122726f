//! Claims deliveries, each for one worker at a time, by the clock of the process.

use std::time::Duration;

use marketlake_entities::Clock;
use marketlake_entities::records::deliveries::Model;
use marketlake_entities::records::subscriptions::ChannelKind;
use marketlake_model::Millis;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, FromQueryResult, Iterable, Statement,
    Value,
};

use super::leases::LEASE;
use crate::error::AlertError;
use crate::queue::lane::Lane;

/// Deliveries that are looked at for each one that is claimed.
const CANDIDATES_PER_CLAIM: usize = 4;
/// Time before its own at which a delivery may be tried: clocks of processes differ a little.
const DUE_TOLERANCE: Duration = Duration::from_secs(1);
/// Deliveries that a destination has at once while it fails.
const MAX_PROBES: usize = 1;

/// Deliveries that may be tried at a time, as a condition on `d`. A row in `sending` without a
/// lease has no owner.
pub(super) fn due_sql(now: Millis) -> String {
    let due = now.plus(DUE_TOLERANCE);
    let throttled = |scope: &str, name: &str| {
        format!(
            "not exists (select 1 from delivery_throttles t where t.scope = '{scope}' \
             and t.name = {name} and t.until > {now})",
            now = now.0
        )
    };
    let lane = format!(
        "case when d.channel = '{}' then '{}' else '{}' end",
        Lane::Mail.name(),
        Lane::Mail.name(),
        Lane::Webhook.name()
    );
    format!(
        "d.state in ('pending', 'retry', 'sending', 'unknown') \
         and ((d.state <> 'sending' and d.not_before <= {due}) \
         or (d.state = 'sending' and d.lease_until is null)) \
         and {} and {} and {} and {}",
        throttled("all", "'all'"),
        throttled("channel", &lane),
        throttled("destination", "d.destination"),
        throttled("address", "d.address"),
        due = due.0,
    )
}

/// Whether any delivery waits to be sent at a time.
///
/// # Errors
/// If the database fails.
pub async fn is_due(database: &DatabaseConnection, now: Millis) -> Result<bool, AlertError> {
    let backend = database.get_database_backend();
    let due = due_sql(now);
    let sql = format!("select d.id from deliveries d where {due} limit 1");
    let found = database
        .query_one_raw(Statement::from_string(backend, sql))
        .await?;
    Ok(found.is_some())
}

fn channels_sql(lane: Lane) -> String {
    let channels = ChannelKind::iter().filter(|kind| Lane::of(*kind) == lane);
    let names: Vec<String> = channels.map(|kind| format!("'{kind}'")).collect();
    format!("d.channel in ({})", names.join(", "))
}

/// Takes at most `limit` deliveries of a lane that are due: the first of every destination, then
/// the second of every one, and so on, those of destinations that fail at the moment last; of no
/// destination more than `max_per_destination` at once.
///
/// A delivery in `sending` without a lease belongs to a worker that died: if it had begun to
/// hand the bytes over, they may have arrived, and that is counted.
pub(super) async fn claim(
    database: &DatabaseConnection,
    now: Millis,
    lane: Lane,
    limit: usize,
    max_per_destination: usize,
) -> Result<Vec<Model>, DbErr> {
    let backend = database.get_database_backend();
    let skip = match backend {
        DbBackend::Postgres => "for update of d skip locked",
        _ => "",
    };
    let channels = channels_sql(lane);
    let due = due_sql(now);
    let order = "d.not_before, d.created_at, d.id";
    let sql = format!(
        "with busy as materialized (select d.destination, count(*) as n from deliveries d \
           where d.state = 'sending' and d.lease_until is not null and {channels} \
           group by d.destination), \
         ranked as (select d.id, d.not_before, d.created_at, \
           row_number() over (partition by d.destination order by {order}) + coalesce( \
             (select b.n from busy b where b.destination = d.destination), 0) as place, \
           (select count(*) from delivery_throttles t \
             where t.scope = 'destination' and t.name = d.destination) as failing \
           from deliveries d where {channels} and {due}), \
         candidates as materialized (select c.* from ranked c \
           where c.place <= \
             case when c.failing > 0 then {MAX_PROBES} else {max_per_destination} end \
           order by {first} limit {candidates}), \
         taken as (select d.id from candidates c join deliveries d on d.id = c.id \
           where {due} order by {first} limit {limit} {skip}) \
         update deliveries set state = 'sending', token = token + 1, attempts = attempts + 1, \
           lease_until = {lease}, unknowns = unknowns + \
           (case when state = 'sending' and transmit_started_at is not null then 1 else 0 end), \
           transmit_started_at = null \
         where id in (select id from taken) returning *",
        lease = now.plus(LEASE).0,
        // Others may take some of them meanwhile.
        candidates = limit.saturating_mul(CANDIDATES_PER_CLAIM),
        first = "c.failing, c.place, c.not_before, c.created_at, c.id",
    );
    // A look takes no lock: a lane that is idle keeps no writer waiting.
    let look = format!("select d.id from deliveries d where {channels} and {due} limit 1");
    let look = Statement::from_string(backend, look);
    if database.query_one_raw(look).await?.is_none() {
        return Ok(Vec::new());
    }
    let rows = database
        .query_all_raw(Statement::from_string(backend, sql))
        .await?;
    let deliveries = rows.iter().map(|row| Model::from_query_result(row, ""));
    let mut deliveries: Vec<Model> = deliveries.collect::<Result<_, _>>()?;
    deliveries.sort_by(|a, b| (a.not_before, &a.id).cmp(&(b.not_before, &b.id)));
    Ok(deliveries)
}

/// Marks that a delivery's bytes are about to go over, and keeps the bytes: every later attempt
/// sends the same. Returns when that is; `None` where the lease is another worker's by now.
pub(super) async fn begin_transmit(
    database: &DatabaseConnection,
    clock: &Clock,
    delivery: &Model,
    message_id: &str,
    bytes: &[u8],
) -> Result<Option<Millis>, DbErr> {
    let backend = database.get_database_backend();
    let now = clock.now(database).await?;
    let sql = format!(
        "update deliveries set transmit_started_at = {now}, lease_until = {lease}, \
         message = $1, message_id = $2 where id = $3 and token = $4 and state = 'sending'",
        now = now.0,
        lease = now.plus(LEASE).0,
    );
    let values: Vec<Value> = vec![
        bytes.to_vec().into(),
        message_id.into(),
        delivery.id.as_str().into(),
        delivery.token.into(),
    ];
    let statement = Statement::from_sql_and_values(backend, sql, values);
    let result = database.execute_raw(statement).await?;
    Ok((result.rows_affected() == 1).then_some(now))
}

/// Gives back what was taken and not handed over.
pub(super) async fn give_back(
    database: &DatabaseConnection,
    deliveries: impl IntoIterator<Item = Model>,
) -> Result<(), DbErr> {
    let backend = database.get_database_backend();
    for delivery in deliveries {
        // A delivery that was unknown before stays so by its count.
        let sql = "update deliveries set state = 'retry', attempts = attempts - 1, \
             lease_until = null \
             where id = $1 and token = $2 and state = 'sending' and transmit_started_at is null";
        let values: Vec<Value> = vec![delivery.id.into(), delivery.token.into()];
        database
            .execute_raw(Statement::from_sql_and_values(backend, sql, values))
            .await?;
    }
    Ok(())
}
