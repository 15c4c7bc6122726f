//! How samples are kept and asked for.
//!
//! - Keeping: [`Lake::stage_minute`] writes objects that nobody sees yet, [`Staged::publish`] makes them part of the lake
//!   inside the caller's transaction; [`compact`](Lake::stage_compaction), [`vacuum`](Lake::vacuum) and [`check`](Lake::check) keep it in order.
//! - Asking: a [`QueryEngine`], of which there are two, the [`Window`] and [`Embedded`]; [`Lake::engine`] chooses.
//!
//! Invariant: what is live in the catalog holds one row a metric and minute. Only this crate touches the object store.
//!
//! To add an engine: implement the trait in `engine/`, and run the conformance module in `tests/lake/` on it.

mod answers;
mod catalog;
mod check;
mod codec;
mod directory;
mod engine;
mod error;
mod follow;
mod lake;
mod paths;
mod stage;
mod store;
mod vacuum;
mod window;

pub use answers::{Listed, Rank};
pub use check::Report;
pub use directory::Directory;
pub use engine::{Embedded, JumpQuery, Point, QueryEngine, Router, Span, Standing};
pub use error::LakeError;
pub use lake::{Figures, Lake};
pub use stage::Staged;
pub use store::{Store, StoreOptions};
pub use vacuum::Vacuumed;
pub use window::Window;
