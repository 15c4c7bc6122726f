//! The database as an operator meets it: slow, locked, gone, behind a pooler; and the permissions
//! of its files.

mod damage;
mod files;
mod outages;
mod pooler;
mod pools;
mod secrets;
