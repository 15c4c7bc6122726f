//! The slot table and what runs by it.

mod age;
mod backfill;
mod clock_steps;
mod clocks;
mod full_disk;
mod hostile;
mod ingest;
mod planning;
mod readiness;
mod review;
mod shards;
mod slots;
mod supervision;
