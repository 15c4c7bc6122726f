//! An S3 server on loopback, the tests' own.

use std::path::Path;

use marketlake_lake::{Store, StoreOptions};

#[path = "../../tests/support/loopback.rs"]
#[expect(clippy::unwrap_used, reason = "shared with the tests")]
mod loopback;
#[path = "../../tests/support/s3.rs"]
#[expect(clippy::unwrap_used, reason = "shared with the tests")]
mod s3;

/// A store on a server that serves a folder.
pub async fn store(folder: &Path) -> anyhow::Result<Store> {
    let endpoint = s3::serve(folder).await;
    Ok(Store::open(&StoreOptions {
        url: format!("s3://{}/bench", s3::BUCKET),
        endpoint: Some(endpoint),
        region: Some("us-east-1".to_owned()),
        access_key_id: Some(s3::ACCESS_KEY.to_owned()),
        secret_access_key: Some(s3::SECRET_KEY.to_owned()),
        ..StoreOptions::default()
    })
    .await?)
}
