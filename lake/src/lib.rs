//! How samples are kept and asked for.
//!
//! - Keeping: [`Lake::stage_minute`] writes objects that nobody sees yet, [`Staged::publish`] makes them part of the lake
//!   inside the caller's transaction; an [`Import`] does so with history. [Hours](Lake::stage_compaction) and [days](Lake::stage_day) are
//!   merged, [`vacuum`](Lake::vacuum) and [`check`](Lake::check) keep it in order.
//! - Asking: a [`QueryEngine`], of which there are three, the [`Window`], [`Embedded`] and [`Athena`]; [`Lake::engine`] chooses.
//!
//! Invariant: what is live in the catalog holds one row a metric and minute. Only this crate touches the object store.
//! Deletion needs positive knowledge: a retired row, or an [upload intent](intents), and a catalog that is
//! [the one of that store](Lake::prepare_writes).
//!
//! To add an engine: implement the trait in `engine/`, and run the conformance module in `tests/lake/` on it.

mod answers;
mod athena;
mod catalog;
mod check;
mod checksum;
mod codec;
mod directory;
mod encode;
mod engine;
mod error;
mod export;
mod folder;
mod follow;
mod guard;
mod identity;
mod import;
mod intents;
mod lake;
mod lake_file;
mod manifests;
mod merge;
mod mismatch;
mod moments;
mod object;
mod paths;
mod ranking;
mod rebuild;
mod retry;
mod rollup;
mod rows;
mod s3;
mod stage;
mod statement;
mod statistic;
mod store;
mod times;
mod transform;
mod vacuum;
mod verify;
mod window;

pub use answers::{Listed, Rank, Ranks};
pub use athena::{AthenaError, AthenaOptions, Ddl, Spent};
pub use check::{CheckOptions, Report};
pub use directory::Directory;
pub use engine::{
    Aggregate, Athena, Bucket, Embedded, Interval, JumpQuery, ParseAggregateError,
    ParseIntervalError, Place, Point, QueryEngine, Route, Router, Span, Standing, Trail,
    TrailQuery, seen_from_here, witnessed,
};
pub use error::LakeError;
pub use folder::{FolderSync, create_folder};
pub use identity::examine_identity;
pub use import::{Import, Imported};
pub use lake::{Figures, Lake};
pub use mismatch::MismatchError;
pub use paths::{ObjectKey, ObjectKind};
pub use ranking::Ranking;
pub use rebuild::{Adoption, FeedParts, Rebuilt};
pub use s3::{Encryption, Finding, Health, ParseEncryptionError};
pub use stage::Staged;
pub use statistic::{ParseStatisticError, Statistic};
pub use store::{Store, StoreOptions};
pub use times::{EARLIEST_MINUTE, FUTURE_TOLERANCE};
pub use transform::Transform;
pub use vacuum::{Retention, Vacuumed};
pub use window::Window;
