//! A bucket, and the part of it that is ours.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use marketlake_entities::reason;
use object_store::path::Path;

use super::connect;
use crate::LakeError;
use crate::store::StoreOptions;

/// A bucket.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(super) client: Client,
    pub(super) name: String,
    pub(super) prefix: Path,
    pub(super) sdk: SdkConfig,
}

impl Bucket {
    pub(crate) async fn open(name: &str, prefix: Path, options: &StoreOptions) -> Self {
        let sdk = connect::sdk(options).await;
        Self {
            client: connect::client(options, &sdk),
            name: name.to_owned(),
            prefix,
            sdk,
        }
    }

    pub(crate) fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    /// The whole key of one of our paths.
    pub(super) fn key(&self, path: &str) -> String {
        if self.prefix.as_ref().is_empty() {
            path.to_owned()
        } else {
            format!("{}/{path}", self.prefix)
        }
    }

    /// A link by which anyone can read an object for a while.
    pub(crate) async fn link(&self, path: &Path, valid: Duration) -> Result<String, LakeError> {
        let config = PresigningConfig::expires_in(valid)
            .map_err(|error| LakeError::Address(format!("valid: {error}")))?;
        let request = self.client.get_object().bucket(&self.name);
        let signed = request.key(self.key(path.as_ref())).presigned(config).await;
        let signed = signed.map_err(|error| {
            LakeError::Address(format!("no link can be signed: {}", reason(&error)))
        })?;
        Ok(signed.uri().to_owned())
    }
}
