//! Version of the lake's layout in the store.

/// Version of the layout that is written, and the newest that is read.
pub(crate) const FORMAT: u32 = 1;
