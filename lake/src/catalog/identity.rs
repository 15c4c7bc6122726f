//! Identity of the lake, and the deletion sequence: both in the store (`lake.json`) and in the
//! catalog's database (`lake_identity`), so that a database that is behind cannot delete.
//!
//! Before each batch of deletions [`advance`] moves both to the next sequence under a new random
//! token: first the database, in a transaction under a row lock; then the store, under the
//! condition that it is still as it was read. A second catalog, a copied database or an older
//! backup finds another id, a higher sequence or another token in the store, and is refused:
//! [`ensure`] compares both before each write, too, which is one GET of a few hundred bytes and one
//! row read.
//!
//! Crashes: at the first start, the database's row comes first, `lake.json` second; between them
//! the next start writes it. At an advance, the database is one ahead while the store holds the
//! token before: the next call finishes it. A put whose answer was lost is recognised by its token.

use marketlake_entities::database;
use marketlake_entities::records::lake_identity::{ActiveModel, Column, Entity, Model};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect, Set};
use uuid::Uuid;

use crate::catalog::guard;
use crate::catalog::lake_file::{self, Identity, LakeFile, StoredIdentity};
use crate::catalog::layout::FORMAT;
use crate::catalog::mismatch::MismatchError;
use crate::error::LakeError;
use crate::storage::diagnostic::{Diagnostic, Severity};
use crate::storage::store::Store;

/// The id of the one row.
const ROW: i32 = 1;
/// Attempts at a change while other processes change the same.
const MAX_ATTEMPTS: usize = 20;

/// State of database and store relative to each other, without a mismatch.
#[derive(Debug, PartialEq, Eq)]
enum IdentityState {
    Same,
    /// Neither has an identity yet.
    New,
    /// Only the database has one.
    NotStored,
    /// The database is ahead by an advance that was interrupted.
    Interrupted,
}

/// Makes sure that database and store are of one lake and of one state; gives them an identity
/// where both have none, and finishes what a crash interrupted. Returns whether it compared the
/// catalog with the store's newest objects, too.
pub(crate) async fn ensure(
    database: &DatabaseConnection,
    store: &Store,
) -> Result<bool, LakeError> {
    let (_, has_checked) = reconcile(database, store).await?;
    Ok(has_checked)
}

/// Brings database and store to the same state, which is returned.
async fn reconcile(
    database: &DatabaseConnection,
    store: &Store,
) -> Result<(StoredIdentity, bool), LakeError> {
    let mut refused = None;
    let mut has_checked = false;
    for _ in 0..MAX_ATTEMPTS {
        let (row, stored) = read(database, store).await?;
        let state = match compare(store, row.as_ref(), stored.as_ref()) {
            // Read between two changes of another process, it is gone the second time.
            Err(error) if refused.as_ref() != Some(&error) => {
                refused = Some(error);
                continue;
            }
            state => state?,
        };
        match (state, stored) {
            (IdentityState::Same, Some(stored)) => return Ok((stored, has_checked)),
            (IdentityState::New, _) => {
                // A writer that does not know the lake must not become its owner.
                guard::check(database, store).await?;
                has_checked = true;
                insert(database).await?;
            }
            (IdentityState::NotStored, _) => {
                if !has_checked {
                    // An older copy must not take the lake over because the file is gone.
                    guard::is_own(database, store).await?;
                    guard::check(database, store).await?;
                    has_checked = true;
                    tracing::warn!(?store, "lake.json is missing and is written again");
                }
                put(store, row, None).await?;
            }
            (IdentityState::Interrupted, stored) => {
                put(store, row, stored.map(|stored| stored.version)).await?;
            }
            (IdentityState::Same, None) => (),
        }
    }
    Err(contended(store))
}

