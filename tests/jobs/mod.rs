//! The slot table and what runs by it.

mod age;
mod backfill;
mod ingest;
mod planning;
mod review;
mod shards;
mod slots;
