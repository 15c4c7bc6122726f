//! The catalog's database: its tables, one sea-orm entity a file in [`records`], the connection in
//! [`database`], and the time that all processes go by in [`clock`].
//!
//! To add a table: a migration in `migrations/`, an entity file in `records/`, a line in
//! `records/mod.rs`, and a row in the test that compares the two on `SQLite` and Postgres.

pub mod clock;
pub mod database;
pub mod portable;
pub mod records;

pub use clock::Clock;
