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

mod athena;
mod catalog;
mod error;
mod ingest;
mod lake;
mod maintenance;
mod query;
mod segment;
mod span;
mod storage;

pub use athena::client::Spent;
pub use athena::error::AthenaError;
pub use athena::options::AthenaOptions;
pub use athena::setup::Ddl;
pub use catalog::directory::Directory;
pub use catalog::identity::examine_identity;
pub use catalog::mismatch::MismatchError;
pub use error::LakeError;
pub use ingest::import::{Import, Imported};
pub use ingest::stage::Staged;
pub use lake::{Figures, Lake};
pub use maintenance::check::{CheckOptions, Report};
pub use maintenance::rebuild::{Adoption, FeedParts, Rebuilt};
pub use maintenance::vacuum::{Retention, Vacuumed};
pub use query::bucket::{Aggregate, Bucket, Interval, ParseAggregateError, ParseIntervalError};
pub use query::engine::athena::Athena;
pub use query::engine::datafusion::Embedded;
pub use query::engine::rule_input::{Trail, TrailQuery};
pub use query::engine::selector::{Route, Router};
pub use query::engine::usage::{seen_from_here, witnessed};
pub use query::engine::{JumpQuery, QueryEngine};
pub use query::memory::Window;
pub use query::ranking::{Place, Ranking, Standing};
pub use query::service::{Listed, Rank, Ranks};
pub use query::statistic::{ParseStatisticError, Statistic};
pub use query::transform::Transform;
pub use span::{EARLIEST_MINUTE, FUTURE_TOLERANCE, Point, Span};
pub use storage::diagnostic::{Finding, Health};
pub use storage::local_folder::{FolderSync, create_folder};
pub use storage::options::StoreOptions;
pub use storage::paths::{ObjectKey, ObjectKind};
pub use storage::s3::encryption::{Encryption, ParseEncryptionError};
pub use storage::store::Store;
