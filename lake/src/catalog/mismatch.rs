//! Reasons why a catalog may not write to a store, or delete from it.

use marketlake_model::Millis;

use crate::catalog::layout::FORMAT;

/// Mismatch of database and store. Nothing was written or deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MismatchError {
    /// The catalog has no segment, the store has objects of a lake.
    #[error(
        "the catalog is empty, but {store} holds objects of a lake, for example {example}: the \
         database is new, was lost, or belongs to another lake. Nothing is written. \
         `marketlake rebuild-catalog` rebuilds the catalog from the objects; for another lake, \
         set store.url or --data to an empty place"
    )]
    EmptyCatalog {
        /// Address of the store.
        store: String,
        /// Key of one of the objects.
        example: String,
    },
    /// The store has newer objects than the catalog knows of.
    #[error(
        "the catalog is older than {store}: {count} objects written from {oldest} to {newest}, \
         for example {example}, are newer than its newest ({known}) and unknown to it: the \
         database lost commits (a restored backup, a failover, a copy). Nothing is written. \
         `marketlake check` names them, `marketlake check --repair` and \
         `marketlake rebuild-catalog` adopt them"
    )]
    LostCommits {
        /// Address of the store.
        store: String,
        /// Number of objects, as far as was listed.
        count: usize,
        /// Key of one of them.
        example: String,
        /// Write time of the first of them.
        oldest: Millis,
        /// Write time of the last of them.
        newest: Millis,
        /// Write time of the newest object that the catalog knows.
        known: Millis,
    },
    /// The store's lake is not the database's.
    #[error(
        "{store} holds the lake {stored}, the database belongs to the lake {ours}: check store.url \
         and database.url"
    )]
    OtherLake {
        /// Address of the store.
        store: String,
        /// Id in the store.
        stored: String,
        /// Id in the database.
        ours: String,
    },
    /// The store has a lake, the database never had one.
    #[error(
        "{store} holds the lake {stored}, the database belongs to no lake yet: it is new or was \
         lost. Nothing is written. `marketlake rebuild-catalog` makes it the catalog of that lake; \
         for another lake, set store.url or --data to an empty place"
    )]
    UnknownDatabase {
        /// Address of the store.
        store: String,
        /// Id in the store.
        stored: String,
    },
    /// The store saw batches of deletions that the database does not know.
    #[error(
        "this database is older than the lake in {store}: it knows {ours} batches of deletions, \
         the store {stored}; it was copied, or restored from a backup. Nothing is written or \
         deleted. Use the database that was in use last, or `marketlake rebuild-catalog`"
    )]
    OldDatabase {
        /// Address of the store.
        store: String,
        /// Sequence in the store.
        stored: i64,
        /// Sequence in the database.
        ours: i64,
    },
    /// Another database of the same lake has deleted, too.
    #[error(
        "another database is the catalog of the lake in {store}: both know {sequence} batches of \
         deletions, but not the same; one is a copy. Nothing is written or deleted. Use the \
         database that was in use last, or `marketlake rebuild-catalog`"
    )]
    OtherDatabase {
        /// Address of the store.
        store: String,
        /// Sequence in both.
        sequence: i64,
    },
    /// The database saw batches of deletions that the store does not know.
    #[error(
        "the lake in {store} is older than this database: it knows {stored} batches of deletions, \
         the database {ours}; the store was restored from a backup, or is a copy. Nothing is \
         written or deleted. `marketlake check` names what is missing, \
         `marketlake rebuild-catalog` adopts what is there"
    )]
    OldStore {
        /// Address of the store.
        store: String,
        /// Sequence in the store.
        stored: i64,
        /// Sequence in the database.
        ours: i64,
    },
    /// The store has no identity, and not the catalog's objects either.
    #[error(
        "{store} is not the catalog's store: it has no lake.json, and {example}, which the catalog \
         lists, is not there. Check store.url"
    )]
    OtherStore {
        /// Address of the store.
        store: String,
        /// Key of an object that is missing.
        example: String,
    },
    /// `lake.json` is damaged.
    #[error(
        "lake.json in {store} is damaged: {reason}. Nothing is written or deleted. \
         `marketlake rebuild-catalog` writes it again and binds the lake to this database"
    )]
    Unreadable {
        /// Address of the store.
        store: String,
        /// Reason.
        reason: String,
    },
    /// `lake.json` is of a newer version.
    #[error(
        "lake.json in {store}: expected format {FORMAT} or below, got {format}: a newer version \
         wrote it. Nothing is written or deleted. Use that version"
    )]
    NewerFormat {
        /// Address of the store.
        store: String,
        /// Version of the layout.
        format: u32,
    },
    /// A folder has the name of a file.
    #[error(
        "{name} in {store}: expected a file, got a folder. Nothing is written or deleted. Move it \
         away; the file is written again where the catalog knows the store's objects"
    )]
    Misplaced {
        /// Address of the store.
        store: String,
        /// Name of the file.
        name: String,
    },
    /// Other processes changed the identity each time that this one tried.
    #[error("the identity of the lake in {store} keeps changing; try again")]
    Contended {
        /// Address of the store.
        store: String,
    },
}