/// Begins a batch of deletions: reads the store once, and replaces what was read.
///
/// # Errors
/// Fails if the database is not the one that the lake is of, or the store or the database fails.
/// Then nothing may be deleted.
pub(crate) async fn advance(database: &DatabaseConnection, store: &Store) -> Result<(), LakeError> {
    let mut tried: Option<Identity> = None;
    for _ in 0..MAX_ATTEMPTS {
        let (stored, _) = reconcile(database, store).await?;
        // The answer to its put was lost, or another process finished it.
        if tried.as_ref() == Some(&stored.identity) {
            return Ok(());
        }
        let next = Identity {
            sequence: stored.identity.sequence + 1,
            token: new_token(),
            ..stored.identity.clone()
        };
        if !update(database, &stored.identity, &next).await? {
            continue;
        }
        if next.put(store, Some(stored.version)).await? {
            tracing::debug!(sequence = next.sequence, "deletion sequence advanced");
            return Ok(());
        }
        tried = Some(next);
    }
    Err(contended(store))
}

/// Makes a database the one that the store's lake is of.
pub(crate) async fn claim(database: &DatabaseConnection, store: &Store) -> Result<(), LakeError> {
    for _ in 0..MAX_ATTEMPTS {
        let (old, version) = match lake_file::find(store).await? {
            Some(LakeFile { content, version }) => (content.ok(), Some(version)),
            None => (None, None),
        };
        // The database may know what a damaged file said.
        let row = Entity::find_by_id(ROW).one(database).await?;
        let known = old.clone().or_else(|| row.map(Identity::from));
        let next = Identity {
            format: FORMAT,
            lake_id: known
                .as_ref()
                .map_or_else(new_token, |known| known.lake_id.clone()),
            sequence: known.as_ref().map_or(0, |known| known.sequence + 1),
            token: new_token(),
        };
        let row = ActiveModel {
            previous_token: Set(old.map(|old| old.token)),
            ..row_of(&next)
        };
        let over = OnConflict::column(Column::Id)
            .update_columns([
                Column::LakeId,
                Column::Sequence,
                Column::Token,
                Column::PreviousToken,
            ])
            .to_owned();
        let insert = Entity::insert(row).on_conflict(over);
        insert.exec_without_returning(database).await?;
        next.put(store, version).await?;
        let now_stored = lake_file::read(store).await?;
        if now_stored.is_some_and(|now| now.identity == next) {
            return Ok(());
        }
    }
    Err(contended(store))
}

/// Verifies that database and store are of one lake and one state, without changing anything.
pub(crate) async fn verify(database: &DatabaseConnection, store: &Store) -> Result<(), LakeError> {
    let (row, stored) = read(database, store).await?;
    compare(store, row.as_ref(), stored.as_ref())?;
    Ok(())
}

/// Diagnoses whether database and store belong together and the catalog is as new as the store,
/// without changing anything.
pub async fn diagnose_identity(database: &DatabaseConnection, store: &Store) -> Diagnostic {
    let what = "lake";
    let looked = async {
        let (row, stored) = read(database, store).await?;
        let state = compare(store, row.as_ref(), stored.as_ref())?;
        if state == IdentityState::NotStored {
            guard::is_own(database, store).await?;
        }
        guard::check(database, store).await?;
        Ok::<_, LakeError>((state, row))
    };
    match looked.await {
        Ok((IdentityState::New, _)) => Diagnostic::new(
            what,
            Severity::Good,
            "new: database and store get their id at the first write",
        ),
        Ok((state, row)) => {
            let (id, sequence) =
                row.map_or_else(Default::default, |row| (row.lake_id, row.sequence));
            let next = match state {
                IdentityState::Same => "",
                _ => "; a crash interrupted a change, which the next write finishes",
            };
            let detail =
                format!("{id} in database and store, {sequence} batches of deletions{next}");
            Diagnostic::new(what, Severity::Good, detail)
        }
        Err(error) => Diagnostic::new(what, Severity::Bad, error.to_string()),
    }
}

