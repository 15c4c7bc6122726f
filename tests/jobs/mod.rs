//! The slot table and what runs by it.

mod ingest;
mod planning;
mod slots;
