//! Bucket and the prefix that the lake uses in it.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::AggregatedBytes;
use bytes::Bytes;
use marketlake_common::reason;
use object_store::path::Path;

use super::connect;
use crate::error::LakeError;
use crate::storage::options::StoreOptions;

/// A bucket.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(super) client: Client,
    pub(super) name: String,
    pub(super) prefix: Path,
    pub(super) sdk: SdkConfig,
    /// Whether the settings name an S3-compatible server.
    own_server: bool,
}

impl Bucket {
    pub(crate) async fn open(name: &str, prefix: Path, options: &StoreOptions) -> Self {
        let sdk = connect::sdk(options).await;
        Self {
            client: connect::client(options, &sdk),
            name: name.to_owned(),
            prefix,
            sdk,
            own_server: options.endpoint.is_some(),
        }
    }

    /// Endpoint of another AWS service: a given URL, or the one of the environment; `None` for AWS
    /// itself.
    pub(crate) fn other_endpoint(&self, given: Option<&str>) -> Option<String> {
        let usual = self.sdk.endpoint_url().filter(|_| !self.own_server);
        given.or(usual).map(str::to_owned)
    }

    /// The address of one of our paths: `s3://bucket/prefix/path`.
    pub(crate) fn uri(&self, path: &Path) -> String {
        format!("s3://{}/{}", self.name, self.key(path.as_ref()))
    }

    /// Reads an object by its address, wherever it lies; else says why it cannot.
    pub(crate) async fn read_uri(&self, uri: &str) -> Result<Bytes, String> {
        let parts = uri
            .strip_prefix("s3://")
            .and_then(|rest| rest.split_once('/'));
        let (bucket, key) = parts.ok_or_else(|| format!("{uri:?} is no address in S3"))?;
        let get = self.client.get_object().bucket(bucket).key(key);
        let object = get.send().await.map_err(|error| reason(&error))?;
        let bytes = object.body.collect().await;
        bytes
            .map(AggregatedBytes::into_bytes)
            .map_err(|error| reason(&error))
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
            .map_err(|error| LakeError::InvalidUrl(format!("valid: {error}")))?;
        let request = self.client.get_object().bucket(&self.name);
        let signed = request.key(self.key(path.as_ref())).presigned(config).await;
        let signed = signed.map_err(|error| {
            LakeError::InvalidUrl(format!("no link can be signed: {}", reason(&error)))
        })?;
        Ok(signed.uri().to_owned())
    }
}
