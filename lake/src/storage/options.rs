//! Options of a store: its URL, and the credentials and settings of its bucket.

use crate::storage::s3::encryption::Encryption;

/// Options of a store.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// `file:///folder` or `s3://bucket/prefix`.
    pub url: String,
    /// Address of an S3-compatible server; AWS where there is none.
    pub endpoint: Option<String>,
    /// Region of the bucket.
    pub region: Option<String>,
    /// Access key; else AWS' standard chain finds one: environment, profile, web identity, ECS,
    /// EC2.
    pub access_key_id: Option<String>,
    /// Its secret.
    pub secret_access_key: Option<String>,
    /// Whether the bucket's name is part of the path rather than of the host; by default with an
    /// endpoint only.
    pub path_style: Option<bool>,
    /// Server-side encryption of new objects.
    pub encryption: Encryption,
}
