//! Server-side encryption of new objects in S3.

use std::str::FromStr;

use marketlake_common::excerpt;

/// Server-side encryption of new objects in S3.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// As the bucket has it: AWS encrypts with its own keys (SSE-S3) where nothing else is set.
    #[default]
    Bucket,
    /// With keys of S3 (SSE-S3).
    S3,
    /// With a key of the key management service (SSE-KMS), or the account's default one.
    Kms(Option<String>),
}

/// Text that names no encryption.
#[derive(Debug, thiserror::Error)]
#[error("expected bucket, sse-s3, sse-kms, or sse-kms:KEY with a key's id or ARN, got {0:?}")]
pub struct ParseEncryptionError(String);

impl FromStr for Encryption {
    type Err = ParseEncryptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("sse-kms", key)) if !key.is_empty() => Ok(Self::Kms(Some(key.to_owned()))),
            None => match text {
                "bucket" => Ok(Self::Bucket),
                "sse-s3" => Ok(Self::S3),
                "sse-kms" => Ok(Self::Kms(None)),
                _ => Err(ParseEncryptionError(excerpt(text).into_owned())),
            },
            Some(_) => Err(ParseEncryptionError(excerpt(text).into_owned())),
        }
    }
}
