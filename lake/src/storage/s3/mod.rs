//! S3: connections and credentials, encryption, presigned links, diagnosis of a bucket's settings.

pub(crate) mod bucket;
pub(crate) mod connect;
mod credentials;
mod doctor;
pub(crate) mod encryption;
pub(crate) mod hint;
mod response_headers;
