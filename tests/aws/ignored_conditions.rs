//! An S3 server that ignores a condition.

use std::path::Path;

use async_trait::async_trait;
use s3s::access::S3Access;
use s3s::auth::SimpleAuth;
use s3s::dto::PutObjectInput;
use s3s::service::S3ServiceBuilder;
use s3s::{S3Request, S3Result};
use s3s_fs::FileSystem;

use crate::support::loopback;
use crate::support::s3::{ACCESS_KEY, BUCKET, SECRET_KEY};

/// A server that writes over what is there whatever `If-Match` says, as some do.
struct Careless;

#[async_trait]
impl S3Access for Careless {
    async fn put_object(&self, request: &mut S3Request<PutObjectInput>) -> S3Result<()> {
        request.input.if_match = None;
        Ok(())
    }
}

/// Serves a folder like an ordinary one, and ignores `If-Match`.
pub async fn serve(folder: &Path) -> String {
    std::fs::create_dir_all(folder.join(BUCKET)).unwrap();
    let mut builder = S3ServiceBuilder::new(FileSystem::new(folder).unwrap());
    builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    builder.set_access(Careless);
    let service = builder.build();
    let (listener, endpoint) = loopback::listen().await;
    loopback::serve(listener, service);
    endpoint
}
