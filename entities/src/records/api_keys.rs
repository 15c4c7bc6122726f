//! Keys with which programs ask. Only a hash of each is kept.

use std::collections::HashSet;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{QueryOrder, QuerySelect, Set};

use marketlake_model::Millis;

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    /// The part of the key that is no secret, by which it is found.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// SHA-256 of the whole key, in hex. The key has 256 random bits, so that a slow hash would add nothing.
    pub hash: String,
    /// What its maker calls it.
    pub name: String,
    /// What it may do, words parted by spaces.
    pub scopes: String,
    /// When it was made.
    pub created_at: Millis,
    /// From when on it is refused.
    pub expires_at: Option<Millis>,
    /// Since when it is refused.
    pub revoked_at: Option<Millis>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Millis>,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Every key, the newest first.
///
/// # Errors
/// Where the database fails.
pub async fn all(connection: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
    let newest_first = Entity::find().order_by_desc(Column::CreatedAt);
    newest_first.order_by_asc(Column::Id).all(connection).await
}

/// One key.
///
/// # Errors
/// Where the database fails.
pub async fn find(connection: &impl ConnectionTrait, id: &str) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(connection).await
}

/// Writes a new key.
///
/// # Errors
/// Where the database fails.
pub async fn insert(connection: &impl ConnectionTrait, key: Model) -> Result<(), DbErr> {
    let row: ActiveModel = key.into();
    Entity::insert(row.reset_all())
        .exec_without_returning(connection)
        .await?;
    Ok(())
}

/// Revokes a key for ever. `false` where there is none that could be revoked.
///
/// # Errors
/// Where the database fails.
pub async fn revoke(
    connection: &impl ConnectionTrait,
    id: &str,
    now: Millis,
) -> Result<bool, DbErr> {
    let result = Entity::update_many()
        .col_expr(Column::RevokedAt, Expr::value(now.0))
        .filter(Column::Id.eq(id))
        .filter(Column::RevokedAt.is_null())
        .exec(connection)
        .await?;
    Ok(result.rows_affected == 1)
}

/// The ids among these of keys that are there and were not revoked.
///
/// # Errors
/// Where the database fails.
pub async fn unrevoked(
    connection: &impl ConnectionTrait,
    ids: &[String],
) -> Result<HashSet<String>, DbErr> {
    let found: Vec<String> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Id.is_in(ids.iter().map(String::as_str)))
        .filter(Column::RevokedAt.is_null())
        .into_tuple()
        .all(connection)
        .await?;
    Ok(found.into_iter().collect())
}

/// Notes that a key was used.
///
/// # Errors
/// Where the database fails.
pub async fn used(connection: &impl ConnectionTrait, id: &str, now: Millis) -> Result<(), DbErr> {
    let update = ActiveModel {
        last_used_at: Set(Some(now)),
        ..Default::default()
    };
    Entity::update_many()
        .set(update)
        .filter(Column::Id.eq(id))
        .exec(connection)
        .await?;
    Ok(())
}
