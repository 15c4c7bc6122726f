//! Upload intents: the keys of objects that may lie in the store without a row in the catalog.
//!
//! 1. [`Intents::record`] commits the keys, before any of the objects is written.
//! 2. The objects are written.
//! 3. [`consume`] removes the keys in the transaction that makes the objects live.
//!
//! A crash after 1 leaves keys without objects, after 2 keys with objects; both are cleared by
//! vacuum, which [condemns](condemn) keys older than its grace in a commit of its own, then deletes
//! the objects, then [settles](settle) the keys. A writer that is slower than the grace finds its
//! keys condemned at 3 and stages again, so that nothing live is ever deleted. Such a writer may
//! still be at 2: a key stays for one more grace, and its object is deleted once more. A crash
//! between condemning and deleting, or deleting and settling, is made good by the next vacuum.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use marketlake_entities::database;
use marketlake_entities::records::upload_intents::{ActiveModel, Column, Entity};
use marketlake_model::Millis;
use object_store::path::Path;
use parking_lot::Mutex;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr,
    EntityTrait, QueryFilter, QuerySelect, Set, Statement, Value,
};

use crate::storage::paths::ObjectKey;

/// Keys in one statement: below the parameter limit of either database.
const BATCH_SIZE: usize = 500;
/// Interval at which a long stage renews its keys; far below any sensible grace.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(300);

/// Records intents. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Intents {
    database: DatabaseConnection,
}

/// Keys of a stage that takes long, which are renewed while it goes on.
pub(crate) struct Renewal {
    intents: Intents,
    keys: Mutex<(Instant, Vec<Path>)>,
}

impl Intents {
    pub(crate) fn new(database: &DatabaseConnection) -> Self {
        Self {
            database: database.clone(),
        }
    }

    /// Commits the keys of objects that will be written, in one statement.
    pub(crate) async fn record(&self, keys: &[Path]) -> Result<(), DbErr> {
        self.record_until(keys, None).await
    }

    /// Commits the keys of objects that are to be left alone until an instant.
    pub(crate) async fn record_until(
        &self,
        keys: &[Path],
        keep_until: Option<Millis>,
    ) -> Result<(), DbErr> {
        if keys.is_empty() {
            return Ok(());
        }
        let backend = self.database.get_database_backend();
        let clock = database::clock_sql(backend);
        let rows = (2..keys.len() + 2).map(|at| format!("(${at}, {clock}, $1)"));
        let rows: Vec<String> = rows.collect();
        let sql = format!(
            "insert into upload_intents (key, created_at, keep_until) values {} \
             on conflict (key) do nothing",
            rows.join(", ")
        );
        let keep_until: Value = keep_until.map(|at| at.0).into();
        let values = std::iter::once(keep_until).chain(keys.iter().map(|key| key.as_ref().into()));
        let statement = Statement::from_sql_and_values(backend, sql, values);
        self.database.execute_raw(statement).await?;
        Ok(())
    }

    /// Makes keys as young as if they were recorded now, where vacuum did not condemn them.
    async fn renew(&self, keys: &[Path]) -> Result<(), DbErr> {
        let clock = database::clock_sql(self.database.get_database_backend());
        for some in keys.chunks(BATCH_SIZE) {
            Entity::update_many()
                .col_expr(Column::CreatedAt, Expr::cust(clock))
                .filter(Column::Key.is_in(some.iter().map(Path::as_ref)))
                .filter(Column::CondemnedAt.is_null())
                .exec(&self.database)
                .await?;
        }
        Ok(())
    }

    pub(crate) fn renewal(self) -> Renewal {
        Renewal {
            intents: self,
            keys: Mutex::new((Instant::now(), Vec::new())),
        }
    }
}

impl Renewal {
    /// Takes keys in, and renews all that came before where the last renewal was long ago.
    pub(crate) async fn add(&self, keys: impl IntoIterator<Item = Path>) -> Result<(), DbErr> {
        let due = {
            let mut held = self.keys.lock();
            held.1.extend(keys);
            if held.0.elapsed() < RENEWAL_INTERVAL {
                return Ok(());
            }
            held.0 = Instant::now();
            held.1.clone()
        };
        self.intents.renew(&due).await
    }
}

/// Removes the keys of objects that the transaction makes live. Returns whether all were there:
/// where one is missing or condemned, the object may be deleted, and must not become live.
pub(crate) async fn consume(
    transaction: &DatabaseTransaction,
    keys: &[&Path],
) -> Result<bool, DbErr> {
    let mut removed = 0;
    for some in keys.chunks(BATCH_SIZE) {
        let result = Entity::delete_many()
            .filter(Column::Key.is_in(some.iter().map(|key| -> &str { key.as_ref() })))
            .filter(Column::CondemnedAt.is_null())
            .exec(transaction)
            .await?;
        removed += result.rows_affected;
    }
    Ok(removed == keys.len() as u64)
}

