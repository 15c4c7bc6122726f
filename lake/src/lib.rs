//! The lake: storage of samples as Parquet segments, and the engines that query them.
//!
//! - `storage`: object store (local folder or S3), keys, checksums, retries.
//! - `segment`: rows and rollups as Parquet files.
//! - `catalog`: live segments, upload intents, the identity that ties database and store.
//! - `ingest`: [`Ingest`] writes objects that are not visible yet, [`StagedSegments::publish`]
//!   makes them live in the caller's transaction; an [`Import`] does so with history.
//! - `query`: [`Queries`] are what all APIs share. [`QueryEngine`], implemented by [`RecentDay`]
//!   (memory), [`DataFusionEngine`] and [`AthenaEngine`]; [`Lake::engine`] selects one. `athena` is
//!   the client of the last.
//! - `maintenance`: [`Maintenance`] checks, repairs, vacuums and rebuilds.
//!
//! [`Lake`] holds what these share and hands them out: `lake.maintenance().vacuum(..)`.
//!
//! Invariant: the live segments hold one row per metric and minute. Only this crate uses the object
//! store. Deletion needs positive knowledge: a retired row or an upload intent, in a catalog that
//! [`Maintenance::prepare_writes`] accepts.
//!
//! To add an engine: implement the trait in `query/engine/`, and run the conformance module of
//! `tests/lake/` on it.

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

pub use athena::client::QueryCost;
pub use athena::error::AthenaError;
pub use athena::options::AthenaOptions;
pub use athena::setup::Ddl;
pub use catalog::directory::{Directory, DirectoryEntry};
pub use catalog::identity::diagnose_identity;
pub use catalog::mismatch::MismatchError;
pub use error::LakeError;
pub use ingest::Ingest;
pub use ingest::commit::{Commit, commit};
pub use ingest::import::{Import, ImportSummary};
pub use ingest::stage::StagedSegments;
pub use lake::{Lake, LakeStats};
pub use maintenance::Maintenance;
pub use maintenance::check::{CheckOptions, CheckReport};
pub use maintenance::rebuild::{Adoption, FeedParts, RebuildSummary};
pub use maintenance::vacuum::{Retention, VacuumSummary};
pub use marketlake_entities::records::gaps::{GapReason, GapState};
pub use query::Queries;
pub use query::bucket::{Aggregate, Bucket, Interval, ParseAggregateError, ParseIntervalError};
pub use query::coverage::{MetricCoverage, MinuteCount};
pub use query::engine::athena::AthenaEngine;
pub use query::engine::datafusion::session::DataFusionEngine;
pub use query::engine::rule_input::{RuleInput, RuleInputQuery};
pub use query::engine::selector::{AthenaPolicy, EngineSelector};
pub use query::engine::usage::{inherit_recorder, record_engines};
pub use query::engine::{JumpQuery, QueryEngine};
pub use query::listing::NamedMetric;
pub use query::memory::RecentDay;
pub use query::missing::MissingSpan;
pub use query::ranking::{RankPosition, RankedMetric, Ranking};
pub use query::service::{MetricRank, RankingResult};
pub use query::statistic::{ParseStatisticError, Statistic};
pub use query::transform::Transform;
pub use span::{EARLIEST_MINUTE, FUTURE_TOLERANCE, Point, Span};
pub use storage::diagnostic::{Diagnostic, Severity};
pub use storage::local_folder::{FolderSync, create_folder};
pub use storage::options::StoreOptions;
pub use storage::paths::{ObjectKey, ObjectKind};
pub use storage::s3::encryption::{Encryption, ParseEncryptionError};
pub use storage::store::Store;
