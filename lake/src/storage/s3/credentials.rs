//! Credentials: given keys, or AWS' default chain (environment, profile, web identity, ECS, EC2's
//! role).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use marketlake_common::reason;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;

/// Time before their expiry at which credentials are refreshed.
const REFRESH_BEFORE_EXPIRY: Duration = Duration::from_secs(300);

/// The chain, for `object_store`.
#[derive(Debug)]
pub(super) struct ProviderChain {
    provider: SharedCredentialsProvider,
    kept: Mutex<Option<CachedCredential>>,
}

#[derive(Debug)]
struct CachedCredential {
    credential: Arc<AwsCredential>,
    until: Option<SystemTime>,
}

impl ProviderChain {
    pub(super) fn new(provider: SharedCredentialsProvider) -> Self {
        Self {
            provider,
            kept: Mutex::new(None),
        }
    }
}

#[async_trait]
impl CredentialProvider for ProviderChain {
    type Credential = AwsCredential;

    /// Fetches under a lock, so that many requests share one fetch.
    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_fresh()) {
            return Ok(Arc::clone(&kept.credential));
        }
        let found = self.provider.provide_credentials().await;
        let found = found.map_err(|error| object_store::Error::Unauthenticated {
            path: "credentials".to_owned(),
            source: missing(&error).into(),
        })?;
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        });
        *kept = Some(CachedCredential {
            credential: Arc::clone(&credential),
            until: found.expiry(),
        });
        Ok(credential)
    }
}

impl CachedCredential {
    #[expect(
        clippy::disallowed_methods,
        reason = "a credential expires by the clock of the machine that requested it"
    )]
    fn is_fresh(&self) -> bool {
        self.until
            .is_none_or(|until| until > SystemTime::now() + REFRESH_BEFORE_EXPIRY)
    }
}

/// Message with the remedy for missing credentials.
pub(super) fn missing(error: &(dyn std::error::Error + 'static)) -> String {
    format!(
        "no AWS credentials: expected store.access_key_id and store.secret_access_key, or those \
         of the environment, a profile, a web identity, ECS or EC2 ({})",
        reason(error)
    )
}
