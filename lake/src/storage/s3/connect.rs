//! S3 clients: `object_store`'s for the data path, the AWS SDK's for what only S3 has. Both use the
//! same credentials.

use std::sync::Arc;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::retry::RetryConfig as SdkRetry;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;
use aws_smithy_http_client::Builder as HttpBuilder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum, S3ConditionalPut};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::credentials::ProviderChain;
use crate::error::LakeError;
use crate::storage::options::StoreOptions;
use crate::storage::s3::encryption::Encryption;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_ATTEMPTS: u32 = 4;
/// `object_store`'s name for the kind of encryption.
const ENCRYPTION: &str = "aws_server_side_encryption";
/// Region without a setting.
const DEFAULT_REGION: &str = "us-east-1";

/// The data path.
pub(crate) fn objects(
    bucket: &str,
    options: &StoreOptions,
    sdk: &SdkConfig,
) -> Result<AmazonS3, LakeError> {
    // That of the settings, or of the environment (AWS_ENDPOINT_URL).
    let endpoint = sdk.endpoint_url();
    let clear = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let client = ClientOptions::new()
        .with_timeout(REQUEST_TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(clear);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_client_options(client)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_checksum_algorithm(Checksum::SHA256)
        .with_virtual_hosted_style_request(!path_style(options, sdk))
        .with_retry(RetryConfig {
            max_retries: 4,
            retry_timeout: Duration::from_secs(30),
            backoff: BackoffConfig::default(),
        })
        .with_region(sdk.region().map_or("", Region::as_ref));
    if let Some(endpoint) = endpoint {
        // Whole: object_store puts the bucket before the host by itself only where it made the
        // address.
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(provider) = sdk.credentials_provider() {
        builder = builder.with_credentials(Arc::new(ProviderChain::new(provider)));
    }
    let kind: AmazonS3ConfigKey = ENCRYPTION.parse()?;
    builder = match &options.encryption {
        Encryption::Bucket => builder,
        Encryption::S3 => builder.with_config(kind, "AES256"),
        Encryption::Kms(None) => builder.with_config(kind, "aws:kms"),
        Encryption::Kms(Some(key)) => builder.with_sse_kms_encryption(key),
    };
    Ok(builder.build()?)
}

/// Configuration of the AWS SDK: region (always set), endpoint, credentials.
pub(super) async fn sdk(options: &StoreOptions) -> SdkConfig {
    let http = HttpBuilder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(REQUEST_TIMEOUT)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(SdkRetry::standard().with_max_attempts(MAX_ATTEMPTS));
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    } else if options.endpoint.is_some() {
        // A server of one's own has no region; EC2 need not be queried for it.
        let environment = EnvironmentVariableRegionProvider::new();
        let region =
            RegionProviderChain::first_try(environment).or_else(Region::new(DEFAULT_REGION));
        loader = loader.region(region);
    }
    if let Some(endpoint) = &options.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let (Some(id), Some(secret)) = (&options.access_key_id, &options.secret_access_key) {
        let keys = Credentials::new(id, secret, None, None, "settings");
        loader = loader.credentials_provider(SharedCredentialsProvider::new(keys));
    }
    let sdk = loader.load().await;
    let region = sdk.region().cloned();
    let region = region.unwrap_or(Region::from_static(DEFAULT_REGION));
    sdk.into_builder().region(region).build()
}

/// AWS' own client.
pub(super) fn client(options: &StoreOptions, sdk: &SdkConfig) -> Client {
    let config = aws_sdk_s3::config::Builder::from(sdk);
    Client::from_conf(config.force_path_style(path_style(options, sdk)).build())
}

fn path_style(options: &StoreOptions, sdk: &SdkConfig) -> bool {
    options
        .path_style
        .unwrap_or_else(|| sdk.endpoint_url().is_some())
}