/// Removes the keys of objects whose rows the transaction inserts, whichever process recorded them.
pub(crate) async fn forget(
    transaction: &DatabaseTransaction,
    keys: &[String],
) -> Result<(), DbErr> {
    for some in keys.chunks(BATCH_SIZE) {
        Entity::delete_many()
            .filter(Column::Key.is_in(some.iter().map(String::as_str)))
            .exec(transaction)
            .await?;
    }
    Ok(())
}

/// Hands an object over to vacuum that the transaction takes out of its row.
pub(crate) async fn abandon(
    transaction: &DatabaseTransaction,
    key: &str,
    now: Millis,
) -> Result<(), DbErr> {
    let row = ActiveModel {
        key: Set(key.to_owned()),
        created_at: Set(now),
        keep_until: Set(None),
        condemned_at: Set(None),
        deleted_at: Set(None),
    };
    let once = OnConflict::column(Column::Key).do_nothing().to_owned();
    Entity::insert(row)
        .on_conflict(once)
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

/// Takes the keys away from their writers that were recorded before an instant. Returns how many.
pub(crate) async fn condemn(
    connection: &impl ConnectionTrait,
    before: Millis,
    now: Millis,
) -> Result<u64, DbErr> {
    let has_ended = Condition::any()
        .add(Column::KeepUntil.is_null())
        .add(Column::KeepUntil.lt(now));
    let result = Entity::update_many()
        .col_expr(Column::CondemnedAt, Expr::value(now.0))
        .filter(Column::CondemnedAt.is_null())
        .filter(Column::CreatedAt.lt(before))
        .filter(has_ended)
        .exec(connection)
        .await?;
    Ok(result.rows_affected)
}

/// The condemned keys whose objects are to be deleted: for the first time, or once more a grace
/// later, for a writer that was that slow.
pub(crate) async fn condemned(
    connection: &impl ConnectionTrait,
    before: Millis,
) -> Result<Vec<String>, DbErr> {
    let due = Condition::any()
        .add(Column::DeletedAt.is_null())
        .add(Column::DeletedAt.lt(before));
    Entity::find()
        .select_only()
        .column(Column::Key)
        .filter(Column::CondemnedAt.is_not_null())
        .filter(due)
        .into_tuple()
        .all(connection)
        .await
}

/// Notes that a condemned key's object was deleted; removes the key the second time.
pub(crate) async fn settle(
    connection: &impl ConnectionTrait,
    key: &str,
    before: Millis,
    now: Millis,
) -> Result<(), DbErr> {
    let second = Entity::delete_many()
        .filter(Column::Key.eq(key))
        .filter(Column::DeletedAt.lt(before))
        .exec(connection)
        .await?;
    if second.rows_affected == 0 {
        Entity::update_many()
            .col_expr(Column::DeletedAt, Expr::value(now.0))
            .filter(Column::Key.eq(key))
            .exec(connection)
            .await?;
    }
    Ok(())
}

/// Every key that an intent names, condemned or not.
pub(crate) async fn all(connection: &impl ConnectionTrait) -> Result<HashSet<String>, DbErr> {
    let keys: Vec<String> = Entity::find()
        .select_only()
        .column(Column::Key)
        .into_tuple()
        .all(connection)
        .await?;
    Ok(keys.into_iter().collect())
}

/// Removes the keys of all objects of segments: what becomes of those is unknown then.
pub(crate) async fn forget_segments(connection: &impl ConnectionTrait) -> Result<(), DbErr> {
    let keys = all(connection).await?.into_iter();
    let keys: Vec<String> = keys.filter(|key| ObjectKey::parse(key).is_some()).collect();
    for some in keys.chunks(BATCH_SIZE) {
        Entity::delete_many()
            .filter(Column::Key.is_in(some.iter().map(String::as_str)))
            .exec(connection)
            .await?;
    }
    Ok(())
}

/// Those of some keys that an intent names, condemned or not.
pub(crate) async fn named(
    connection: &impl ConnectionTrait,
    keys: &[String],
) -> Result<HashSet<String>, DbErr> {
    let mut named = HashSet::new();
    for some in keys.chunks(BATCH_SIZE) {
        let rows: Vec<String> = Entity::find()
            .select_only()
            .column(Column::Key)
            .filter(Column::Key.is_in(some.iter().map(String::as_str)))
            .into_tuple()
            .all(connection)
            .await?;
        named.extend(rows);
    }
    Ok(named)
}
