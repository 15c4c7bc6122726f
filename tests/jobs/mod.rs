//! The slot table and its jobs.

mod backfill;
mod clock_steps;
mod clocks;
mod fill_gaps;
mod full_disk;
mod hostile;
mod ingest;
mod late_minutes;
mod planning;
mod readiness;
mod review;
mod shards;
mod slots;
mod supervision;
