//! The slot table and what runs by it.

mod backfill;
mod ingest;
mod planning;
mod shards;
mod slots;
