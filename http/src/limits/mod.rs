//! Limits that keep one client from using up what all need.

pub mod load_shed;
pub mod rate_limiter;
pub mod response_size;
