//! API keys. Only a hash of each is stored.

use std::collections::HashSet;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{QueryOrder, QuerySelect, Set};

use marketlake_model::Millis;

/// An API key.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    /// Public part of the key, by which it is looked up.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// SHA-256 of the whole key, in hex. A key has 256 random bits, so a slow hash adds nothing.
    pub hash: String,
    /// Label given at creation.
    pub name: String,
    /// Scopes, separated by spaces.
    pub scopes: String,
    /// Time of creation.
    pub created_at: Millis,
    /// Time from which it is refused.
    pub expires_at: Option<Millis>,
    /// Time of revocation.
    pub revoked_at: Option<Millis>,
    /// Time of its last use, to the minute.
    pub last_used_at: Option<Millis>,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Lists all keys, newest first.
///
/// # Errors
/// If the database fails.
pub async fn all(connection: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
    let newest_first = Entity::find().order_by_desc(Column::CreatedAt);
    newest_first.order_by_asc(Column::Id).all(connection).await
}

/// Finds a key by its id.
///
/// # Errors
/// If the database fails.
pub async fn find(connection: &impl ConnectionTrait, id: &str) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(connection).await
}

/// Inserts a new key.
///
/// # Errors
/// If the database fails.
pub async fn insert(connection: &impl ConnectionTrait, key: Model) -> Result<(), DbErr> {
    let row: ActiveModel = key.into();
    Entity::insert(row.reset_all())
        .exec_without_returning(connection)
        .await?;
    Ok(())
}

/// Revokes a key for ever. `false` if there is no such key or it is revoked already.
///
/// # Errors
/// If the database fails.
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

/// Filters ids of existing keys that are not revoked.
///
/// # Errors
/// If the database fails.
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

/// Records the time of a key's last use.
///
/// # Errors
/// If the database fails.
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
