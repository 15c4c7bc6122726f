//! Object storage: a local folder or a bucket, the keys of objects, their checksums, retries.

pub(crate) mod checksum;
pub(crate) mod diagnostic;
pub(crate) mod local_folder;
pub(crate) mod object;
pub(crate) mod options;
pub(crate) mod paths;
pub(crate) mod retry;
pub(crate) mod s3;
pub(crate) mod store;