/// The rules.
fn compare(
    store: &Store,
    row: Option<&Model>,
    stored: Option<&StoredIdentity>,
) -> Result<IdentityState, MismatchError> {
    let shown = || format!("{store:?}");
    let (row, stored) = match (row, stored) {
        (None, None) => return Ok(IdentityState::New),
        (Some(_), None) => return Ok(IdentityState::NotStored),
        (None, Some(stored)) => {
            return Err(MismatchError::UnknownDatabase {
                store: shown(),
                stored: stored.identity.lake_id.clone(),
            });
        }
        (Some(row), Some(stored)) => (row, &stored.identity),
    };
    if row.lake_id != stored.lake_id {
        return Err(MismatchError::OtherLake {
            store: shown(),
            stored: stored.lake_id.clone(),
            ours: row.lake_id.clone(),
        });
    }
    if (row.sequence, &row.token) == (stored.sequence, &stored.token) {
        return Ok(IdentityState::Same);
    }
    let follows = row.previous_token.as_ref() == Some(&stored.token);
    if row.sequence == stored.sequence + 1 && follows {
        return Ok(IdentityState::Interrupted);
    }
    Err(if row.sequence < stored.sequence {
        MismatchError::OldDatabase {
            store: shown(),
            stored: stored.sequence,
            ours: row.sequence,
        }
    } else if row.sequence > stored.sequence + 1 {
        MismatchError::OldStore {
            store: shown(),
            stored: stored.sequence,
            ours: row.sequence,
        }
    } else {
        MismatchError::OtherDatabase {
            store: shown(),
            sequence: stored.sequence,
        }
    })
}

async fn read(
    database: &DatabaseConnection,
    store: &Store,
) -> Result<(Option<Model>, Option<StoredIdentity>), LakeError> {
    // The store first: a process that advances meanwhile is then seen as one ahead, not as behind.
    let stored = lake_file::read(store).await?;
    let row = Entity::find_by_id(ROW).one(database).await?;
    Ok((row, stored))
}

/// Gives the database a new lake's identity, where it has none.
async fn insert(database: &DatabaseConnection) -> Result<(), LakeError> {
    let identity = Identity {
        format: FORMAT,
        lake_id: new_token(),
        sequence: 0,
        token: new_token(),
    };
    let first = OnConflict::column(Column::Id).do_nothing().to_owned();
    let insert = Entity::insert(row_of(&identity)).on_conflict(first);
    insert.exec_without_returning(database).await?;
    Ok(())
}

/// Writes the database's identity into the store. False where another process came first.
async fn put(
    store: &Store,
    row: Option<Model>,
    version: Option<object_store::UpdateVersion>,
) -> Result<bool, LakeError> {
    match row {
        Some(row) => Identity::from(row).put(store, version).await,
        None => Ok(false),
    }
}

/// Moves the database to the next sequence. False where it is not where the store is.
async fn update(
    database: &DatabaseConnection,
    from: &Identity,
    to: &Identity,
) -> Result<bool, LakeError> {
    let transaction = database::begin_write(database).await?;
    let row = Entity::find_by_id(ROW).lock_exclusive();
    let row = row.one(&transaction).await?;
    let stands = row.is_some_and(|row| {
        (&row.lake_id, row.sequence, &row.token) == (&from.lake_id, from.sequence, &from.token)
    });
    if !stands {
        transaction.rollback().await?;
        return Ok(false);
    }
    Entity::update_many()
        .col_expr(Column::Sequence, Expr::value(to.sequence))
        .col_expr(Column::Token, Expr::value(to.token.as_str()))
        .col_expr(Column::PreviousToken, Expr::value(from.token.as_str()))
        .filter(Column::Id.eq(ROW))
        .exec(&transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}

fn row_of(identity: &Identity) -> ActiveModel {
    ActiveModel {
        id: Set(ROW),
        lake_id: Set(identity.lake_id.clone()),
        sequence: Set(identity.sequence),
        token: Set(identity.token.clone()),
        previous_token: Set(None),
    }
}

impl From<Model> for Identity {
    fn from(row: Model) -> Self {
        Self {
            format: FORMAT,
            lake_id: row.lake_id,
            sequence: row.sequence,
            token: row.token,
        }
    }
}

fn new_token() -> String {
    Uuid::new_v4().to_string()
}

fn contended(store: &Store) -> LakeError {
    let store = format!("{store:?}");
    MismatchError::Contended { store }.into()
}
