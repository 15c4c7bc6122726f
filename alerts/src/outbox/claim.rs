//! Hands deliveries out, each to one worker at a time, by the database's clock.

use std::time::Duration;

use marketlake_entities::database;
use marketlake_entities::records::deliveries::Model;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, FromQueryResult, Statement, Value,
};

/// Longer than any channel's two steps.
pub(super) const LEASE: Duration = Duration::from_secs(90);
/// How many a worker takes at once.
const HANDFUL: usize = 16;

pub(super) fn due_sql(backend: DbBackend) -> String {
    let clock = database::clock_sql(backend);
    format!(
        "((d.state in ('pending', 'retry', 'unknown') and d.not_before <= {clock}) \
         or (d.state = 'sending' and d.lease_until < {clock})) \
         and not exists (select 1 from brakes b where b.until > {clock} and (b.name = 'all' or b.name = d.channel))"
    )
}

/// Takes the deliveries that have been due for longest. What is found in `sending` after its lease belongs to a worker that died: if
/// it had begun to hand the bytes over, they may have arrived, and that is counted.
pub(super) async fn claim(database: &DatabaseConnection) -> Result<Vec<Model>, DbErr> {
    let backend = database.get_database_backend();
    let skip = database::skip_locked_sql(backend);
    let sql = format!(
        "update deliveries set state = 'sending', token = token + 1, attempts = attempts + 1, lease_until = {clock} + {lease}, \
         unknowns = unknowns + (case when state = 'sending' and handed_at is not null then 1 else 0 end), handed_at = null \
         where id in (select d.id from deliveries d where {due} order by d.not_before, d.created_at, d.id limit {HANDFUL} {skip}) \
         returning *",
        clock = database::clock_sql(backend),
        lease = LEASE.as_millis(),
        due = due_sql(backend),
    );
    let rows = database
        .query_all_raw(Statement::from_string(backend, sql))
        .await?;
    let deliveries = rows.iter().map(|row| Model::from_query_result(row, ""));
    let mut deliveries: Vec<Model> = deliveries.collect::<Result<_, _>>()?;
    deliveries.sort_by(|a, b| (a.not_before, &a.id).cmp(&(b.not_before, &b.id)));
    Ok(deliveries)
}

/// Marks that a delivery's bytes are about to go over, and keeps the bytes: every later attempt sends the same. `false` where the
/// lease is another worker's by now.
pub(super) async fn hand_over(
    database: &DatabaseConnection,
    delivery: &Model,
    bytes: &[u8],
) -> Result<bool, DbErr> {
    let backend = database.get_database_backend();
    let clock = database::clock_sql(backend);
    let sql = format!(
        "update deliveries set handed_at = {clock}, lease_until = {clock} + {lease}, message = $1 \
         where id = $2 and token = $3 and state = 'sending'",
        lease = LEASE.as_millis(),
    );
    let values: Vec<Value> = vec![
        bytes.to_vec().into(),
        delivery.id.as_str().into(),
        delivery.token.into(),
    ];
    let statement = Statement::from_sql_and_values(backend, sql, values);
    Ok(database.execute_raw(statement).await?.rows_affected() == 1)
}

/// Gives back what was taken and not begun.
pub(super) async fn give_back(
    database: &DatabaseConnection,
    deliveries: &[Model],
) -> Result<(), DbErr> {
    let backend = database.get_database_backend();
    for delivery in deliveries {
        // A delivery that was unknown before stays so by its count.
        let sql = "update deliveries set state = 'retry', attempts = attempts - 1, lease_until = null \
             where id = $1 and token = $2 and state = 'sending'";
        let values: Vec<Value> = vec![delivery.id.as_str().into(), delivery.token.into()];
        database
            .execute_raw(Statement::from_sql_and_values(backend, sql, values))
            .await?;
    }
    Ok(())
}
